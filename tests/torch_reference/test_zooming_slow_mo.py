"""The PyTorch peers against their published costs, and TMNet's moments against what they must do."""

import pytest

torch = pytest.importorskip("torch")

from yogo_jax.peers import TMNetConfig, ZoomingSlowMoConfig  # noqa: E402
from yogo_jax.torch_reference import build  # noqa: E402

TINY = dict(filters=8, groups=4, fe_blocks=1, recon_blocks=1)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.mark.parametrize(("config", "parameters"), [(ZoomingSlowMoConfig(), 11.10e6), (TMNetConfig(), 12.26e6)])
def test_parameters_are_the_published_ones(config, parameters):
    with torch.device("meta"):
        network = build(config)
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(parameters, abs=5e3)


def randomise(network):
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)


@pytest.mark.parametrize("config", [ZoomingSlowMoConfig(**TINY), TMNetConfig(**TINY, moments=(0.3,))])
def test_every_parameter_is_used(config):
    network = build(config, backend="grid_sample")
    randomise(network)
    out = network(torch.rand(1, 3, 3, 9, 10))
    assert out.image.shape == (1, 5, 3, 36, 40)
    out.image.square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_moments_set_the_rate_and_the_middle_is_without_modulation():
    many = build(TMNetConfig(**TINY, moments=(0.25, 0.5, 0.75)), backend="grid_sample")
    randomise(many)
    middle = build(TMNetConfig(**TINY), backend="grid_sample")
    middle.load_state_dict(many.state_dict())
    frames = torch.rand(1, 2, 3, 8, 8)
    with torch.no_grad():
        modulated = many(frames).image
        assert modulated.shape[1] == 5
        before = middle(frames).image
        for name, parameter in middle.named_parameters():
            if "TMB" in name:
                parameter.zero_()
        torch.testing.assert_close(middle(frames).image, before, rtol=0, atol=0)
        for name, parameter in many.named_parameters():
            if "TMB" in name:
                parameter.zero_()
        unmodulated = many(frames).image
        for made in (1, 3):
            assert not torch.equal(modulated[:, made], unmodulated[:, made])
