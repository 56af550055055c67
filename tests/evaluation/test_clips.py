"""Finding and reading clips: what is refused, and with which words."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from data_pipelines.vid4 import CLIPS, Vid4
from yogo_jax.errors import UserError
from yogo_jax.evaluation.clips import Clip, ClipError, find_clips
from yogo_jax.evaluation.protocol import End, windows


def write_clip(folder, count=7, size=(16, 20), mode="RGB"):
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for i in range(count):
        Image.fromarray(rng.integers(0, 255, (*size, 3), np.uint8)).convert(mode).save(folder / f"im{i + 1}.png")
    return folder


def write_deep_png(path, colour):
    """A PNG of 16 bits a sample, by hand: Pillow cannot write colour ones."""
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))  # noqa: E731
    rows = (b"\0" + bytes(20 * 2 * (3 if colour else 1))) * 16
    header = struct.pack(">IIBBBBB", 20, 16, 16, 2 if colour else 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def only_clip(folder) -> Clip:
    (clip,) = find_clips("folder", folder).clips
    return clip


def error_of(clip) -> str:
    *_, end = windows(clip)
    assert isinstance(end, End)
    assert end.error
    assert "\n" not in end.error
    assert end.error.startswith(f"{clip.name}: ")
    return end.error


def test_frames_come_in_the_order_of_their_numbers(tmp_path):
    write_clip(tmp_path / "a", 11)
    read = np.stack(list(only_clip(tmp_path).frames()))
    written = np.stack([np.asarray(Image.open(tmp_path / "a" / f"im{i}.png")) for i in range(1, 12)])
    np.testing.assert_array_equal(read, written)


@pytest.mark.parametrize(("mode", "word"), [("L", "grey"), ("P", "palette"), ("RGBA", "RGBA"), ("1", "1-bit")])
def test_other_kinds_of_image_are_refused_by_name(tmp_path, mode, word):
    write_clip(tmp_path / "walk", mode=mode)
    assert f"im1.png is a {word} image; frames are 8-bit RGB" in error_of(only_clip(tmp_path))


@pytest.mark.parametrize("colour", [False, True])
def test_sixteen_bit_images_are_refused(tmp_path, colour):
    write_clip(tmp_path / "walk")
    write_deep_png(tmp_path / "walk" / "im3.png", colour)
    assert "im3.png is a 16-bit image" in error_of(only_clip(tmp_path))


def test_a_size_that_changes_is_refused(tmp_path):
    write_clip(tmp_path / "walk")
    Image.new("RGB", (24, 16)).save(tmp_path / "walk" / "im5.png")
    assert "im5.png is 24×16, the frames before it 20×16" in error_of(only_clip(tmp_path))


def test_corrupted_images_never_do_worse_than_an_error(tmp_path):
    write_clip(tmp_path / "walk")
    file = tmp_path / "walk" / "im2.png"
    whole = file.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        damaged = bytearray(whole[: rng.integers(1, len(whole))] if rng.random() < 0.3 else whole)
        for position in rng.integers(0, len(damaged), 3):
            damaged[position] ^= rng.integers(1, 256)
        file.write_bytes(damaged)
        try:
            list(only_clip(tmp_path).frames())
        except ClipError:
            refused += 1
    assert refused > 30


def test_a_truncated_video_is_an_error(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(100))
    assert (
        error_of(only_clip(tmp_path)) == "a.mp4: unreadable after 0 frames (Invalid data found when processing input)"
    )


def test_short_clips_and_small_frames_are_refused(tmp_path):
    write_clip(tmp_path / "short", 6)
    write_clip(tmp_path / "small", 7, size=(11, 40))
    short, small = find_clips("folder", tmp_path).clips
    assert "6 frames; a window takes 7" in error_of(short)
    assert "40×8" in error_of(small)


def test_a_folder_of_folders_and_a_folder_of_frames(tmp_path):
    write_clip(tmp_path / "set" / "deep" / "b")
    write_clip(tmp_path / "set" / "a")
    assert [clip.name for clip in find_clips("folder", tmp_path / "set").clips] == ["a", "deep/b"]
    assert [clip.name for clip in find_clips("folder", tmp_path / "set" / "a").clips] == ["a"]


def test_links_to_folders_are_followed_once(tmp_path):
    write_clip(tmp_path / "footage" / "a")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "footage" / "a")
    (tmp_path / "set" / "back").symlink_to(tmp_path / "set")
    assert [clip.name for clip in find_clips("folder", tmp_path / "set").clips] == ["linked"]


def test_vid4_names_what_is_missing(tmp_path):
    write_clip(tmp_path / "city")
    write_clip(tmp_path / "walk")
    found = find_clips("vid4", tmp_path)
    assert [clip.name for clip in found.clips] == ["city", "walk"]
    assert found.missing == ("calendar", "foliage")


def test_built_sets_give_the_same_frames(tmp_path):
    for name, count in CLIPS.items():
        write_clip(tmp_path / "raw" / name, count)
    Vid4(source=tmp_path / "raw", data_dir=tmp_path / "data", workers=1).download_and_prepare()
    raw, built = (find_clips("vid4", tmp_path / folder).clips for folder in ("raw", "data"))
    assert sorted(clip.name for clip in built) == sorted(CLIPS)
    for clip in built:
        (same,) = [other for other in raw if other.name == clip.name]
        np.testing.assert_array_equal(np.stack(list(clip.frames())), np.stack(list(same.frames())))


def test_vimeo_reads_its_list(tmp_path):
    write_clip(tmp_path / "sequences" / "00001" / "0266")
    (tmp_path / "fast_testset.txt").write_text("00001/0266\n\n00001/0268\n")
    found = find_clips("vimeo90k-fast", tmp_path)
    assert [clip.name for clip in found.clips] == ["00001/0266"]
    assert found.missing == ("00001/0268",)


def test_nothing_to_find(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        find_clips("vid4", tmp_path / "absent")
    with pytest.raises(UserError, match="not one clip"):
        find_clips("folder", tmp_path)
    with pytest.raises(UserError, match="no such list"):
        find_clips("vimeo90k-slow", tmp_path)
