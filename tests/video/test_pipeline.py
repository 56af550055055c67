"""Whole files: sound, subtitles, chapters, colour and codecs, as FFmpeg reads them back."""

from fractions import Fraction

import av
import numpy as np
import pytest
from av.stream import Disposition

from yogo_jax.errors import UserError
from yogo_jax.video import hdr
from yogo_jax.video.options import Options
from yogo_jax.video.pipeline import upscale_file

FAST = {"codec": "libx264", "preset": "ultrafast", "tile": (48, 64), "overlap": 8}


def test_known_frames_are_where_they_were_and_made_ones_between(tmp_path, bicubic, pictures, make_video, probe):
    images = pictures(6)
    source = make_video(tmp_path / "in.mkv", images, codec="ffv1", pix_fmt="bgr0")
    upscale_file(source, tmp_path / "out.mkv", bicubic, Options(codec="ffv1", pix_fmt="yuv444p"))
    shown = [frame.to_ndarray(format="rgb24").astype(float) for frame in probe(tmp_path / "out.mkv").frames]
    enlarged = [np.asarray(image).repeat(4, 0).repeat(4, 1) for image in images]
    for number, image in enumerate(shown):
        flat = np.s_[40:56, :]  # inside a block, away from its soft edge
        expected = (enlarged[number // 2].astype(float) + enlarged[(number + 1) // 2]) / 2
        assert np.median(np.abs(image[flat] - expected[flat])) <= 2


def test_all_that_goes_along(tmp_path, bicubic, pictures, make_video, probe):
    words = tmp_path / "words.srt"
    words.write_text("1\n00:00:00,040 --> 00:00:00,200\nGrüß Gott\n\n2\n00:00:00,200 --> 00:00:00,360\nUnd tschüss\n")
    chapters = [
        {"id": i, "start": 200 * i, "end": 200 * (i + 1), "time_base": Fraction(1, 1000), "metadata": {"title": title}}
        for i, title in enumerate(["one", "two"])
    ]

    def tagged(stream):
        context = stream.codec_context
        context.sample_aspect_ratio = Fraction(16, 15)
        context.colorspace, context.color_primaries, context.color_trc, context.color_range = 5, 5, 6, 1
        stream.set_display_rotation(90)
        stream.metadata.update({"title": "From the roof", "language": "ger", "BPS": "12345"})
        stream.disposition = Disposition.default | Disposition.original

    source = make_video(
        tmp_path / "in put – ü.mkv",
        pictures(10),
        configure=tagged,
        audio="libopus",
        subtitles=words,
        chapters=chapters,
        metadata={"title": "A tape", "artist": "me"},
    )
    target = tmp_path / "out put – ö.mkv"
    upscale_file(source, target, bicubic, Options(**FAST))
    before, after = probe(source), probe(target)
    assert after.streams == before.streams == ["video:h264", "audio:opus", "subtitle:srt"]
    assert after.packets == before.packets
    frame = after.frames[0]
    assert (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range) == (5, 5, 6, 1)
    assert frame.rotation == before.frames[0].rotation == 90
    with av.open(str(target)) as container:
        assert [(c["start"], c["end"], c["metadata"]) for c in container.chapters()] == [
            (c["start"] * 10**6, c["end"] * 10**6, c["metadata"]) for c in chapters
        ]
        kept = {name.lower(): text for name, text in container.metadata.items()}
        assert (kept["title"], kept["artist"]) == ("A tape", "me")
        video = container.streams.video[0]
        assert video.sample_aspect_ratio == Fraction(16, 15)
        assert (video.metadata["title"], video.metadata["language"]) == ("From the roof", "ger")
        assert "BPS" not in video.metadata
        assert video.disposition == Disposition.default | Disposition.original


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1", "ffv1"])
@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_wide_pixels_stay_wide_or_are_refused(tmp_path, nearest, pictures, make_video, codec, ending):
    def wide(stream):
        stream.codec_context.sample_aspect_ratio = Fraction(64, 45)

    source, target = make_video(tmp_path / "in.mp4", pictures(2), configure=wide), tmp_path / f"out.{ending}"
    preset = {"libsvtav1": "12", "ffv1": None}.get(codec, "ultrafast")
    options = Options(codec=codec, preset=preset, tile=(48, 64), overlap=8)
    if ending == "mkv" and codec in ("libsvtav1", "ffv1"):
        with pytest.raises(
            UserError, match=r"cannot carry the input's pixel aspect ratio 64/45: name the output \.mp4"
        ):
            upscale_file(source, target, nearest, options)
        return
    upscale_file(source, target, nearest, options)
    with av.open(str(target)) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(64, 45)


def test_what_mp4_cannot_hold_is_said_first(tmp_path, bicubic, pictures, make_video, probe):
    words = tmp_path / "words.srt"
    words.write_text("1\n00:00:00,040 --> 00:00:00,200\nHello\n")
    source = make_video(tmp_path / "in.mkv", pictures(3), audio="aac", subtitles=words)
    with pytest.raises(UserError, match=r"mp4 cannot hold stream 2 .*srt.*--drop 2 or name the output \.mkv"):
        upscale_file(source, tmp_path / "out.mp4", bicubic, Options(**FAST))
    with pytest.raises(UserError, match=r"--drop 99: .*in\.mkv has streams 0 to 2"):
        upscale_file(source, tmp_path / "out.mp4", bicubic, Options(**FAST, drop=frozenset({2, 99})))
    with pytest.raises(UserError, match=r"--drop 0: that stream of .*in\.mkv is the video itself"):
        upscale_file(source, tmp_path / "out.mp4", bicubic, Options(**FAST, drop=frozenset({0})))
    upscale_file(source, tmp_path / "out.mp4", bicubic, Options(**FAST, drop=frozenset({2})))
    assert probe(tmp_path / "out.mp4").streams == ["video:h264", "audio:aac"]


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "audio"),
    [
        ("in.mov", "prores_ks", "yuv422p10le", "pcm_s16le"),
        ("in.avi", "mpeg4", "yuv420p", "mp2"),
        ("in.webm", "libvpx-vp9", "yuv420p", "libopus"),
        ("in.ts", "libx264", "yuv420p", "aac"),
        ("in.mpg", "mpeg2video", "yuv420p", "mp2"),
    ],
)
def test_containers(tmp_path, bicubic, pictures, make_video, probe, name, codec, pix_fmt, audio):
    source = make_video(tmp_path / name, pictures(6), codec=codec, pix_fmt=pix_fmt, audio=audio)
    target = tmp_path / "out.mkv"
    upscale_file(source, target, bicubic, Options(tile=(48, 64), overlap=8, preset="ultrafast"))
    before, after = probe(source), probe(target)
    assert len(after.times) == 11
    assert max(abs(a - b) for a, b in zip(after.times[::2], before.times, strict=True)) <= Fraction(1, 1000)
    assert after.streams[0] == ("video:hevc" if "10" in pix_fmt else "video:h264")
    assert len(after.packets["audio1"]) >= len(before.packets["audio1"]) - 1
    assert {data for _, data in after.packets["audio1"]} <= {
        data for _, data in before.packets["audio1"]
    } or name == "in.ts"


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1", "ffv1"])
@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_codecs_and_ten_bits(tmp_path, bicubic, pictures, make_video, probe, codec, ending):
    deep = [image.astype(np.uint16) * 257 for image in pictures(5)]
    source = make_video(tmp_path / "in.mkv", deep, codec="ffv1", pix_fmt="yuv420p10le")
    preset = {"libx264": "ultrafast", "libx265": "ultrafast", "libsvtav1": "12", "ffv1": None}[codec]
    target = tmp_path / f"out.{ending}"
    upscale_file(source, target, bicubic, Options(codec=codec, preset=preset, tile=(48, 64), overlap=8))
    after = probe(target)
    assert after.frames[0].format.name == "yuv420p10le"
    assert len(after.frames) == 9
    assert after.frames[0].colorspace == 6  # untagged and small: bt601, and now said


