"""Weight files: round trips, the checksum of the packaged one, and files that are not what they claim."""

import json
import os

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from yogo_jax import weights
from yogo_jax.errors import UserError
from yogo_jax.model import YOGOConfig

TINY = YOGOConfig(filters=4, groups=1, fe_blocks=0, frb_backward=0, frb_forward=0, hfbs=0, pyramid_levels=1)


@pytest.fixture
def params():
    rng = np.random.default_rng(0)
    tree: dict = {}
    for path, shape in weights.parameter_shapes(TINY).items():
        *folders, name = path.split("/")
        branch = tree
        for folder in folders:
            branch = branch.setdefault(folder, {})
        branch[name] = rng.standard_normal(shape).astype(np.float32)
    return tree


def test_round_trip(tmp_path, params):
    path = tmp_path / "deep" / "w.safetensors"
    weights.save_weights(path, TINY, params, {"steps": "7"})
    config, read = weights.load_weights(path)
    assert config == TINY
    jax.tree.map(np.testing.assert_array_equal, read, params)
    assert os.listdir(path.parent) == ["w.safetensors"]


def test_half_precision_is_read_as_float32(tmp_path, params):
    weights.save_weights(tmp_path / "w.safetensors", TINY, params, dtype=np.float16)
    _, read = weights.load_weights(tmp_path / "w.safetensors")
    for ours, exact in zip(jax.tree.leaves(read), jax.tree.leaves(params), strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, exact, rtol=2**-10, atol=1e-7)


def test_the_packaged_model_is_small_and_whole():
    path = weights.default_weights()
    assert path.stat().st_size < 3e6
    config, read = weights.load_weights()
    assert sum(leaf.size for leaf in jax.tree.leaves(read)) <= 1e6
    assert config.image_skip == "reconstruct"


def test_a_damaged_packaged_model_is_refused(tmp_path, monkeypatch):
    original = weights.default_weights()
    copy = tmp_path / original.name
    data = bytearray(original.read_bytes())
    data[-1] ^= 1
    copy.write_bytes(data)
    copy.with_suffix(".sha256").write_text(original.with_suffix(".sha256").read_text())
    monkeypatch.setattr(weights, "default_weights", lambda: copy)
    with pytest.raises(UserError, match="damaged"):
        weights.load_weights()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "names no network"),
        ("not json", "damaged"),
        (json.dumps({"network": "other"}), "network"),
        (json.dumps({"network": "yogo", "filters": 4, "surprise": 1}), "surprise"),
        (json.dumps({"network": "yogo", "filters": "4"}), "filters"),
        (json.dumps([1, 2]), "damaged"),
        ("[" * 200_000, "damaged"),
        ('{"network": "yogo", "filters": ' + "9" * 5000 + "}", "damaged"),
        (json.dumps({"network": "yogo", "filters": 2**70}), "at most"),
        (json.dumps({"network": "yogo", "hfbs": 10**6}), "hfbs"),
        (json.dumps({"network": "yogo", "filters": True}), "filters"),
        (json.dumps({"network": "yogo", "dcn_size": 1.0}), "dcn_size"),
        (json.dumps({"network": "yogo", "x\ny": 1}), "no field"),
    ],
)
def test_files_that_are_not_weights_are_refused(tmp_path, config, message):
    path = tmp_path / "w.safetensors"
    save_file({"a": np.zeros(3, np.float32)}, path, {"config": config} if config else {"other": "x"})
    with pytest.raises(UserError, match=message) as error:
        weights.load_weights(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"x", b"\xff" * 8 + b"{}", b"\x02" + b"\0" * 7 + b"{}"])
def test_files_that_are_not_safetensors_are_refused(tmp_path, content):
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"w\.safetensors"):
        weights.load_weights(path)


def test_what_does_not_fit_is_named(tmp_path, params):
    del params["fe"]["conv_first"]["bias"]
    weights.save_weights(tmp_path / "w.safetensors", TINY, params)
    with pytest.raises(UserError, match="'fe/conv_first/bias' is missing"):
        weights.load_weights(tmp_path / "w.safetensors")


def test_weights_that_are_not_numbers_are_refused(tmp_path, params):
    params["fe"]["conv_first"]["bias"][0] = np.nan
    weights.save_weights(tmp_path / "w.safetensors", TINY, params)
    with pytest.raises(UserError, match="finite"):
        weights.load_weights(tmp_path / "w.safetensors")
