"""The packaged model: what is packaged is what is loaded, and damage is seen."""

import jax
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict

from scripts import package_weights
from yogo_jax import weights
from yogo_jax.errors import UserError
from yogo_jax.model import YOGOConfig


def test_packaged_weights_are_the_run_s_in_half_precision(tmp_path, monkeypatch):
    packaged = tmp_path / "default.safetensors"
    monkeypatch.setattr(weights, "default_weights", lambda: packaged)
    monkeypatch.setattr(package_weights, "default_weights", lambda: packaged)
    config = YOGOConfig(filters=8, groups=2, fe_blocks=0, frb_backward=0, frb_forward=1, hfbs=1, pyramid_levels=1)
    rng = np.random.default_rng(0)
    shapes = weights.parameter_shapes(config)
    params = unflatten_dict({name: np.float32(rng.normal(size=shape)) for name, shape in shapes.items()}, sep="/")
    weights.save_weights(tmp_path / "run.safetensors", config, params)

    package_weights.main(str(tmp_path / "run.safetensors"))

    loaded_config, loaded = weights.load_weights()
    assert loaded_config == config
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(np.float32(np.float16(a)), b), params, loaded)
    data = bytearray(packaged.read_bytes())
    data[-1] ^= 1
    packaged.write_bytes(data)
    with pytest.raises(UserError, match="damaged"):
        weights.load_weights()
