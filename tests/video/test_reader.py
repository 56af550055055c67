"""What is refused, and in which words; damaged and interlaced files; a small part of the fuzzing."""

import os
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from yogo_jax.errors import UserError
from yogo_jax.video.container import open_container
from yogo_jax.video.options import Options
from yogo_jax.video.pipeline import upscale_file
from yogo_jax.video.reader import VideoReader

ROOT = Path(__file__).resolve().parents[2]


def refuse(path: Path) -> str:
    with pytest.raises(UserError) as error:
        list(VideoReader(path))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_files_that_are_not_videos(tmp_path):
    (tmp_path / "empty.mp4").touch()
    assert refuse(tmp_path / "empty.mp4").endswith("is empty (0 bytes)")
    assert refuse(tmp_path / "none.mp4").endswith("does not exist")
    os.mkfifo(tmp_path / "fifo.mp4")
    assert "is a pipe: save it to a file first" in refuse(tmp_path / "fifo.mp4")
    (tmp_path / "text.mp4").write_text("dear diary " * 1000)
    assert "is not a video that FFmpeg can read" in refuse(tmp_path / "text.mp4")
    (tmp_path / "noise.mkv").write_bytes(np.random.default_rng(0).bytes(50_000))
    assert "is not a video that FFmpeg can read" in refuse(tmp_path / "noise.mkv")
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n")
    assert "is not a video that FFmpeg can read" in refuse(tmp_path / "list.m3u8")
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile /etc/passwd\n")
    assert "is not a video that FFmpeg can read" in refuse(tmp_path / "list.mp4")


def test_sound_alone(tmp_path, pictures, make_video):
    whole = make_video(tmp_path / "in.mkv", pictures(5), audio="libopus")
    with av.open(str(whole)) as source, av.open(str(tmp_path / "sound.mkv"), "w") as target:
        copy = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = copy
                target.mux(packet)
    assert refuse(tmp_path / "sound.mkv").endswith("has no video stream")


def test_a_wrong_ending_does_not_matter(tmp_path, pictures, make_video):
    video = make_video(tmp_path / "in.mkv", pictures(5))
    assert len(list(VideoReader(video.rename(tmp_path / "in.txt")))) == 5


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_no_permission(tmp_path, pictures, make_video):
    video = make_video(tmp_path / "in.mp4", pictures(2))
    video.chmod(0)
    assert "cannot be read: Permission denied" in refuse(video)


def test_truncated(tmp_path, pictures, make_video, nearest):
    whole = make_video(tmp_path / "in.mp4", pictures(30))
    end = tmp_path / "index_at_the_end.mp4"
    end.write_bytes(whole.read_bytes()[:-1000])
    assert re.search("is not a video|has no video stream", refuse(end))
    with (
        open_container(whole) as container,
        av.open(str(tmp_path / "fast.mp4"), "w", container_options={"movflags": "+faststart"}) as target,
    ):
        copy = target.add_stream_from_template(container.streams.video[0], opaque=True)
        for packet in container.demux(container.streams.video[0]):
            if packet.dts is not None:
                packet.stream = copy
                target.mux(packet)
    data = (tmp_path / "fast.mp4").read_bytes()
    (tmp_path / "fast.mp4").write_bytes(data[:-200])
    assert re.search(
        r"is truncated: it has \d+ bytes of at least \d+; --damaged takes what is there", refuse(tmp_path / "fast.mp4")
    )
    options = Options(damaged=True, preset="ultrafast", tile=(48, 64), overlap=8)
    summary = upscale_file(tmp_path / "fast.mp4", tmp_path / "out.mp4", nearest, options)
    assert 5 < summary.frames_in < 30


