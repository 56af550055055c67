"""Exported artefacts, run without this package, against the networks themselves."""

import subprocess
import sys

import jax
import numpy as np
import pytest

from yogo_jax.cli import main
from yogo_jax.convert import to_flax, torch_shapes
from yogo_jax.model.config import YOGOConfig
from yogo_jax.weights import save_weights

CONFIG = YOGOConfig(
    filters=8,
    groups=4,
    fe_blocks=1,
    frb_backward=1,
    frb_forward=1,
    hfbs=1,
    pyramid_levels=2,
    dfu_direction="hidden",
    fusion="direct",
    image_skip="reconstruct",  # these as the packaged model has them
    motion="registered",
)

RUN_STABLEHLO = """
import sys, jax, numpy as np
program = jax.export.deserialize(open("net.stablehlo", "rb").read())
for name in ("small", "large"):
    np.save(f"{name}_found.npy", program.call(np.load(f"{name}.npy")))
assert not any(module.startswith("yogo_jax") for module in sys.modules)
"""


@pytest.fixture
def weights(tmp_path):
    rng = np.random.default_rng(0)
    tensors = {
        name: rng.normal(0, 0.8 * np.prod(shape[1:]) ** -0.5, shape).astype(np.float32)
        for name, shape in torch_shapes(CONFIG).items()
    }
    params = to_flax(tensors, CONFIG)
    save_weights(tmp_path / "net.safetensors", CONFIG, params)
    quick = {"xla_backend_optimization_level": 0}
    network = jax.jit(lambda frames: CONFIG.build().apply({"params": params}, frames).image, compiler_options=quick)
    return tmp_path / "net.safetensors", network


def frames(height, width):
    return np.random.default_rng(1).random((1, 2, height, width, 3), np.float32)


def test_stablehlo_runs_alone_at_any_size(weights, tmp_path):
    path, network = weights
    assert main(["export", str(tmp_path / "net.stablehlo"), "--weights", str(path), "--frames", "2"]) == 0
    inputs = {"small": frames(8, 16), "large": frames(24, 16)}
    for name, array in inputs.items():
        np.save(tmp_path / f"{name}.npy", array)
    subprocess.run([sys.executable, "-c", RUN_STABLEHLO], cwd=tmp_path, check=True)
    for name, array in inputs.items():
        np.testing.assert_allclose(np.load(tmp_path / f"{name}_found.npy"), network(array), atol=1e-5)


def test_onnx_runtime_agrees(weights, tmp_path):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    path, network = weights
    options = ["--format", "onnx", "--frames", "2", "--size", "8", "12"]
    assert main(["export", str(tmp_path / "net.onnx"), "--weights", str(path), *options]) == 0
    session = runtime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    array = frames(8, 12)
    (found,) = session.run(["image"], {"frames": np.moveaxis(array, -1, -3)})
    np.testing.assert_allclose(np.moveaxis(found, -3, -1), network(array), atol=1e-3)


def test_one_frame_is_not_enough(weights, tmp_path, capsys):
    assert main(["export", str(tmp_path / "net.stablehlo"), "--weights", str(weights[0]), "--frames", "1"]) == 2
    assert "2 or more" in capsys.readouterr().err


def test_onnx_takes_a_size(weights, tmp_path, capsys):
    assert main(["export", str(tmp_path / "net.onnx"), "--weights", str(weights[0]), "--format", "onnx"]) == 2
    assert "--size" in capsys.readouterr().err
