"""The PyTorch YOGO against the published costs, and its variants against what they must do."""

import dataclasses

import pytest

torch = pytest.importorskip("torch")

from yogo_jax.model.config import YOGOConfig  # noqa: E402
from yogo_jax.torch_reference import YOGO  # noqa: E402

TINY = YOGOConfig(filters=8, groups=4, fe_blocks=1, frb_backward=1, frb_forward=1, hfbs=1)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def convolution_cost(network, frames):
    """Multiply-adds with one more for each bias add, deformable kernels left out: how the paper counts."""
    total = 0

    def count(module, _, out):
        nonlocal total
        total += out.numel() * (module.weight[0].numel() + 1)

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(count)
    network(frames)
    return total


@pytest.mark.parametrize(("filters", "parameters", "cost"), [(56, 9.523e6, 1.146e12), (64, 12.114e6, 1.470e12)])
def test_costs_are_the_published_ones(filters, parameters, cost):
    with torch.device("meta"):
        network = YOGO(YOGOConfig(filters=filters), backend="grid_sample")
        frames = torch.zeros(1, 4, 3, 144, 180)
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(parameters, abs=500)
    assert convolution_cost(network, frames) == pytest.approx(cost, rel=5e-4)


VARIANTS = {
    "default": {},
    "mean frame": {"missing_frame": "mean"},
    "zero frame": {"missing_frame": "zero"},
    "one direction": {"dfu_direction": "hidden"},
    "two levels": {"pyramid_levels": 2},
    "one level": {"pyramid_levels": 1},
    "one sample": {"dcn_size": 1},
    "reduced gates": {"se_reduction": 4},
    "table 3 (a)": {"interaction": "backward_only", "fusion": "direct"},
    "table 3 (b)": {"interaction": "none", "fusion": "direct"},
    "table 3 (c)": {"interaction": "none"},
    "table 3 (d)": {"fusion": "direct"},
    "table 4 0+": {"frb_backward": 0},
    "table 5 DFU": {"cell_order": "dfu"},
    "table 5 FRU": {"cell_order": "fru"},
    "table 5 FRU then DFU": {"cell_order": "fru_dfu"},
    "no auxiliary heads": {"auxiliary_heads": False},
    "skip": {"image_skip": "interpolate"},
    "registered motion": {"image_skip": "interpolate", "motion": "registered"},
    "reconstruction": {"image_skip": "reconstruct", "motion": "registered"},
}


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS.keys())
def test_every_variant_uses_all_its_parameters(changes):
    network = YOGO(dataclasses.replace(TINY, **changes), backend="grid_sample")
    for parameter in network.parameters():  # past the zero starts, which stop gradients
        torch.nn.init.normal_(parameter, std=0.1)
    out = network(torch.rand(1, 3, 3, 9, 10), auxiliary=True)
    assert out.image.shape == (1, 5, 3, 36, 40)
    sum(x.square().mean() for x in out if x is not None).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_backward_states_reach_earlier_frames_only_where_the_variant_says():
    """Without interaction, the last input cannot reach the first frame's forward state."""
    frames = torch.rand(1, 3, 3, 8, 8)
    changed = frames.clone()
    changed[:, -1] = 1 - changed[:, -1]
    network = YOGO(TINY, backend="grid_sample").eval()
    apart = YOGO(dataclasses.replace(TINY, interaction="none"), backend="grid_sample").eval()
    with torch.no_grad():
        assert not torch.equal(network(frames, True).detail[:, 0], network(changed, True).detail[:, 0])
        assert torch.equal(apart(frames, True).detail[:, 0], apart(changed, True).detail[:, 0])
        assert not torch.equal(apart(frames, True).structure[:, 0], apart(changed, True).structure[:, 0])


def test_with_the_skip_an_untrained_network_is_bicubic():
    """A linear ramp in space and time comes out as the finer ramp, away from the mirrored edges."""
    network = YOGO(dataclasses.replace(TINY, image_skip="interpolate"), backend="grid_sample")
    x = torch.arange(12.0) / 20
    frames = torch.stack([x.expand(1, 3, 12, 12) + t / 10 for t in range(2)], dim=1)
    image = network(frames).image.detach()
    fine = (torch.arange(48) + 0.5) / 4 - 0.5
    for t in range(3):
        torch.testing.assert_close(image[0, t, :, 10:-10, 10:-10], (fine / 20 + t / 20)[10:-10].expand(3, 28, 28))
