"""Whole runs as users start them: interrupted in every way, and in two processes."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from data_pipelines.video_clips import VideoClips
from scripts.generate_clips import write_clips
from yogo_jax.training.checkpoint import Checkpoints
from yogo_jax.training.log import read_records
from yogo_jax.weights import load_weights

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
from yogo_jax.configuration import base

def get_config():
    config = base()
    config.model.update(filters=4, groups=1, fe_blocks=0, frb_backward=0, frb_forward=1, hfbs=1, pyramid_levels=1,
                        dfu_direction="hidden", image_skip="interpolate")
    config.data.update(data_dir={data!r}, train=("video_clips/train",), evaluation="video_clips/test", batch=2,
                       patch=(8, 8), eval_patch=(8, 8), threads=1)
    config.optim.update(learning_rate=1e-3, schedule="cosine", warmup_steps=2, ema_decay=0.9)
    config.train.update(steps=40, log_every=1, eval_every=0, eval_examples=2, checkpoint_every=5)
    return config
"""

# Over two devices, with a schedule that does not hang on the number of steps: one compiled program for all tests of it.
SPLIT = ("train.fsdp=2", "train.fsdp_min_size=1", "optim.schedule=piecewise")


class Runs:
    """Starts `yogo train` with one config, in one directory for each run."""

    def __init__(self, folder: Path):
        self.folder = folder
        write_clips(folder / "source", clips=3, frames=14, height=48, width=64)
        VideoClips(
            source=folder / "source", held_out=["clip02"], data_dir=folder / "data", workers=1
        ).download_and_prepare()
        (folder / "config.py").write_text(CONFIG.format(data=str(folder / "data")))

    def start(self, name: str, *overrides: str, init_from: Path | None = None, **environment: str) -> subprocess.Popen:
        environment = {
            **os.environ,
            "JAX_NUM_CPU_DEVICES": "1",
            "JAX_COMPILATION_CACHE_DIR": str(self.folder / "compiled"),
            **environment,
        }
        command = [sys.executable, "-m", "yogo_jax", "train", "--config", str(self.folder / "config.py")]
        command += ["--workdir", str(self.folder / name), *(f"--config.{text}" for text in overrides)]
        command += ["--init-from", str(init_from)] if init_from else []
        return subprocess.Popen(
            command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def start_two(self, name: str, *overrides: str) -> list[subprocess.Popen]:
        """Two processes of one run."""
        with socket.socket() as free:
            free.bind(("localhost", 0))
            address = f"localhost:{free.getsockname()[1]}"
        shared = {"YOGO_COORDINATOR": address, "YOGO_PROCESSES": "2"}
        return [self.start(name, *overrides, **shared, YOGO_PROCESS=str(process)) for process in range(2)]

    def finish(self, *processes: subprocess.Popen) -> str:
        outputs = [process.communicate(timeout=500)[0] for process in processes]
        assert [process.returncode for process in processes] == [0] * len(processes), "\n".join(outputs)
        return outputs[0]

    def records(self, name: str) -> list[dict]:
        records = read_records(self.folder / name / "log.jsonl")
        return [{k: v for k, v in r.items() if k not in ("kind", "time", "examples_per_second")} for r in records]

    def params(self, name: str) -> list[np.ndarray]:
        return jax.tree.leaves(load_weights(self.folder / name / "weights.safetensors")[1])


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Runs:
    return Runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def unbroken(runs) -> str:
    assert "did not provide metrics" not in runs.finish(runs.start("unbroken"))
    return "unbroken"


def test_a_run_killed_at_random_moments_ends_bit_for_bit_like_an_unbroken_one(runs, unbroken):
    rng = random.Random(0)
    log = runs.folder / "broken" / "log.jsonl"
    for number, signum in ((8, signal.SIGKILL), (17, signal.SIGTERM), (26, signal.SIGKILL)):
        process = runs.start("broken")
        while process.poll() is None and (not log.is_file() or log.read_text().count("\n") < number):
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.1))
        process.send_signal(signum)
        output, _ = process.communicate(timeout=500)
        assert process.returncode in ((-9,) if signum == signal.SIGKILL else (0,)), output
        if signum == signal.SIGTERM:
            assert "asked to stop: saved at step" in output
    assert "going on from step" in runs.finish(runs.start("broken"))
    assert runs.records("broken") == runs.records(unbroken)
    assert len(runs.records(unbroken)) == 40
    for ours, theirs in zip(runs.params("broken"), runs.params(unbroken), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_two_processes_train_like_one_and_one_goes_on_from_their_checkpoint(runs):
    runs.finish(*runs.start_two("two", "train.steps=6", *SPLIT))
    runs.finish(runs.start("two", "train.steps=10", "train.fsdp=1", "optim.schedule=piecewise"))
    runs.finish(runs.start("one", "train.steps=10", "optim.schedule=piecewise"))
    ours, theirs = runs.records("two"), runs.records("one")
    assert [record["step"] for record in ours] == list(range(1, 11))
    for a, b in zip(ours, theirs, strict=True):
        assert a == pytest.approx(b, rel=1e-3, abs=1e-6)
    for a, b in zip(runs.params("two"), runs.params("one"), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_sigterm_to_one_of_two_processes_saves_and_ends_both(runs):
    both = runs.start_two("stopped", "train.steps=100000", "train.checkpoint_every=100000", *SPLIT)
    log = runs.folder / "stopped" / "log.jsonl"
    while all(process.poll() is None for process in both) and not (log.is_file() and log.read_text().count("\n") > 1):
        time.sleep(0.01)
    both[1].send_signal(signal.SIGTERM)  # the one that writes no logs
    assert "asked to stop: saved at step" in runs.finish(*both)
    assert Checkpoints(runs.folder / "stopped" / "checkpoints").latest == runs.records("stopped")[-1]["step"]


def test_evaluation_best_checkpoint_pictures_and_weights(runs):
    options = ("train.steps=4", "train.eval_every=2", "optim.warmup_steps=1", "train.keep_latest=1")
    process = runs.start("evaluated", *options)
    assert "held out" in runs.finish(process)
    folder = runs.folder / "evaluated"
    scores = [record for record in runs.records("evaluated") if "psnr_y" in record]
    assert [record["step"] for record in scores] == [2, 4]
    assert scores[0].keys() >= {"psnr_y", "ssim_y", "psnr_y_known", "psnr_y_made"}
    for record in scores:  # four known frames of seven
        mean = (4 * record["psnr_y_known"] + 3 * record["psnr_y_made"]) / 7
        assert record["psnr_y"] == pytest.approx(mean, rel=1e-5)
    assert sorted(path.name for path in (folder / "samples").iterdir()) == ["0000002.png", "0000004.png"]
    best = max(scores, key=lambda record: record["psnr_y"])["step"]
    checkpoints = Checkpoints(folder / "checkpoints")
    assert checkpoints.latest == 4
    assert checkpoints.best == best


def test_initial_parameters_come_from_weights_and_from_runs(runs, unbroken):
    source = runs.folder / unbroken
    for given in (source / "weights.safetensors", source):
        name = f"from_{given.name}"
        options = ("train.steps=1", "optim.warmup_steps=0", "optim.learning_rate=1e-20")
        runs.finish(runs.start(name, *options, init_from=given))
        for a, b in zip(runs.params(name), runs.params(unbroken), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


def test_a_run_that_blows_up_stops_with_the_last_good_parameters(runs):
    options = ("optim.learning_rate=1e30", "optim.warmup_steps=1", "train.max_skipped=3", "train.log_every=100")
    process = runs.start("blown", *options)
    output, _ = process.communicate(timeout=500)
    assert process.returncode == 2, output
    assert "no finite loss or gradient in 3 steps" in output.splitlines()[-1]
    kept = Checkpoints(runs.folder / "blown" / "checkpoints").latest
    assert kept is not None
    assert f"checkpoints/{kept}" in output.splitlines()[-1]
    assert runs.records("blown")[-1]["skipped_in_a_row"] == 3
    assert [record["step"] for record in runs.records("blown")] == sorted({*range(5, kept, 5), kept})