def test_hdr10_passes_or_is_refused(tmp_path, bicubic, pictures, make_video, probe):
    display = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
    parameters = f"log-level=error:master-display={display}:max-cll=1000,400"

    def tagged(stream):
        context = stream.codec_context
        context.colorspace, context.color_primaries, context.color_trc, context.color_range = 9, 9, 16, 1

    deep = [image.astype(np.uint16) * 257 for image in pictures(4)]
    options = {"x265-params": parameters, "preset": "ultrafast"}
    source = make_video(
        tmp_path / "in.mp4", deep, codec="libx265", pix_fmt="yuv420p10le", options=options, configure=tagged
    )
    for codec, preset in [(None, "ultrafast"), ("libx264", "ultrafast"), ("libsvtav1", "12")]:
        target = tmp_path / f"{codec}.mp4"
        upscale_file(source, target, bicubic, Options(codec=codec, preset=preset, tile=(48, 64), overlap=8))
        frame = probe(target).frames[0]
        assert (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range) == (9, 9, 16, 1)
        kinds = {entry.type.name for entry in frame.side_data}
        assert {"MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"} <= kinds
        found = hdr.metadata(frame)
        assert found is not None
        assert found.primaries is not None
        red_green_blue_white = [0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329]
        assert np.ravel(found.primaries) == pytest.approx(red_green_blue_white, abs=1e-4)
        assert found.luminance == pytest.approx((0.005, 1000), rel=0.02)
        assert found.light == (1000, 400)
    with pytest.raises(UserError, match="ffv1 cannot carry the HDR10 metadata"):
        upscale_file(source, tmp_path / "out.mkv", bicubic, Options(codec="ffv1"))
    with pytest.raises(UserError, match=r"a folder of PNG cannot carry HDR .*\.mp4 or \.mkv"):
        upscale_file(source, tmp_path / "out", bicubic, Options())


