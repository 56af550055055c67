"""Every kind of network, small, and its PyTorch counterpart with weights that hide nothing."""

import pytest

from yogo_jax.model.config import YOGOConfig
from yogo_jax.model.layers import LOOPED_FROM
from yogo_jax.peers import TMNetConfig, ZoomingSlowMoConfig

TINY = {"filters": 8, "groups": 4, "fe_blocks": 2}
YOGO_TINY = TINY | {"frb_backward": 2, "frb_forward": 2, "hfbs": 2}

# Between them, these take every value of every choice: the paper's network with all of it, and variants with as
# little of the aligner, which is most of the time to compile, as their own choice needs.
VARIANTS = {
    "the paper's": {},
    "table 3 (a), no DFU": {
        "interaction": "backward_only",
        "fusion": "direct",
        "cell_order": "fru",
        "missing_frame": "zero",
        "recon": "light",
    },
    "table 3 (c), FRU then DFU, chains as loops": {
        "filters": LOOPED_FROM,
        "interaction": "none",
        "cell_order": "fru_dfu",
        "missing_frame": "mean",
        "dfu_direction": "hidden",
        "pyramid_levels": 1,
        "dcn_size": 1,
        "se_reduction": 4,
        "image_skip": "interpolate",
    },
    "table 3 (d), DFU alone": {
        "fusion": "direct",
        "cell_order": "dfu",
        "dfu_direction": "hidden",
        "pyramid_levels": 2,
        "auxiliary_heads": False,
        "image_skip": "reconstruct",
        "motion": "registered",
    },
    "table 3 (b), table 4 0+3, chains as loops": {
        "filters": LOOPED_FROM,
        "interaction": "none",
        "fusion": "direct",
        "frb_backward": 0,
        "frb_forward": 3,
        "dfu_direction": "hidden",
        "pyramid_levels": 1,
        "remat": True,
    },
}
CONFIGS = {name: YOGOConfig(**(YOGO_TINY | changes)) for name, changes in VARIANTS.items()} | {
    "Zooming Slow-Mo": ZoomingSlowMoConfig(**TINY, recon_blocks=2),
    "TMNet": TMNetConfig(**TINY, recon_blocks=2, moments=(0.3,)),
}


@pytest.fixture(params=[CONFIGS[name] for name in VARIANTS], ids=VARIANTS.keys())
def yogo_config(request):
    return request.param


@pytest.fixture(params=CONFIGS.values(), ids=CONFIGS.keys())
def any_config(request):
    return request.param


@pytest.fixture
def network():
    """Makes the PyTorch network of a config, with offsets and masks that move (they start at zero)."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)

    def make(config):
        from yogo_jax.torch_reference import build

        torch.manual_seed(0)
        made = build(config, backend="grid_sample")
        for name, parameter in made.named_parameters():
            fan = max(parameter[0].numel(), 1)
            torch.nn.init.normal_(parameter, std=0.7 * fan**-0.5 if parameter.ndim > 1 else 0.1)
            if "offset_mask" in name:
                parameter.data.mul_(2)
        return made

    return make
