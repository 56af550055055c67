"""Batches: exact patches, the same for every number of processes and threads, restored where they stopped."""

import dataclasses
import itertools

import grain
import numpy as np
import orbax.checkpoint as ocp
import pytest
from PIL import Image

from data_pipelines import augment, degrade
from data_pipelines.input import clip_stream, count_examples, make_eval_input, make_train_input
from data_pipelines.source import Clip, Source
from data_pipelines.video_clips import VideoClips
from yogo_jax import imaging
from yogo_jax.configuration import DataConfig
from yogo_jax.errors import UserError


@pytest.fixture(scope="module")
def config(footage, tmp_path_factory) -> DataConfig:
    """Six training examples of two clips, and one held out."""
    folder = tmp_path_factory.mktemp("data")
    VideoClips(data_dir=folder, source=footage, held_out=["*dog"], workers=1).download_and_prepare()
    return DataConfig(
        data_dir=str(folder),
        train=("video_clips/train",),
        evaluation="video_clips/test",
        batch=4,
        patch=(8, 8),
        eval_patch=(12, 16),
        time_reversal=True,
        codec_fraction=0.5,
        threads=2,
    )


def take(dataset, count):
    iterator = iter(dataset)
    return [next(iterator) for _ in range(count)]


def assert_equal(batches, others):
    for batch, other in zip(batches, others, strict=True):
        assert batch.keys() == other.keys()
        for name in batch:
            np.testing.assert_array_equal(batch[name], other[name])


def test_shapes_types_and_alignment(config):
    config = dataclasses.replace(config, codec_fraction=0.0)
    for batch in take(make_train_input(config, seed=0), 3):
        assert batch["lr"].shape == (4, 4, 8, 8, 3)
        assert batch["hr"].shape == (4, 7, 32, 32, 3)
        assert batch["lr"].dtype == batch["hr"].dtype == np.uint8
        # The known frames are the even ones; inside, a patch's bicubic does not see what is around it.
        own = imaging.low_resolution(batch["hr"][:, ::2]).astype(int)[:, :, 2:-2, 2:-2]
        assert np.abs(own - batch["lr"][:, :, 2:-2, 2:-2]).max() <= 1  # rounding, after a turn


def test_patches_are_cut_from_the_whole_frames_bicubic(scene):
    frames = scene(5, 7, 42, 51)  # neither side divides by 4
    whole = imaging.low_resolution(imaging.crop_to_multiple(frames))[::2]
    for corner in [(0, 0), (1, 1), (2, 4), (5, 7)]:
        example = augment.cut(frames, corner, (5, 5))
        rows, columns = (slice(first, first + 5) for first in corner)
        np.testing.assert_array_equal(example["lr"], whole[:, rows, columns])
        np.testing.assert_array_equal(example["hr"], frames[:, 4 * rows.start :, 4 * columns.start :][:, :20, :20])


def test_same_seed_same_batches_whatever_the_threads(config):
    reference = take(make_train_input(config, seed=3), 6)
    assert_equal(reference, take(make_train_input(dataclasses.replace(config, threads=5), seed=3), 6))
    cached = dataclasses.replace(config, cache_gigabytes=1.0)
    assert_equal(reference, take(make_train_input(cached, seed=3), 6))
    other = take(make_train_input(config, seed=4), 6)
    assert any(np.any(a["hr"] != b["hr"]) for a, b in zip(reference, other, strict=True))


def test_processes_read_disjoint_rows_of_the_same_global_batches(config):
    whole = take(make_train_input(config, seed=1), 4)
    shares = [take(make_train_input(config, seed=1, process_index=p, process_count=2), 4) for p in (0, 1)]
    joined = [{name: np.concatenate([a[name], b[name]]) for name in a} for a, b in zip(*shares, strict=True)]
    assert_equal(whole, joined)


def test_a_restored_iterator_goes_on_where_it_was_saved(config, tmp_path):
    iterator = iter(make_train_input(config, seed=5))
    for _ in range(3):
        next(iterator)
    with ocp.CheckpointManager(tmp_path) as manager:
        manager.save(3, args=ocp.args.Composite(data=grain.checkpoint.CheckpointSave(iterator)))
        expected = [next(iterator) for _ in range(4)]
        manager.wait_until_finished()
        fresh = iter(make_train_input(dataclasses.replace(config, threads=1), seed=5))
        restored = manager.restore(3, args=ocp.args.Composite(data=grain.checkpoint.CheckpointRestore(fresh)))
    assert_equal(expected, [next(restored["data"]) for _ in range(4)])


def test_every_pass_draws_each_example_once_in_another_order(config):
    stream = clip_stream(config, seed=0)
    passes = np.array([stream[i].id for i in range(18)]).reshape(3, 6)
    assert count_examples(config) == 6
    assert all(len(set(drawn)) == 6 for drawn in passes)
    assert len(np.unique(passes, axis=0)) > 1


def test_weights_say_how_often_clips_are_drawn(config):
    stream = clip_stream(dataclasses.replace(config, weights=("park/*=4", "*=1")), seed=0)
    # Two examples of weight 4 and four of weight 1: two of three draws.
    drawn = [stream[i].clip for i in range(48)]
    assert drawn.count("park/tree") == pytest.approx(48 * 8 / 12, abs=1)
    assert count_examples(dataclasses.replace(config, weights=("cut.mp4=0",))) == 2


