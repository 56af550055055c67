"""The three data sets: what goes in comes out, whole, in its place, and errors say where they are."""

import json
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from data_pipelines import contact_sheet, shards, source
from data_pipelines.source import Source
from data_pipelines.vid4 import Vid4
from data_pipelines.video_clips import VideoClips, find_clips
from data_pipelines.vimeo90k_septuplet import Vimeo90kSeptuplet
from yogo_jax.cli import main
from yogo_jax.errors import UserError


def build(builder, folder, **options):
    builder(data_dir=folder, **{"workers": 1, **options}).download_and_prepare()
    return folder


@pytest.fixture(scope="session")
def clips(footage, tmp_path_factory):
    return build(VideoClips, tmp_path_factory.mktemp("data"), source=footage, held_out=["park/dog"])


def test_vimeo_keeps_splits_lists_and_every_byte(archive, tmp_path):
    lists = {motion: archive / f"{motion}.txt" for motion in ("fast", "medium", "slow")}
    build(Vimeo90kSeptuplet, tmp_path, source=archive, **lists)
    counts = {"train": 3, "fast": 1, "medium": 2, "slow": 1, "unlisted": 1}
    # TFDS itself reads it, by its registered name.
    builder = tfds.builder("vimeo90k_septuplet", data_dir=tmp_path, source=archive)
    assert {name: split.num_examples for name, split in builder.info.splits.items()} == counts
    assert source.splits(tmp_path, "vimeo90k_septuplet") == list(counts)
    (example,) = builder.as_data_source("slow")
    frames = [np.asarray(Image.open(archive / f"sequences/00003/0002/im{n}.png")) for n in range(1, 8)]
    np.testing.assert_array_equal(example["frames"], frames)
    joined = Source(tmp_path, "vimeo90k_septuplet", "fast+medium+slow+unlisted")
    assert [joined[i].id for i in range(5)] == (archive / "sep_testlist.txt").read_text().split()
    assert joined[3].frames.shape == (7, 256, 448, 3)


def test_vimeo_without_the_three_lists_has_one_test_split(archive, tmp_path):
    build(Vimeo90kSeptuplet, tmp_path, source=archive)
    assert source.splits(tmp_path, "vimeo90k_septuplet") == ["train", "test"]
    assert len(Source(tmp_path, "vimeo90k_septuplet", "test")) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fast": "fast.txt"}, "the medium list is missing"),
        ({"fast": "fast.txt", "medium": "none.txt", "slow": "slow.txt"}, "none.txt: no such list"),
        ({"fast": "sep_trainlist.txt", "medium": "medium.txt", "slow": "slow.txt"}, "not in sep_testlist"),
        ({"fast": "fast.txt", "medium": "fast.txt", "slow": "slow.txt"}, "or in two of the lists"),
    ],
)
def test_vimeo_says_which_list_is_wrong(archive, tmp_path, options, message):
    options = {motion: archive / name for motion, name in options.items()}
    with pytest.raises(UserError, match=message):
        build(Vimeo90kSeptuplet, tmp_path, source=archive, **options)


def test_vimeo_without_its_training_list_is_refused(archive, tmp_path):
    (tmp_path / "sequences").mkdir()
    with pytest.raises(UserError, match=r"sep_trainlist\.txt: no such list"):
        build(Vimeo90kSeptuplet, tmp_path / "data", source=tmp_path)
    with pytest.raises(UserError, match="sequences: no such folder"):
        build(Vimeo90kSeptuplet, tmp_path / "data", source=archive / "sequences")
    assert not (tmp_path / "data").exists()


def test_bad_septuplets_are_named_and_counted_up_to_the_limit(archive, tmp_path, capsys):
    broken = tmp_path / "archive"
    shutil.copytree(archive, broken)
    whole = (broken / "sequences/00001/0001/im3.png").read_bytes()
    (broken / "sequences/00001/0001/im3.png").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (446, 256)).save(broken / "sequences/00002/0001/im7.png")
    shutil.rmtree(broken / "sequences/00003/0003")
    with pytest.raises(UserError, match=r"3 unusable frames or clips, and the limit is 2: .*im3\.png"):
        build(Vimeo90kSeptuplet, tmp_path / "data", source=broken, max_skipped=2)
    build(Vimeo90kSeptuplet, tmp_path / "data", source=broken, max_skipped=3)
    path = tmp_path / "data/vimeo90k_septuplet/1.0.0/clips.json"
    skipped = json.loads(path.read_text())["skipped"]
    assert "im3.png: unreadable (" in skipped[0]
    assert "im7.png: 446x256, and a septuplet has 448x256" in skipped[1]
    assert "00003/0003/im1.png: missing" in skipped[2]
    assert len(Source(tmp_path / "data", "vimeo90k_septuplet", "train")) == 1
    assert f"skipped {skipped[0]}" in capsys.readouterr().out


