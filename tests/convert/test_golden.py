"""The Flax networks against what the PyTorch ones computed once, for machines without PyTorch."""

import importlib.util
from pathlib import Path

import jax
import numpy as np
import pytest

from yogo_jax.convert import to_flax, to_torch

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "make_golden.py"
specification = importlib.util.spec_from_file_location("make_golden", SCRIPT)
assert specification is not None
assert specification.loader is not None
make_golden = importlib.util.module_from_spec(specification)
specification.loader.exec_module(make_golden)

TORCH = importlib.util.find_spec("torch") is not None


@pytest.fixture(scope="module")
def golden():
    return dict(np.load(make_golden.GOLDEN))


@pytest.mark.parametrize("name", make_golden.CONFIGS)
@pytest.mark.skipif(not TORCH, reason="the file is checked against PyTorch where there is one")
def test_the_file_is_what_pytorch_computes(golden, name):
    for key, expected in make_golden.golden(name).items():
        np.testing.assert_allclose(golden[key], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", make_golden.CONFIGS)
@pytest.mark.skipif(TORCH, reason="with PyTorch, test_cross_framework.py compares the networks themselves")
def test_images_and_gradients(golden, name):
    config = make_golden.CONFIGS[name]
    network, params = config.build(), to_flax(make_golden.tensors(config), config)

    def loss(params):
        output = network.apply({"params": params}, make_golden.frames(), auxiliary=True)
        images = {head: image for head, image in output._asdict().items() if image is not None}
        return sum(
            (image * make_golden.weights_of_loss(head, image.shape)).sum() for head, image in images.items()
        ), images

    gradient = jax.jit(jax.grad(loss, has_aux=True), compiler_options={"xla_backend_optimization_level": 0})
    gradients, images = gradient(params)
    for head, image in images.items():
        np.testing.assert_allclose(image, golden[f"{name}/{head}"], atol=1e-4, rtol=0)
    found = to_torch(gradients, config)
    found = np.stack([make_golden.summary(key, found[key]) for key in sorted(found)])
    expected = golden[f"{name}/gradients"]
    # A product of the gradient is small by cancellation: it is held against the gradient's norm.
    assert (np.abs(found - expected) < 1e-3 * expected[:, :1]).all()
