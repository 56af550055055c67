"""Eight CPU devices for the tests of sharding, quick compilation, small weights, and real footage if there is any."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

# Most of the time here goes into compiling small programs that run once: compile them quickly.
QUICKLY = (
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true --xla_cpu_use_fusion_emitters=false"
)
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {QUICKLY}"

import jax  # noqa: E402  (after its flags)

# Commands that tests start keep their compiled programs here, not among the user's.
os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="yogo-tests-")
jax.config.update("jax_num_cpu_devices", 8)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real footage beside the project; the test is skipped where there is none."""
    folder = Path(__file__).resolve().parents[1].parent / "shared"
    if not folder.is_dir():
        pytest.skip("no ../shared beside the project")
    return folder


@pytest.fixture(scope="session")
def tiny():
    """The config of the smallest network that has every kind of layer."""
    from yogo_jax.model import YOGOConfig

    return YOGOConfig(
        filters=4,
        groups=1,
        fe_blocks=0,
        frb_backward=0,
        frb_forward=1,
        hfbs=1,
        pyramid_levels=1,
        dfu_direction="hidden",
    )


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> str:
    """A file of a very small network with random weights."""
    from flax.traverse_util import unflatten_dict

    from yogo_jax.model import YOGOConfig
    from yogo_jax.weights import parameter_shapes, save_weights

    small = {"filters": 8, "groups": 4, "fe_blocks": 1, "frb_backward": 1, "frb_forward": 1, "hfbs": 1}
    config = YOGOConfig(**small, pyramid_levels=1, dfu_direction="hidden", recon="light", image_skip="interpolate")
    rng = np.random.default_rng(0)
    params = {name: 0.1 * rng.standard_normal(shape) for name, shape in parameter_shapes(config).items()}
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(path, config, unflatten_dict(params, sep="/"))
    return str(path)