def test_what_was_left_out_is_taken_in_after_a_repair(archive, tmp_path, monkeypatch):
    monkeypatch.setattr("data_pipelines.vimeo90k_septuplet._UNIT_SEPTUPLETS", 1)
    broken = tmp_path / "archive"
    shutil.copytree(archive, broken)
    for septuplet in ("00001/0001", "00002/0001"):
        (broken / "sequences" / septuplet / "im3.png").write_bytes(b"")
    with pytest.raises(UserError, match="2 unusable frames or clips, and the limit is 1"):
        build(Vimeo90kSeptuplet, tmp_path / "data", source=broken, max_skipped=1)
    shutil.copytree(archive, broken, dirs_exist_ok=True)
    build(Vimeo90kSeptuplet, tmp_path / "data", source=broken)
    assert len(Source(tmp_path / "data", "vimeo90k_septuplet", "train")) == 3


def test_vid4_holds_whole_clips(vid4, tmp_path):
    build(Vid4, tmp_path, source=vid4)
    clips = Source(tmp_path, "vid4", "test")
    assert {clips[i].id: len(clips[i].frames) for i in range(4)} == {
        "calendar": 41,
        "city": 34,
        "foliage": 49,
        "walk": 47,
    }


def test_vid4_with_a_missing_frame_or_folder_is_refused(vid4, tmp_path):
    lacking = tmp_path / "vid4"
    shutil.copytree(vid4, lacking)
    (lacking / "walk/00047.png").unlink()
    with pytest.raises(UserError, match="walk holds 46 images: walk has 47"):
        build(Vid4, tmp_path / "data", source=lacking)
    shutil.rmtree(lacking / "walk")
    with pytest.raises(UserError, match="walk: no such folder"):
        build(Vid4, tmp_path / "data", source=lacking)


def test_clips_are_cut_at_scene_changes_and_split_by_clip(clips):
    train, test = (Source(clips, "video_clips", split) for split in ("train", "test"))
    # The video's second shot begins at frame 18, and so does its first example.
    assert [train[i].id for i in range(len(train))] == [
        *("cut.mp4/000000", "cut.mp4/000007", "cut.mp4/000018", "cut.mp4/000025"),
        *("park/tree/000000", "park/tree/000007"),
    ]
    assert [test[i].id for i in range(len(test))] == ["park/dog/000000"]


def test_frames_of_images_and_videos_are_the_sources_own(clips, footage, scene):
    train = Source(clips, "video_clips", "train")
    images = [np.asarray(Image.open(footage / f"park/tree/{n:05d}.png")) for n in range(7, 14)]
    np.testing.assert_array_equal(train[5].frames, images)
    np.testing.assert_array_equal(train[2].frames, scene(4, 16, 64, 96)[:7])


def test_stride_shrink_exclude_and_hash_split(footage, tmp_path):
    options = {"source": footage, "exclude": ["park/dog"], "test_fraction": 0}
    build(VideoClips, tmp_path / "dense", stride=3, shrink=2, **options)
    dense = Source(tmp_path / "dense", "video_clips", "train")
    assert [dense[i].id[-6:] for i in range(4)] == ["000000", "000003", "000006", "000009"]
    assert dense[0].frames.shape == (7, 32, 48, 3)
    assert {run.clip for run in dense.runs} == {"cut.mp4", "park/tree"}
    assert source.splits(tmp_path / "dense", "video_clips") == ["train"]


