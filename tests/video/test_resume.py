"""Runs that are broken off: killed, out of space, changed; and what is left on the disk."""

import contextlib
import dataclasses
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

from yogo_jax.errors import UserError
from yogo_jax.video.encoding import choose
from yogo_jax.video.frames import Video
from yogo_jax.video.job import Job
from yogo_jax.video.network import Network
from yogo_jax.video.options import Options
from yogo_jax.video.pipeline import upscale_file
from yogo_jax.video.segments import Segments

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
    for number, path in enumerate(sorted((tmp_path / "again").iterdir())):
        expected = images[number // 2].repeat(16, 0).repeat(16, 1)
        np.testing.assert_array_equal(np.asarray(PIL.Image.open(path)), expected)
    upscale_file(tmp_path / "frames", tmp_path / "out.mp4", nearest, options(fps=10.0, tile=(192, 256)))
    assert probe(tmp_path / "out.mp4").times[:3] == [0, Fraction(1, 20), Fraction(1, 10)]
    (tmp_path / "frames" / "mine.txt").write_text("keep me")
    with pytest.raises(UserError, match=r"more than numbered PNG files \(mine\.txt\)"):
        upscale_file(source, tmp_path / "frames", nearest, options(preset=None, overwrite=True))


@contextlib.contextmanager
def no_file_beyond(size):
    """The largest size that a file may have, which stands for a full disk: also of the one that pytest reports to."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_is_full_from_the_start(tmp_path, pictures, make_video, nearest):
    source = make_video(tmp_path / "in.mp4", pictures(3))
    full = pytest.raises(UserError, match=r"out\.mp4 cannot be written: File too large")
    for size in (0, 3000):  # not even the notes, and the notes alone
        with no_file_beyond(size), full:
            upscale_file(source, tmp_path / "out.mp4", nearest, options())
        assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_full_while_joining_and_then_with_room(tmp_path, source, nearest):
    output, work = tmp_path / "out.mp4", tmp_path / ".out.mp4.yogo"
    upscale_file(source, tmp_path / "whole.mp4", nearest, options())
    full = pytest.raises(UserError, match=r"out\.mp4 cannot be written: File too large")
    with no_file_beyond((tmp_path / "whole.mp4").stat().st_size - 1), full:
        upscale_file(source, output, nearest, options())
    assert sorted(path.name for path in work.iterdir()) == ["conditions.json", "lock", "segments", "tile.json"]
    assert upscale_file(source, output, nearest, options()).resumed == 249
    assert output.read_bytes() == (tmp_path / "whole.mp4").read_bytes()


@pytest.mark.parametrize("broken", ["", "[1, ", "[1]", "null"])
def test_a_note_that_a_crash_left_broken_is_no_note(tmp_path, broken):
    job = Job(tmp_path / "out.mp4", {}, False, folder=False)
    (job.work / "tile.json").write_text(broken)
    assert job.tile((48, 64)) == (48, 64)
    assert job.tile((16, 16)) == (48, 64)
    job.leave()
    assert list(tmp_path.iterdir()) == []


def test_what_is_lost_is_told_before_the_work(source, nearest, broken_off):
    told = []

    def stop(done, total, seconds):
        assert len(told) == 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upscale_file(source, broken_off, nearest, options(crf=30), stop, told.append)
    assert told[0].startswith("the options and the encoder changed")


def test_another_version_of_the_program_starts_afresh(source, nearest, broken_off):
    record = broken_off.parent / f".{broken_off.name}.yogo" / "conditions.json"
    record.write_text(record.read_text().replace(jax.__version__, "0.0.1"))
    summary = upscale_file(source, broken_off, nearest, options())
    assert (summary.resumed, summary.warnings[0][:19]) == (0, "the program changed")


def test_an_output_inside_the_folder_of_images_goes_on(tmp_path, pictures, nearest):
    folder = tmp_path / "images"
    folder.mkdir()
    for number, image in enumerate(pictures(4)):
        PIL.Image.fromarray(image).save(folder / f"{number}.png")

    def stop(done, total, seconds):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upscale_file(folder, folder / "out", nearest, options(preset=None), stop)
    assert upscale_file(folder, folder / "out", nearest, options(preset=None)).resumed == 3


def test_a_file_is_not_replaced_by_a_folder_nor_the_other_way(tmp_path, pictures, make_video, nearest):
    source = make_video(tmp_path / "in.mp4", pictures(2))
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder.mp4").mkdir()
    for name, wanted in (("file", "a folder of PNG"), ("folder.mp4", "a file")):
        with pytest.raises(UserError, match=f"exists and is not {wanted}"):
            upscale_file(source, tmp_path / name, nearest, options(overwrite=True))
    assert (tmp_path / "file").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 3


def test_too_little_memory_is_said_in_a_line(tmp_path, pictures, make_video):
    source = make_video(tmp_path / "in.mp4", pictures(2))

    def huge(frames):  # more than any machine has
        large = jnp.sort(jnp.cos(jax.lax.iota(jnp.float32, 2**42)) * frames.mean())
        return jnp.repeat(jnp.repeat(jnp.repeat(frames, 2, 1)[:, :-1], 4, 2), 4, 3) + large[0]

    with pytest.raises(UserError, match=r"not enough memory for .*out\.mp4: use a smaller --memory or --tile"):
        upscale_file(source, tmp_path / "out.mp4", Network(huge, "huge"), options())


def test_times_of_a_resumed_run_rise(tmp_path, pictures):
    """Where the input's times are too fine to divide, two can round to one: over the end of a segment as well."""
    video = Video(64, 48, Fraction(1, 1000), Fraction(25))
    encoding = dataclasses.replace(choose(video, (64, 48), 2, True, preset="ultrafast"), tick=Fraction(1, 2))
    size = Segments(tmp_path / "segments", encoding)._size
    for first in (0, size):
        segments = Segments(tmp_path / "segments", encoding)
        assert segments.done == first
        for number in range(first, first + size):
            segments.write(pictures(1)[0], number, 1)
    times = np.concatenate([np.sort(part) for part in segments.times()])
    assert (np.diff(times) > 0).all()


def test_the_lock_is_held_until_the_folder_is_gone(tmp_path, monkeypatch):
    job = Job(tmp_path / "out.mp4", {}, False, folder=False)
    remove = shutil.rmtree

    def watched(path, **more):
        with pytest.raises(UserError, match="is being written by another run"):
            Job(tmp_path / "out.mp4", {}, False, folder=False)
        remove(path, **more)

    monkeypatch.setattr(shutil, "rmtree", watched)
    job.leave()
    assert list(tmp_path.iterdir()) == []
