"""The command itself, with a real network of random weights."""

import json
from fractions import Fraction

import av
import jax
import numpy as np
import pytest

from yogo_jax.cli import main
from yogo_jax.model import YOGOConfig
from yogo_jax.weights import save_weights


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    config = YOGOConfig(filters=8, groups=4, fe_blocks=1, frb_backward=1, frb_forward=1, hfbs=1)
    params = config.build().init(jax.random.key(0), np.zeros((1, 2, 8, 8, 3), np.float32))["params"]
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(path, config, params)
    return str(path)


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.mp4"
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25))
        stream.width, stream.height = 32, 16
        for level in rng.integers(0, 255, 3):
            image = np.full((16, 32, 3), level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_several_inputs_and_a_summary(tmp_path, clip, weights, capsys):
    (tmp_path / "broken.mp4").write_bytes(b"not a video")
    pattern = str(tmp_path / "*.mp4")
    arguments = ["--weights", weights, "--json", "--no-cuts", "--tile", "32x16", "--crf", "30"]
    assert main(["upscale", pattern, str(tmp_path / "large" / "{name}.mkv"), *arguments]) == 2
    printed, errors = capsys.readouterr()
    [summary] = [json.loads(line) for line in printed.splitlines()]
    assert (summary["frames_in"], summary["frames_out"]) == (3, 5)
    assert summary["network_seconds"] <= summary["seconds"]
    assert "broken.mp4 is not a video that FFmpeg can read" in errors
    with av.open(str(tmp_path / "large" / "clip.mkv")) as container:
        frames = list(container.decode(video=0))
    assert [(frame.width, frame.height) for frame in frames] == [(128, 64)] * 5
    assert [path.name for path in (tmp_path / "large").iterdir()] == ["clip.mkv"]


def test_a_preview_is_side_by_side(tmp_path, clip, weights):
    output = tmp_path / "look.mp4"
    assert main(["upscale", str(clip), str(output), "--weights", weights, "--preview", "0.04", "--no-cuts"]) == 0
    with av.open(str(output)) as container:
        frames = list(container.decode(video=0))
    assert (frames[0].width, frames[0].height) == (256, 64)
    assert len(frames) <= 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.mp4", "out.mp4"], "none.mp4 does not exist"),
        (["{clip}", "out.wmv"], "outputs are .mp4, .m4v, .mkv"),
        (["{clip}", "{clip}"], "is both input and output"),
        (["{clip}", "{clip}", "out.mp4"], "it must contain {name}"),
        (["nothing-*.mp4", "out.mp4"], "nothing matches"),
        (["{clip}", "out.mp4", "--start", "2", "--end", "1"], "--end 1 is not after --start 2"),
        (["{clip}", "out.mp4", "--start", "60"], "no frame between the times"),
        (["{clip}", "out.mp4", "--memory", "1M"], "of memory is too little for frames of 32x16: --memory "),
        (
            ["{clip}", "out.mp4", "--pix-fmt", "rgb565"],
            "libx264 does not write pixel format 'rgb565'; it writes yuv420p",
        ),
        (["{clip}", "out.mp4", "--preset", "warp"], "libx264 cannot encode 128x64"),
        (["{clip}", "out.mkv", "--codec", "ffv1", "--crf", "3"], "ffv1 is lossless"),
        (["{clip}", "out.mp4", "--tile", "8x8"], "is not larger than the overlap"),
        (["{clip}", "/proc/nowhere/out.mp4"], "cannot be written"),
    ],
)
def test_one_clear_line(tmp_path, monkeypatch, clip, weights, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(["upscale", *(word.replace("{clip}", str(clip)) for word in arguments), "--weights", weights]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("yogo: ")]
    assert len(lines) == 1
    assert message in lines[0]
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_weights_of_another_network(tmp_path, clip, capsys):
    (tmp_path / "other.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    assert (
        main(["upscale", str(clip), str(tmp_path / "out.mp4"), "--weights", str(tmp_path / "other.safetensors")]) == 2
    )
    assert "other.safetensors" in capsys.readouterr().err


def test_help_explains_itself(capsys):
    with pytest.raises(SystemExit):
        main(["upscale", "--help"])
    text = capsys.readouterr().out
    for option in (
        "--codec",
        "--crf",
        "--preview",
        "--memory",
        "--cut-threshold",
        "--overwrite",
        "goes on where it was",
    ):
        assert option in text
