"""The benchmark of the input, on a data set made here."""

import re

import numpy as np
import pytest
from PIL import Image

from data_pipelines.video_clips import VideoClips
from yogo_jax.cli import main


@pytest.fixture(scope="module")
def arguments(tmp_path_factory) -> list[str]:
    """A config file and a data set of 16 moving noise frames."""
    folder = tmp_path_factory.mktemp("bench")
    (folder / "source/noise").mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (32, 64, 3), dtype=np.uint8)
    for number in range(16):
        Image.fromarray(np.roll(noise, number, axis=1)).save(folder / f"source/noise/{number}.png")
    VideoClips(data_dir=folder, source=folder / "source", test_fraction=0, workers=1).download_and_prepare()
    (folder / "config.py").write_text(
        "from yogo_jax.configuration import base\n"
        "def get_config():\n"
        "    config = base()\n"
        f"    config.data.data_dir = {str(folder)!r}\n"
        "    config.data.train = ('video_clips/train',)\n"
        "    config.data.batch = 8\n"
        "    config.data.patch = (4, 4)\n"
        "    return config\n"
    )
    return ["bench", "input", "--config", str(folder / "config.py"), "--batches", "3"]


def test_input_alone(arguments, capsys):
    assert main([*arguments, "--steps", "0", "--config.data.threads=1"]) == 0
    printed = capsys.readouterr().out
    assert "batches of 8, patches of 4x4, 1 threads" in printed
    assert float(re.search(r"input +([\d.]+) clips/s", printed)[1]) > 0


def test_beside_a_training_step(arguments, capsys):
    model = ("filters=4", "groups=1", "fe_blocks=0", "frb_backward=0", "frb_forward=0", "hfbs=0", "pyramid_levels=1")
    assert main([*arguments, "--steps", "1", *(f"--config.model.{field}" for field in model)]) == 0
    printed = capsys.readouterr().out
    alone, step, together = (float(rate) for rate in re.findall(r"([\d.]+) clips/s", printed))
    assert together < 1.5 * step
    assert f"gives {alone / step:.1f} times" in printed or alone / step > 10
    assert 0 <= float(re.search(r"([\d.]+)% of the time", printed)[1]) <= 100
