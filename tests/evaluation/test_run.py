"""Whole runs over small made-up clips: resuming, sharding, bad clips, files and the command."""

import csv
import dataclasses
import json
import os
import shutil
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from yogo_jax.cli import main
from yogo_jax.errors import UserError
from yogo_jax.evaluation.clips import find_clips
from yogo_jax.evaluation.evaluate import Runner, evaluate
from yogo_jax.evaluation.models import BASELINES, network
from yogo_jax.evaluation.run import score
from yogo_jax.evaluation.table import render, rows_of
from yogo_jax.imaging import low_resolution, quantise, rgb_to_y, upscale
from yogo_jax.model.config import YOGOConfig
from yogo_jax.weights import save_weights

TINY = YOGOConfig(
    filters=4, groups=1, fe_blocks=0, frb_backward=0, frb_forward=1, hfbs=1, pyramid_levels=1, dfu_direction="hidden"
)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Clips of 7 and 16 frames of drifting waves."""
    folder = tmp_path_factory.mktemp("clips")
    for name, count, height, width in (("a", 7, 24, 32), ("b", 16, 24, 33)):
        (folder / name).mkdir()
        y, x = np.mgrid[:height, :width][..., None]
        for i in range(count):
            frame = 128 + 90 * np.sin((x + 2 * i) / 4 + [0, 1, 2]) * np.cos((y - i) / 5)
            Image.fromarray(np.uint8(frame)).save(folder / name / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def finished(clips, tmp_path_factory):
    """The folder of a finished run of the blend over the clips."""
    folder = tmp_path_factory.mktemp("finished")
    score(BASELINES["blend"], find_clips("folder", clips), folder)
    return folder


def results_in(folder):
    return json.loads((folder / "results.json").read_text())


def table_in(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_scores_are_those_of_numpy_and_scikit_image(clips, tmp_path):
    frames = np.stack(list(find_clips("folder", clips).clips[1].frames()))[..., :32, :]
    made = quantise(upscale(low_resolution(frames)))
    expected = [
        peak_signal_noise_ratio(rgb_to_y(a), rgb_to_y(b), data_range=255) for a, b in zip(frames, made, strict=True)
    ]
    runner = Runner(BASELINES["bicubic"], jax.devices()[:1])
    (clip,) = evaluate(runner, find_clips("folder", clips).clips[1:])
    np.testing.assert_allclose(clip.scores["psnr_y"], expected, atol=1e-3)
    # Windows start at 0, 6 and 9: in the third one, odd frames are the ones that are given.
    assert np.flatnonzero(clip.known).tolist() == [0, 2, 4, 6, 8, 10, 12, 13, 15]


def test_any_number_of_devices_gives_the_same_scores(clips, finished):
    expected = table_in(finished / "frames.csv")  # on all eight, a window each
    for devices, per_device in ((1, 1), (3, 2)):
        runner = Runner(BASELINES["blend"], jax.devices()[:devices])
        for clip in evaluate(runner, find_clips("folder", clips).clips, per_device):
            rows = [row for row in expected if row["clip"] == clip.name]
            for metric, values in clip.scores.items():
                np.testing.assert_allclose(values, [float(row[metric]) for row in rows], rtol=1e-5)


PROCESS = "import sys; from yogo_jax.cli import main; sys.exit(main(sys.argv[1:]))"


def test_two_processes_give_the_same_results(clips, finished, tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", PROCESS, "eval", "--model=blend", "--data=folder", f"--source={clips}"]
    where = {"YOGO_COORDINATOR": f"localhost:{port}", "YOGO_PROCESSES": "2", "JAX_PLATFORMS": "cpu"}
    processes = [
        subprocess.Popen([*command, f"--out={tmp_path / str(i)}"], env={**os.environ, **where, "YOGO_PROCESS": str(i)})
        for i in range(2)
    ]
    assert [process.wait(300) for process in processes] == [0, 0]
    results = results_in(tmp_path / "0")
    assert results["speed"]["device"].startswith("2 × ")
    assert not (tmp_path / "1").exists()
    for part in ("total", "known", "made"):
        assert results[part] == pytest.approx(results_in(finished)[part], rel=1e-5)


def test_a_stopped_run_resumes(clips, finished, tmp_path):
    lines = (finished / "journal.jsonl").read_text().splitlines(keepends=True)
    journal = tmp_path / "journal.jsonl"
    journal.write_text("".join(lines[:2]) + lines[2][:50])  # killed while it wrote the second clip
    score(BASELINES["blend"], find_clips("folder", clips), tmp_path)
    assert results_in(tmp_path)["clips"].keys() == {"a", "b"}
    assert results_in(tmp_path)["total"] == pytest.approx(results_in(finished)["total"], rel=1e-6)
    assert journal.read_text().splitlines(keepends=True)[:2] == lines[:2]


def test_a_finished_run_keeps_what_it_cost(clips, finished, tmp_path):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    score(BASELINES["blend"], find_clips("folder", clips), tmp_path)
    assert results_in(tmp_path) == results_in(finished)


def test_two_models_of_one_name_are_no_row(finished):
    results = results_in(finished)
    other = {**results, "model": {**results["model"], "baseline": "bicubic"}}
    with pytest.raises(UserError, match="two models are called 'blend'"):
        rows_of([results, other])


def test_a_folder_that_is_a_file_is_one_line(clips, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    command = ["eval", "--model=blend", "--data=folder", f"--source={clips}", f"--out={tmp_path / 'file'}"]
    assert main(command) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_another_runs_folder_is_refused(clips, finished):
    with pytest.raises(UserError, match="results of another run"):
        score(BASELINES["bicubic"], find_clips("folder", clips), finished)


def test_bad_clips_are_named_and_the_others_scored(clips, tmp_path, capsys):
    source = tmp_path / "clips"
    shutil.copytree(clips / "a", source / "a")
    shutil.copytree(clips / "a", source / "broken")
    Image.open(clips / "a" / "6.png").convert("L").save(source / "broken" / "6.png")
    results = score(BASELINES["blend"], find_clips("folder", source), tmp_path / "out")
    assert "yogo: broken: 6.png is a grey image; frames are 8-bit RGB" in capsys.readouterr().err
    assert list(results["clips"]) == ["a"]
    assert list(results["data"]["failed"]) == ["broken"]

    shutil.rmtree(source / "a")
    with pytest.raises(UserError, match="not one of 1 clips"):
        score(BASELINES["blend"], find_clips("folder", source), tmp_path / "out2")


def test_files_agree_with_each_other(finished):
    results = results_in(finished)
    frames = table_in(finished / "frames.csv")
    by_clip = table_in(finished / "clips.csv")
    assert len(frames) == results["total"]["frames"] == 23
    assert [row["clip"] for row in by_clip] == ["a", "b", "total"]
    for group, wanted in (("total", "01"), ("known", "1"), ("made", "0")):
        means = [
            np.mean([float(f["psnr_y"]) for f in frames if f["clip"] == clip and f["known"] in wanted]) for clip in "ab"
        ]
        assert results[group]["psnr_y"] == pytest.approx(np.mean(means))
    assert float(by_clip[-1]["psnr_y"]) == results["total"]["psnr_y"]
    assert float(by_clip[-1]["made_ssim_y"]) == results["made"]["ssim_y"]
    assert results["speed"]["fps"] > 0
    assert results["memory"]["peak_bytes"] > 2**20


def test_a_network_is_scored_from_its_weights(clips, tmp_path):
    shapes = jax.eval_shape(TINY.build().init, jax.random.key(0), np.zeros((1, 2, 8, 8, 3), np.float32))["params"]
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: rng.normal(0, 0.05, leaf.shape).astype(np.float32), shapes)
    save_weights(tmp_path / "tiny.safetensors", TINY, params)
    found = find_clips("folder", clips)
    one_clip = dataclasses.replace(found, clips=found.clips[:1])
    results = score(
        network(tmp_path / "tiny.safetensors", name="ours"), one_clip, tmp_path / "out", devices=jax.devices()[:1]
    )
    assert results["model"]["config"]["filters"] == 4
    assert results["model"]["parameters"] == sum(leaf.size for leaf in jax.tree.leaves(params))
    assert "ours" in render(rows_of([results]))
    with pytest.raises(UserError, match="weights of another network"):
        network(tmp_path / "tiny.safetensors", YOGOConfig(filters=16))


def test_a_model_of_another_rate_is_refused(clips, tmp_path):
    twice = dataclasses.replace(BASELINES["blend"], rate=1)
    with pytest.raises(UserError, match="blend makes 13 frames of a window; 7 are scored"):
        score(twice, find_clips("folder", clips), tmp_path)


def test_arguments_are_checked_first(capsys):
    assert main(["eval", "--data=folder", "--source=.", "--out=x", "--model=blend", "--weights=x"]) == 2
    assert "--weights" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["eval", "--data=folder", "--source=.", "--out=x", "--batch=0"])
    assert "--batch" in capsys.readouterr().err