def test_a_bad_frame_ends_an_example(footage, tmp_path):
    broken = tmp_path / "footage"
    shutil.copytree(footage / "park", broken / "park")
    (broken / "park/tree/00003.png").write_bytes(b"not an image")
    with pytest.raises(UserError, match=r"00003\.png: unreadable \(neither PNG nor JPEG\)"):
        build(VideoClips, tmp_path / "data", source=broken, held_out=["*dog"])
    build(VideoClips, tmp_path / "data", source=broken, max_skipped=1, held_out=["*dog"])
    train = Source(tmp_path / "data", "video_clips", "train")
    assert [train[i].id for i in range(len(train))] == ["park/tree/000004"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"held_out": ["cat*"]}, r"'cat\*' matches no clip in .*, such as 'cut.mp4'"),
        ({"stride": 0}, "stride 0: it takes 1 or more"),
        ({"shrink": 9}, "shrink 9: it takes 'auto' or a whole number from 1 to 8"),
        ({"test_fraction": 1.5}, "test fraction 1.5"),
    ],
)
def test_impossible_options_are_refused(footage, tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        build(VideoClips, tmp_path, source=footage, **options)


def test_a_folder_without_footage_is_refused(tmp_path):
    with pytest.raises(UserError, match="no video in it"):
        build(VideoClips, tmp_path / "data", source=tmp_path)


def test_links_to_folders_are_followed_once(footage, tmp_path):
    (tmp_path / "linked").symlink_to(footage)
    (tmp_path / "back").symlink_to(tmp_path)
    assert [clip.name for clip in find_clips(tmp_path)] == [f"linked/{clip.name}" for clip in find_clips(footage)]


def test_an_interrupted_build_goes_on(archive, tmp_path, monkeypatch):
    """Stopped in its second unit, it writes only the rest, and the whole is as if it had never stopped."""
    monkeypatch.setattr("data_pipelines.vimeo90k_septuplet._UNIT_SEPTUPLETS", 1)
    write_unit, calls = shards._write_unit, []

    def dies_at_the_third(unit, *arguments):
        calls.append(unit)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return write_unit(unit, *arguments)

    monkeypatch.setattr(shards, "_write_unit", dies_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        build(Vimeo90kSeptuplet, tmp_path, source=archive)
    assert not list(tmp_path.glob("*/1.0.0"))
    killed = tmp_path / "vimeo90k_septuplet/incomplete.ABC_1.0.0"  # what TFDS leaves of a killed one
    killed.mkdir()
    (killed / "clips.json").write_text("{}")
    with pytest.raises(UserError, match="has no data set"):
        Source(tmp_path, "vimeo90k_septuplet", "train")
    build(Vimeo90kSeptuplet, tmp_path, source=archive)
    assert len(calls) == 3 + 6
    train = Source(tmp_path, "vimeo90k_septuplet", "train")
    assert [train[i].id for i in range(3)] == ["00001/0001", "00001/0002", "00002/0001"]
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("*/*")] == ["vimeo90k_septuplet/1.0.0"]


def test_processes_write_what_one_does(clips, footage, tmp_path):
    build(VideoClips, tmp_path, source=footage, held_out=["park/dog"], workers=2)
    one, two = (
        {path.name: path.read_bytes() for path in (folder / "video_clips/1.0.0").iterdir()}
        for folder in (clips, tmp_path)
    )
    assert one == two


def test_building_twice_does_nothing_and_another_source_is_refused(clips, footage):
    before = (clips / "video_clips/1.0.0/clips.json").stat().st_mtime_ns
    build(VideoClips, clips, source=footage, held_out=["park/dog"])
    assert (clips / "video_clips/1.0.0/clips.json").stat().st_mtime_ns == before
    with pytest.raises(UserError, match="built from another source or with other options"):
        build(VideoClips, clips, source=footage, stride=3)


def test_command_line_builds_and_shows(footage, tmp_path, capsys):
    data = ["--data-dir", str(tmp_path)]
    options = ["--source", str(footage), "--held-out", "*dog", "--shrink", "2", "--workers", "1"]
    assert main(["data", "build", "video_clips", *options, *data]) == 0
    assert "train: 6 examples of 2 clips" in capsys.readouterr().out
    assert main(["data", "show", "video_clips", *data, "--out", str(tmp_path / "sheets")]) == 0
    assert "test: 1 examples of 1 clips" in capsys.readouterr().out
    with Image.open(tmp_path / "sheets/contact_sheet_train.png") as sheet:
        assert sheet.width == 7 * contact_sheet._WIDTH
    assert main(["data", "build", "video_clips", *options, "--data-dir", "/proc/nowhere"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["data", "show", "vid4", *data]) == 2
    assert "has no data set 'vid4'" in capsys.readouterr().err


def test_a_split_that_is_not_there_is_named(clips):
    with pytest.raises(UserError, match="has no split 'validation': it has train, test"):
        Source(clips, "video_clips", "validation")
