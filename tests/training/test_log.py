"""Records that survive crashes, and events that the stock TensorBoard reads."""

import json
import resource
import sys

import numpy as np
import pytest

from yogo_jax.errors import UserError
from yogo_jax.training.log import Log, read_records


def test_a_resumed_log_holds_one_unbroken_curve(tmp_path):
    log = Log(tmp_path, 0, 10, 2)
    for step in (1, 2, 3):
        log.train(step, {"loss": float(step), "skipped": 0.0})
    log.close()
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"kind": "train", "st')  # cut short by a crash
    log = Log(tmp_path, 2, 10, 2)
    log.train(3, {"loss": float("nan"), "skipped": 1.0})
    log.close()
    records = read_records(tmp_path / "log.jsonl")
    assert [(record["step"], record["loss"]) for record in records] == [(1, 1.0), (2, 2.0), (3, None)]
    assert all("NaN" not in json.dumps(record) for record in records)


@pytest.mark.skipif(sys.platform != "linux", reason="file size limits")
def test_a_full_disk_is_a_line(tmp_path, capsys):  # capsys: pytest keeps the console in a file too
    log = Log(tmp_path, 0, 10, 2)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        for message in ("no space left on the disk", "File too large"):  # what there is room for is written
            with pytest.raises(UserError, match=f"cannot write the log: {message}"):
                log.train(1, {"loss": 1.0})
        with pytest.raises(UserError, match=r"0000001\.png: cannot write here: File too large"):
            log.picture(1, np.zeros((64, 64, 3), np.uint8))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    log.close()


def test_the_stock_tensorboard_reads_scalars_and_pictures(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    picture = np.random.default_rng(0).integers(0, 256, (8, 24, 3), np.uint8)
    for start, steps, offset in ((0, (1, 2, 3), 0.0), (2, (3, 4), 10.0)):  # the second start withdraws step 3
        log = Log(tmp_path, start, 10, 2)
        for step in steps:
            log.train(step, {"loss": step + offset, "skipped": 0.0})
        log.evaluation(steps[-1], {"psnr_y": 30.0})
        log.picture(steps[-1], picture)
        log.close()
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    losses = [(event.step, event.value) for event in events.Scalars("train/loss")]
    assert losses == [(1, 1.0), (2, 2.0), (3, 13.0), (4, 14.0)]
    assert events.Scalars("eval/psnr_y")[-1].value == 30.0
    image = events.Images("samples")[-1]
    assert (image.step, image.height, image.width) == (4, 8, 24)