def test_all_symmetries_of_a_square_and_only_those_of_a_rectangle():
    """The eight (four) are those that the group's generators make, each drawn alike."""
    frames = np.arange(7 * 8 * 8 * 3, dtype=np.uint8).reshape(7, 8, 8, 3)
    clip = Clip("a/0", "a", frames)
    turned = {np.rot90(side, k, (1, 2)).tobytes() for side in (frames, frames[:, :, ::-1]) for k in range(4)}
    square = augment.Augment((2, 2), False, 0.0, (18, 18))
    rng = np.random.default_rng(0)
    assert {square.random_map(clip, rng)["hr"].tobytes() for _ in range(200)} == turned
    wide = Clip("a/0", "a", frames[:, :4])
    rectangle = augment.Augment((1, 2), False, 0.0, (18, 18))
    drawn = {rectangle.random_map(wide, rng)["hr"].tobytes() for _ in range(100)}
    assert drawn == {
        np.rot90(side, k, (1, 2)).tobytes() for side in (wide.frames, wide.frames[:, :, ::-1]) for k in (0, 2)
    }


def test_time_reversal_turns_both_sides(scene):
    frames = scene(6, 7, 16, 16)
    rng = np.random.default_rng(1)
    patches = augment.Augment((4, 4), True, 0.0, (18, 18))
    for _ in range(20):
        example = patches.random_map(Clip("a/0", "a", frames), rng)
        lr = imaging.low_resolution(example["hr"][::2]).astype(int)
        assert np.abs(lr - example["lr"]).max() <= 1


def test_shrunk_examples_are_patches_of_the_shrunk_frame(scene):
    frames = scene(8, 7, 160, 200)
    whole = np.stack(
        [np.asarray(Image.fromarray(frame).resize((100, 80), Image.Resampling.BICUBIC)) for frame in frames]
    ).astype(int)
    views = np.lib.stride_tricks.sliding_window_view(whole[3], (16, 16, 3))[:, :, 0]
    patches = augment.Augment((4, 4), False, 0.0, (18, 18), shrink_fraction=1.0)
    rng = np.random.default_rng(3)
    for _ in range(10):
        hr = patches.random_map(Clip("a/0", "a", frames), rng)["hr"][3].astype(int)
        symmetries = [augment.turn(hr, *bits) for bits in itertools.product((False, True), repeat=3)]
        assert min(np.abs(views - turned).max((2, 3, 4)).min() for turned in symmetries) <= 2
    small = Clip("b/0", "b", scene(9, 7, 16, 40))
    assert patches.random_map(small, rng)["hr"].shape == (7, 16, 16, 3)


def test_codec_loses_more_with_a_higher_factor_and_is_the_same_every_time(scene):
    frames = scene(7, 4, 33, 47)
    errors = []
    for crf in (0, 18, 26, 34):
        compressed = degrade.compress(frames, crf)
        assert compressed.shape == frames.shape
        np.testing.assert_array_equal(compressed, degrade.compress(frames, crf))
        luma = imaging.rgb_to_y(compressed) - imaging.rgb_to_y(frames)  # 4:2:0 costs colour at any factor
        errors.append(np.mean(luma**2))
    assert errors == sorted(errors)
    assert errors[0] < 4 < errors[-1]


def test_evaluation_takes_centre_patches_and_masks_the_rest(config):
    config = dataclasses.replace(config, evaluation="video_clips/train")
    batches = list(make_eval_input(config, examples=0, batch=4))
    np.testing.assert_array_equal(np.concatenate([b["mask"] for b in batches]), [True] * 6 + [False] * 2)
    source = Source(config.data_dir, "video_clips", "train")
    frames = source[5].frames  # 72x50: 18x12 low-resolution pixels, of which 16x12 are taken
    np.testing.assert_array_equal(batches[1]["hr"][1], frames[:, :48, 4:68])
    whole = imaging.low_resolution(imaging.crop_to_multiple(frames))[::2]
    np.testing.assert_array_equal(batches[1]["lr"][1], whole[:, :12, 1:17])
    shares = [list(make_eval_input(config, examples=3, batch=2, process_index=p, process_count=2)) for p in (0, 1)]
    assert [[int(b["mask"].sum()) for b in share] for share in shares] == [[1, 1], [1, 0]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": ("video_clips",)}, "'video_clips' is not NAME/SPLIT"),
        ({"train": ("vid4/train",)}, "has no data set 'vid4'"),
        ({"train": ("video_clips/valid",)}, "has no split 'valid'"),
        ({"patch": (13, 13)}, "park/tree has 72x50 pixels, too few for a patch of 13x13"),
        ({"weights": ("park=high",)}, "'park=high' is not PATTERN=WEIGHT"),
        ({"weights": ("dog*=2",)}, r"'dog\*' matches no clip of video_clips/train"),
        ({"weights": ("*=0",)}, "leaves no training example"),
        ({"codec_fraction": 2.0}, "data.codec_fraction=2.0"),
        ({"shrink_fraction": -1.0}, "data.shrink_fraction=-1.0"),
        ({"codec_crf": (30, 20)}, "data.codec_crf"),
        ({"batch": 0}, "a batch of 0"),
        ({"threads": -1}, "data.threads=-1"),
        ({"cache_gigabytes": -1.0}, "data.cache_gigabytes=-1.0"),
    ],
)
def test_impossible_configs_are_refused_before_anything_runs(config, change, message):
    with pytest.raises(UserError, match=message):
        make_train_input(dataclasses.replace(config, **change), seed=0)


def test_processes_must_divide_the_batch(config):
    with pytest.raises(UserError, match="a batch of 4 does not divide among 3 processes"):
        make_train_input(config, seed=0, process_count=3)
