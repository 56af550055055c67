"""The ablations end to end at a tiny budget, their variants, and their tables."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from PIL import Image

from data_pipelines.video_clips import VideoClips
from scripts import ablations
from yogo_jax.configuration import Config, DataConfig, OptimConfig, TrainConfig
from yogo_jax.errors import UserError
from yogo_jax.evaluation.clips import find_clips
from yogo_jax.model.config import YOGOConfig


def parameters(model: YOGOConfig) -> int:
    frames = jax.ShapeDtypeStruct((1, 2, 8, 8, 3), np.float32)
    shapes = jax.eval_shape(model.build().init, jax.random.key(0), frames)
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def test_the_variants_are_the_papers():
    tables = ablations.paper_tables(YOGOConfig())
    assert list(tables["Table 4"]) == ["0+10", "2+8", "4+6", "6+4", "8+2", "10+0"]
    assert list(tables["Figure 9"]) == [f"{n} HFB" for n in range(1, 10)]
    assert [len(tables[title]) for title in ("Table 3", "Table 5")] == [5, 4]
    for title, column in (("Table 3", "Model (e)"), ("Table 4", "4+6"), ("Table 5", "DFU+FRU"), ("Figure 9", "9 HFB")):
        assert YOGOConfig(**tables[title][column]) == YOGOConfig()
    # One direction alone is the smaller network; direct fusion costs what the HFM does, but for its gates and heads.
    sizes = {name: parameters(YOGOConfig(**changes)) for name, changes in tables["Table 3"].items()}
    assert sizes["Model (a)"] < sizes["Model (b)"] < sizes["Model (d)"] < sizes["Model (e)"]
    assert sizes["Model (b)"] < sizes["Model (c)"] < sizes["Model (e)"]


def test_each_departure_is_undone_alone():
    model = YOGOConfig(filters=24, groups=3, fusion="direct", motion="registered", recon="light")
    columns = ablations.paper_tables(model)["Departures"]
    assert columns == {
        "as it is": {},
        "fusion=hybrid": {"fusion": "hybrid"},
        "motion=none": {"motion": "none"},
        "recon=paper": {"recon": "paper"},
    }
    model = dataclasses.replace(model, image_skip="reconstruct")
    columns = ablations.paper_tables(model)["Departures"]
    assert columns["motion=none"] == {"motion": "none", "image_skip": "interpolate"}
    assert columns["no reconstruction"] == {"image_skip": "interpolate"}
    assert columns["image_skip=none"] == {"image_skip": "none"}
    assert list(ablations.paper_tables(YOGOConfig())["Departures"]) == ["as it is"]


def test_tables_say_which_orderings_hold():
    results = {"Table 5": {"DFU": {"vid4": [2.0, 2.2]}, "FRU": {"vid4": [1.0, 1.1]}}}
    results["Table 5"] |= {"FRU+DFU": {"vid4": [2.5, 2.0]}, "DFU+FRU": {"vid4": [2.4, 1.9]}}
    text = ablations.render(results, ablations.paper_orders(ablations.paper_tables(YOGOConfig())))
    assert "Vid4     2.10 ±0.14  1.05 ±0.07" in text
    assert "vid4: FRU < DFU: +1.050 dB, 2 of 2 seeds" in text
    assert "vid4: DFU < FRU+DFU: +0.150 dB, 1 of 2 seeds" in text
    assert "vid4: FRU+DFU < DFU+FRU: -0.100 dB, 0 of 2 seeds" in text


@pytest.fixture(scope="module")
def footage(tmp_path_factory):
    """A clip of 7 frames of moving noise, and the data set made of it."""
    folder = tmp_path_factory.mktemp("ablations")
    (folder / "source" / "clip").mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    for i in range(7):
        Image.fromarray(np.roll(noise, i, axis=1)).save(folder / "source" / "clip" / f"{i}.png")
    VideoClips(data_dir=folder / "data", source=folder / "source", test_fraction=0, workers=1).download_and_prepare()
    return folder


def test_it_trains_evaluates_and_resumes(footage, tiny, tmp_path):
    config = Config(
        model=tiny,
        data=DataConfig(
            data_dir=str(footage / "data"),
            train=("video_clips/train",),
            batch=8,
            patch=(8, 8),
            eval_patch=(8, 8),
            threads=1,
        ),
        optim=OptimConfig(),
        train=TrainConfig(steps=1, eval_every=0, checkpoint_every=1),
    )
    tables = {"Table 5": {"FRU": {"cell_order": "fru"}}, "Figure 9": {"1 HFB": {"cell_order": "fru", "hfbs": 1}}}
    tests = [find_clips("folder", footage / "source")]
    results = ablations.run(config, tables, tests, [3], tmp_path)
    folder = tmp_path / "cell_order=fru" / "seed3"
    # In both tables, and trained once.
    assert {path.name for path in tmp_path.iterdir()} == {"cell_order=fru", "budget.json"}
    psnr = json.loads((folder / "folder" / "results.json").read_text())["total"]["psnr_y"]
    assert results == {"Table 5": {"FRU": {"folder": [psnr]}}, "Figure 9": {"1 HFB": {"folder": [psnr]}}}

    weights = folder / "weights.safetensors"
    before = weights.stat().st_mtime_ns
    (folder / "folder" / "results.json").unlink()
    assert ablations.run(config, tables, tests, [3], tmp_path) == results  # scored again from its journal
    assert weights.stat().st_mtime_ns == before
    assert "1 HFB" in ablations.render(results, {})
    longer = dataclasses.replace(config, train=dataclasses.replace(config.train, steps=2))
    with pytest.raises(UserError, match="another config"):
        ablations.run(longer, tables, tests, [3], tmp_path)


def test_wrong_arguments_are_one_line(tmp_path, capsys):
    config = tmp_path / "config.py"
    config.write_text("from yogo_jax.configuration import base\n\n\ndef get_config():\n    return base()\n")
    common = [f"--config={config}", f"--workdir={tmp_path}"]
    assert ablations.main([*common, "--test", "vid5=x"]) == 2
    assert ablations.main([*common, "--test", f"folder={tmp_path}", "--tables", "Table 9"]) == 2
    assert ablations.main([*common, "--test", f"folder={tmp_path}", "--tables", "Table 4=5+6"]) == 2
    assert capsys.readouterr().err.count("\n") == 3
