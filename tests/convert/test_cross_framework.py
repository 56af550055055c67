"""The Flax networks against the PyTorch ones, which were written from the papers alone."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from PIL import Image

from yogo_jax.convert import to_flax, to_torch
from yogo_jax.model.config import YOGOConfig
from yogo_jax.peers import TMNetConfig, ZoomingSlowMoConfig

torch = pytest.importorskip("torch")


def arrays(module):
    """Copies: JAX may compute with an array while PyTorch already changes its tensor in place."""
    return {name: tensor.detach().numpy().copy() for name, tensor in module.state_dict().items()}


def channels_last(tensor):
    return np.moveaxis(tensor.detach().numpy(), -3, -1)


def charbonnier(library, outputs, targets):
    return sum(library.sqrt((o - t) ** 2 + 1e-6).mean() for o, t in zip(outputs, targets, strict=True))


class Pair:
    """A PyTorch network, the Flax network with its weights, and the same frames and targets for both."""

    def __init__(self, network, config, frames=None):
        rng = np.random.default_rng(0)
        self.torch = network(config)
        self.flax, self.params = config.build(), to_flax(arrays(self.torch), config)
        self.frames = rng.random((1, 2, 9, 10, 3), np.float32) if frames is None else frames
        outputs = self.torch(torch.from_numpy(np.moveaxis(self.frames, -1, -3).copy()), auxiliary=True)
        self.heads = [name for name in outputs._fields if getattr(outputs, name) is not None]
        self.outputs = {name: channels_last(getattr(outputs, name)) for name in self.heads}
        self.targets = [rng.random(self.outputs[name].shape, np.float32) for name in self.heads]

    def torch_loss(self):
        outputs = self.torch(torch.from_numpy(np.moveaxis(self.frames, -1, -3).copy()), auxiliary=True)
        targets = [torch.from_numpy(np.moveaxis(target, -1, -3).copy()) for target in self.targets]
        return charbonnier(torch, [getattr(outputs, name) for name in self.heads], targets)

    def flax_loss(self, params):
        outputs = self.flax.apply({"params": params}, self.frames, auxiliary=True)
        outputs = {name: getattr(outputs, name) for name in self.heads}
        return charbonnier(jnp, outputs.values(), self.targets), outputs


def relative(found, expected):
    return np.linalg.norm(found - expected) / max(np.linalg.norm(expected), 1e-30)


def assert_same_gradients(config, gradients, module):
    found = to_torch(gradients, config)
    expected = {name: parameter.grad.numpy() for name, parameter in module.named_parameters()}
    assert found.keys() == expected.keys()
    differences = {name: relative(found[name], expected[name]) for name in expected}
    assert max(differences.values()) < 1e-3, max(differences.items(), key=lambda item: item[1])


def compiled(function):
    """Compiled with little optimisation: these networks take longer to compile than to run."""
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})


def adamax_steps(pair, gradient, steps, rate):
    """AdaMax in both frameworks at once. Returns the Flax parameters, the PyTorch ones are changed in place."""
    optimiser = optax.adamax(rate)
    params, state = pair.params, optimiser.init(pair.params)
    theirs = torch.optim.Adamax(pair.torch.parameters(), rate)
    for _ in range(steps):
        updates, state = optimiser.update(gradient(params)[1], state, params)
        params = optax.apply_updates(params, updates)
        theirs.zero_grad()
        pair.torch_loss().backward()
        theirs.step()
    return params


def test_outputs_gradients_and_optimiser_steps(network, yogo_config):
    """At a size that needs padding: every head, the gradient of every parameter, and three steps of AdaMax."""
    pair = Pair(network, yogo_config)
    gradient = compiled(jax.value_and_grad(pair.flax_loss, has_aux=True))
    (loss, outputs), gradients = gradient(pair.params)
    for name, expected in pair.outputs.items():
        np.testing.assert_allclose(outputs[name], expected, atol=1e-4, rtol=0)
    expected = pair.torch_loss()
    assert float(loss) == pytest.approx(expected.item(), rel=1e-5)
    expected.backward()
    assert_same_gradients(yogo_config, gradients, pair.torch)

    params = adamax_steps(pair, gradient, steps=3, rate=1e-4)
    found, start, end = to_torch(params, yogo_config), to_torch(pair.params, yogo_config), arrays(pair.torch)
    # AdaMax's first steps go by the gradient's sign, so that where it is nearly zero a rounding error turns them.
    moved = sum(np.square(end[name] - start[name]).sum() for name in end)
    apart = sum(np.square(found[name] - end[name]).sum() for name in end)
    assert moved > 0
    assert apart < 1e-3 * moved
    (loss, _), _ = gradient(params)
    assert float(loss) == pytest.approx(pair.torch_loss().item(), rel=1e-5)


@pytest.fixture
def frames():
    """A small crop of real footage where there is some, noise elsewhere: [1, 2, 12, 16, 3]."""
    folder = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "clips" / "davis" / "dog"
    if not folder.is_dir():
        return np.random.default_rng(0).random((1, 2, 12, 16, 3), np.float32)
    images = [Image.open(path).crop((300, 200, 364, 248)).resize((16, 12)) for path in sorted(folder.iterdir())[:3:2]]
    return np.float32(np.stack(images))[None] / 255


@pytest.mark.parametrize(
    "config",
    [YOGOConfig(filters=56), YOGOConfig(filters=64), ZoomingSlowMoConfig(), TMNetConfig(moments=(0.3,))],
    ids=["YOGO-56", "YOGO-64", "Zooming Slow-Mo", "TMNet"],
)
def test_the_published_networks_on_a_real_clip(network, config, frames):
    pair = Pair(network, config, frames)
    found = compiled(pair.flax.apply)({"params": pair.params}, pair.frames)
    np.testing.assert_allclose(found.image, pair.outputs["image"], atol=1e-4, rtol=0)