def test_nothing_is_blended_across_a_cut(tmp_path, bicubic, pictures, make_video, probe):
    dark, light = [image // 4 for image in pictures(6)], [255 - image // 4 for image in pictures(6, seed=1)]
    source = make_video(tmp_path / "in.mp4", dark + light)
    summary = upscale_file(source, tmp_path / "out.mp4", bicubic, Options(**FAST))
    assert summary.cuts == 1
    levels = [frame.to_ndarray(format="gray").mean() for frame in probe(tmp_path / "out.mp4").frames]
    assert max(levels[:12]) < 90
    assert min(levels[12:]) > 170
    upscale_file(source, tmp_path / "ghost.mp4", bicubic, Options(**FAST, cut_threshold=None))
    assert 90 < probe(tmp_path / "ghost.mp4").frames[11].to_ndarray(format="gray").mean() < 170


def test_a_change_of_size_midway(tmp_path, bicubic, pictures, probe):
    source = tmp_path / "in.ts"
    for size in ((64, 48), (96, 64)):
        part = tmp_path / "part.ts"
        with av.open(str(part), "w", format="mpegts") as container:
            stream = container.add_stream("mpeg2video", rate=25)
            stream.width, stream.height = size
            for image in pictures(4, width=size[0], height=size[1]):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode(None))
        source.write_bytes((source.read_bytes() if source.exists() else b"") + part.read_bytes())
    summary = upscale_file(source, tmp_path / "out.mp4", bicubic, Options(**FAST))
    assert "changes size" in " ".join(summary.warnings)
    assert {(frame.width, frame.height) for frame in probe(tmp_path / "out.mp4").frames} == {(256, 192)}


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (17, 9)])
def test_tiny_and_odd_sizes(tmp_path, bicubic, make_video, probe, size):
    images = [np.full((size[1], size[0], 3), 20 * i + 60, np.uint8) for i in range(3)]
    source = make_video(tmp_path / "in.mkv", images, codec="ffv1", pix_fmt="bgr0")
    upscale_file(source, tmp_path / "out.mp4", bicubic, Options())
    frames = probe(tmp_path / "out.mp4").frames
    assert (frames[0].width, frames[0].height, len(frames)) == (4 * size[0], 4 * size[1], 5)
    upscale_file(source, tmp_path / "same.mp4", bicubic, Options(rate_only=True))
    assert probe(tmp_path / "same.mp4").frames[0].format.name == "yuv444p"  # 4:2:0 has even sides


def test_too_wide_for_the_codec(tmp_path, bicubic, make_video):
    images = [np.zeros((2, 16384, 3), np.uint8)] * 2
    source = make_video(tmp_path / "in.mkv", images, codec="ffv1", pix_fmt="bgr0")
    with pytest.raises(UserError, match=r"65536x8.*16384 a side: name a folder"):
        upscale_file(source, tmp_path / "out.mp4", bicubic, Options())


@pytest.mark.parametrize("name", ["kivy/cityCC0.mpg", "mdn/tears-of-steel-battle-clip-medium.webm"])
def test_real_files(tmp_path, nearest, probe, shared, name):
    """MPEG-2 with a late start and VP8 with sound, a part of each at the input's size."""
    source = shared / "data/clips" / name
    options = Options(preset="ultrafast", end=0.15, rate_only=True, tile=(256, 256))
    upscale_file(source, tmp_path / "out.mkv", nearest, options)
    with av.open(str(source)) as container:
        frames = [frame for frame, _ in zip(container.decode(video=0), range(12), strict=False)]
    after = probe(tmp_path / "out.mkv")
    times = [frame.pts * frame.time_base for frame in frames]
    count = (len(after.times) + 1) // 2
    assert count >= 3
    assert max(abs(a - b) for a, b in zip(after.times[::2], times, strict=False)) <= Fraction(1, 1000)
    chroma = "444" if frames[0].height % 2 else "420"
    assert after.frames[0].format.name == frames[0].format.name.replace("420", chroma)
    ours, theirs = (frame.to_ndarray(format="gray").astype(int) for frame in (after.frames[0], frames[0]))
    assert np.abs(ours - theirs).mean() < 2
