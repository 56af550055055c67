"""Runs that are broken off: killed, out of space, changed; and what is left on the disk."""

import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from yogo_jax.errors import UserError
from yogo_jax.video.options import Options
from yogo_jax.video.pipeline import upscale_file

# A run in a process of its own, slow enough to be killed midway.
RUN = """
import sys, time
import jax, jax.numpy as jnp
from pathlib import Path
from yogo_jax.errors import UserError
from yogo_jax.video.network import Network
from yogo_jax.video.options import Options
from yogo_jax.video.pipeline import upscale_file

def nearest(frames):
    return jnp.repeat(jnp.repeat(jnp.repeat(frames, 2, axis=1)[:, :-1], 4, axis=2), 4, axis=3)

def slow(done, total, seconds):
    time.sleep(float(sys.argv[3]))

options = Options(preset="ultrafast", tile=(48, 64), overlap=8)
try:
    summary = upscale_file(Path(sys.argv[1]), Path(sys.argv[2]), Network(nearest, "nearest"), options, slow)
    print(summary.resumed)
except UserError as error:
    sys.exit(str(error))
"""


@pytest.fixture
def source(tmp_path, pictures, make_video) -> Path:
    return make_video(tmp_path / "in.mp4", pictures(125), audio="aac")


FULL = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
"""


def started(source: Path, output: Path, pause: float, before: str = "") -> subprocess.Popen:
    command = [sys.executable, "-c", before + RUN, str(source), str(output), str(pause)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def content(path: Path, probe):
    file = probe(path)
    return file.times, [frame.to_ndarray().tobytes() for frame in file.frames], file.packets


def test_killed_and_resumed_equals_unbroken(tmp_path, source, probe):
    output, work = tmp_path / "out.mp4", tmp_path / ".out.mp4.yogo"
    run = started(source, output, 0.01)
    while not (work / "segments" / "000000.segment").exists():
        assert run.poll() is None
        time.sleep(0.02)
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    assert not output.exists()
    printed, errors = started(source, output, 0).communicate()
    assert printed.strip() == "240", errors
    assert not work.exists()
    whole = tmp_path / "whole.mp4"
    assert started(source, whole, 0).communicate()[0].strip() == "0"
    assert content(output, probe) == content(whole, probe)


def test_no_room_on_the_disk(tmp_path, source):
    """A limit on the size of files stands for a full disk: the same errors of the same calls."""

    run = started(source, tmp_path / "out.mp4", 0, FULL)
    _, errors = run.communicate()
    assert run.returncode == 1
    assert errors.strip().splitlines()[-1].startswith(f"{tmp_path / 'out.mp4'} cannot be written: ")
    assert "Traceback" not in errors
    assert not (tmp_path / "out.mp4").exists()


@pytest.fixture
def broken_off(tmp_path, source, nearest):
    """A run stopped after its first segment."""

    def stop(done, total, seconds):
        if done == 245:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upscale_file(source, tmp_path / "out.mp4", nearest, options(), stop)
    assert (tmp_path / ".out.mp4.yogo").exists()
    return tmp_path / "out.mp4"


def options(**more) -> Options:
    return Options(**{"preset": "ultrafast", "tile": (48, 64), "overlap": 8, **more})


@pytest.mark.parametrize("changed", ["nothing", "input", "weights", "options"])
def test_a_change_starts_afresh_and_is_said(source, nearest, bicubic, broken_off, changed):
    if changed == "input":
        os.utime(source, (1, 1))
    network = bicubic if changed == "weights" else nearest
    summary = upscale_file(source, broken_off, network, options(crf=30) if changed == "options" else options())
    assert summary.frames_out == 249
    if changed == "nothing":
        assert (summary.resumed, summary.warnings) == (240, [])
    else:
        assert summary.resumed == 0
        assert any(f"the {changed}" in line and "starting afresh" in line for line in summary.warnings)


def test_an_output_is_replaced_only_when_asked(tmp_path, pictures, make_video, nearest, probe):
    source = make_video(tmp_path / "in.mp4", pictures(3))
    output = tmp_path / "out.mp4"
    output.write_bytes(b"precious")
    with pytest.raises(UserError, match=r"out\.mp4 exists: --overwrite replaces it"):
        upscale_file(source, output, nearest, options())
    assert output.read_bytes() == b"precious"
    upscale_file(source, output, nearest, options(overwrite=True))
    assert len(probe(output).times) == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]


def test_folders_of_images_both_ways(tmp_path, pictures, make_video, nearest, probe):
    images = pictures(3)
    source = make_video(tmp_path / "in.mkv", images, codec="ffv1", pix_fmt="bgr0")
    upscale_file(source, tmp_path / "frames", nearest, options(preset=None))
    assert [path.name for path in sorted((tmp_path / "frames").iterdir())] == [f"{i:06d}.png" for i in range(5)]
    upscale_file(
        tmp_path / "frames", tmp_path / "again", nearest, options(preset=None, scale_only=True, tile=(192, 256))
    )
    import PIL.Image

    for number, path in enumerate(sorted((tmp_path / "again").iterdir())):
        expected = images[number // 2].repeat(16, 0).repeat(16, 1)
        np.testing.assert_array_equal(np.asarray(PIL.Image.open(path)), expected)
    upscale_file(tmp_path / "frames", tmp_path / "out.mp4", nearest, options(fps=10.0, tile=(192, 256)))
    assert probe(tmp_path / "out.mp4").times[:3] == [0, Fraction(1, 20), Fraction(1, 10)]
    (tmp_path / "frames" / "mine.txt").write_text("keep me")
    with pytest.raises(UserError, match=r"more than numbered PNG files \(mine\.txt\)"):
        upscale_file(source, tmp_path / "frames", nearest, options(preset=None, overwrite=True))