def test_what_is_lost_is_said(tmp_path, pictures, make_video):
    slow = [500 * i for i in range(12)]
    data = make_video(tmp_path / "in.mkv", pictures(12), slow, Fraction(1, 1000), options={"g": "1"}).read_bytes()
    (tmp_path / "half.mkv").write_bytes(data[: len(data) // 2])
    reader = VideoReader(tmp_path / "half.mkv")
    frames = list(reader)
    assert 2 < len(frames) < 10
    assert re.search(r"half.mkv: its video ends after \d\.\d s of the 5\.5 s that", reader.warnings[-1])
    with av.open(str(tmp_path / "in.mkv")) as source, av.open(str(tmp_path / "bad.mkv"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(video=0)):
            if packet.dts is not None:
                bad = av.Packet(bytes(100)) if number in (4, 7) else packet
                bad.pts, bad.dts, bad.time_base, bad.stream = packet.pts, packet.dts, packet.time_base, stream
                target.mux(bad)
    reader = VideoReader(tmp_path / "bad.mkv")
    assert len(list(reader)) == 10
    assert reader.warnings == [f"{tmp_path / 'bad.mkv'}: 2 damaged packets were passed over"]


def test_ten_bits_and_a_varying_rate_of_a_real_file(shared):
    path = shared / "data/clips/androidx/multi_period_sample.video.mp4"
    with av.open(str(path)) as container:
        expected = [frame.pts for frame, _ in zip(container.decode(video=0), range(6), strict=False)]
    reader = VideoReader(path)
    frames = [frame for frame, _ in zip(reader, range(6), strict=False)]
    assert [frame.pts for frame in frames] == expected
    assert (reader.video.width, reader.video.height, reader.video.colour.deep) == (1920, 1080, True)
    assert frames[0].image.dtype == np.uint16
    assert len(np.unique(frames[0].image[..., 1] >> 6)) > 256  # more levels than 8 bits have


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("in.mpg", "mpeg2video"),
        ("in.ts", "mpeg2video"),
        ("in.ts", "libx264"),
        ("in.avi", "mpeg4"),
        ("in.mkv", "libx264"),
        ("in.mp4", "libx264"),
    ],
)
def test_a_part_is_the_same_frames(tmp_path, pictures, make_video, name, codec):
    """Some containers can be entered only somewhere near a time, often behind it."""
    source = make_video(tmp_path / name, pictures(75), codec=codec, options={"g": "25", "bf": "2"})
    whole = list(VideoReader(source))
    for start in (0.32, 2.48):
        part = list(VideoReader(source, start, start + 0.2))
        expected = whole[round(start * 25) : round(start * 25) + 5]
        assert [frame.pts for frame in part] == [frame.pts for frame in expected]
        assert all(np.array_equal(a.image, b.image) for a, b in zip(part, expected, strict=True))


def interlaced(stream):
    stream.codec_context.flags |= av.codec.context.Flags.interlaced_dct | av.codec.context.Flags.interlaced_me


def combed(images):
    """Two fields of different times in each."""
    frames = [image.copy() for image in images[:-1:2]]
    for whole, later in zip(frames, images[1::2], strict=True):
        whole[1::2] = later[1::2]
    return frames


def test_interlaced_video_is_woven(tmp_path, pictures, make_video):
    source = make_video(tmp_path / "in.mpg", combed(pictures(8)), codec="mpeg2video", configure=interlaced)

    def combs(reader):
        frames = [frame.image.astype(int) for frame in reader]
        assert len(frames) == 4
        return np.mean([np.abs(2 * f[1:-1] - f[:-2] - f[2:]).mean() for f in frames])

    woven = VideoReader(source)
    assert combs(woven) < combs(VideoReader(source, deinterlace=False)) / 1.5
    assert "interlaced" in woven.warnings[0]


@pytest.mark.parametrize("name", ["in.avi", "in.mkv"])
def test_interlaced_video_keeps_its_times(tmp_path, pictures, make_video, name):
    """bwdif counts in half ticks: 1/50 where the AVI counts 1/25."""
    source = make_video(tmp_path / name, combed(pictures(40)), codec="mpeg2video", configure=interlaced)
    kept, woven = (VideoReader(source, deinterlace=deinterlace) for deinterlace in (False, True))
    times = [(frame.pts, frame.duration) for frame in woven]
    assert times == [(frame.pts, frame.duration) for frame in kept]
    assert (sum(times[-1]) - times[0][0]) * woven.video.time_base == Fraction(4, 5)


def test_interlaced_after_progressive_and_too_small(tmp_path, pictures, make_video):
    parts = tmp_path / "in.ts"
    for configure in (lambda stream: None, interlaced):
        part = make_video(tmp_path / "part.ts", combed(pictures(16)), codec="mpeg2video", configure=configure)
        parts.write_bytes((parts.read_bytes() if parts.exists() else b"") + part.read_bytes())
    reader = VideoReader(parts)
    woven, kept = list(reader), list(VideoReader(parts, deinterlace=False))
    assert "interlaced" in reader.warnings[0]
    assert [frame.pts for frame in woven] == [frame.pts for frame in kept]
    same = [np.array_equal(a.image, b.image) for a, b in zip(woven, kept, strict=True)]
    assert all(same[:7])  # the decoder loses a frame where the streams meet
    assert not any(same[7:])
    small = make_video(
        tmp_path / "small.mkv", [np.zeros((4, 16, 3), np.uint8)] * 3, codec="mpeg2video", configure=interlaced
    )
    with av.open(str(small)) as container:
        assert all(frame.interlaced_frame for frame in container.decode(video=0))
    assert len(list(VideoReader(small))) == 3


def test_a_part_of_a_stream_without_times(tmp_path, pictures, make_video):
    source = make_video(tmp_path / "in.h264", pictures(20), options={"bf": "0"})
    whole = list(VideoReader(source))
    part = list(VideoReader(source, 0.4, 0.6))
    assert [frame.pts for frame in part] == [frame.pts for frame in whole[10:15]]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(part, whole[10:15], strict=True))
    assert len(part) == 5


def test_transparency_is_dropped_and_said(tmp_path, make_video):
    clear = [np.full((48, 64, 3), 80, np.uint8)] * 2
    source = make_video(tmp_path / "in.mov", clear, codec="qtrle", pix_fmt="argb")
    reader = VideoReader(source)
    assert next(iter(reader)).image.shape == (48, 64, 3)
    assert reader.warnings == [f"{source}: transparency is dropped"]


def test_a_clock_that_leaps_goes_on_at_the_usual_rate(tmp_path, pictures, make_video):
    leap = 2**32  # milliseconds: more than MP4 holds for one frame
    times = [0, 40, 70, leap, leap + 40]
    source = make_video(tmp_path / "in.mkv", pictures(5), times, Fraction(1, 1000), options={"bf": "0"})
    with av.open(str(source)) as container:
        assert max(frame.pts for frame in container.decode(video=0)) > leap
    assert [frame.pts for frame in VideoReader(source)] == [0, 40, 70, 110, 150]


def test_fuzzing_in_small():
    """The whole of it is `python scripts/fuzz_video.py`."""
    command = [sys.executable, str(ROOT / "scripts" / "fuzz_video.py"), "--cases", "40", "--first", "100000"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT)
    assert run.returncode == 0, run.stdout
    assert "40 cases, 0 problems" in run.stdout
