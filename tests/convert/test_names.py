"""The state-dict contract: every network's names and shapes are those of its PyTorch counterpart."""

import numpy as np
import pytest

from yogo_jax.convert import Mismatch, to_flax, to_torch, torch_shapes
from yogo_jax.convert.infer import infer_config
from yogo_jax.errors import UserError
from yogo_jax.model.config import YOGOConfig
from yogo_jax.peers import TMNetConfig, ZoomingSlowMoConfig

# Of the authors' repositories: what their state dicts hold, beside much of the same kind.
PUBLISHED = {
    "conv_first.weight": (64, 3, 3, 3),
    "feature_extraction.4.conv2.bias": (64,),
    "fea_L3_conv1.weight": (64, 64, 3, 3),
    "pcd_align.L3_offset_conv1_1.weight": (64, 128, 3, 3),
    "pcd_align.L3_offset_conv2_2.weight": (64, 64, 3, 3),
    "pcd_align.L2_offset_conv3_1.weight": (64, 64, 3, 3),
    "pcd_align.L1_dcnpack_2.conv_offset_mask.weight": (216, 64, 3, 3),
    "pcd_align.L1_fea_conv_1.weight": (64, 128, 3, 3),
    "fusion.weight": (64, 128, 1, 1),
    "ConvBLSTM.forward_net.pcd_h.fea_L2_conv2.weight": (64, 64, 3, 3),
    "ConvBLSTM.forward_net.pcd_c.pcd_align.L1_dcnpack_1.weight": (64, 64, 3, 3),
    "ConvBLSTM.forward_net.pcd_c.fusion.weight": (64, 128, 1, 1),
    "ConvBLSTM.forward_net.cell_list.0.conv.weight": (256, 128, 3, 3),
    "ConvBLSTM.conv_1x1.weight": (64, 128, 1, 1),
    "recon_trunk.39.conv1.weight": (64, 64, 3, 3),
    "upconv2.weight": (256, 64, 3, 3),
    "HRconv.weight": (64, 64, 3, 3),
    "conv_last.bias": (3,),
}
PUBLISHED_TMNET = {
    "pcd_align.TMB_A_l3.t_process.0.weight": (64, 1, 1, 1),
    "pcd_align.TMB_B_l1.t_process.4.weight": (64, 64, 1, 1),
    "pcd_align.TMB_A_l2.f_process.2.weight": (64, 64, 3, 3),
    "layersAtBOffset.0.weight": (64, 128, 3, 3),
    "layersCtBOffset.2.bias": (64,),
    "layersAtB.conv_offset_mask.bias": (216,),
    "layersFusion.4.weight": (192, 192, 1, 1),
    "layersFusion.6.weight": (64, 192, 1, 1),
}


def test_names_and_shapes_are_pytorchs(network, any_config):
    expected = {name: tuple(parameter.shape) for name, parameter in network(any_config).named_parameters()}
    assert torch_shapes(any_config) == expected


@pytest.mark.parametrize(
    ("config", "published"), [(ZoomingSlowMoConfig(), PUBLISHED), (TMNetConfig(), PUBLISHED | PUBLISHED_TMNET)]
)
def test_the_peers_names_are_the_published_ones(config, published):
    shapes = torch_shapes(config)
    assert {name: shapes.get(name) for name in published} == published
    # Weight and bias of every layer, but for the three dense layers of each temporal modulation block.
    without_bias = 18 if isinstance(config, TMNetConfig) else 0
    assert sum(name.endswith("weight") for name in shapes) - without_bias == len(shapes) // 2 - without_bias // 2


def random_tensors(config):
    rng = np.random.default_rng(0)
    return {name: rng.random(shape, np.float32) for name, shape in torch_shapes(config).items()}


def test_there_and_back(any_config):
    tensors = random_tensors(any_config)
    back = to_torch(to_flax(tensors, any_config), any_config)
    assert back.keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(back[name], tensor)


def test_the_network_is_read_off_its_tensors(any_config):
    tensors = random_tensors(any_config)
    found, assumed = infer_config(tensors)
    assert torch_shapes(found) == torch_shapes(any_config)
    # What no tensor tells, and what this network makes no use of.
    untold = {*assumed, "remat", "dtype", "frb_backward", "frb_forward", "cell_order", "auxiliary_heads"}
    if not any("dcnpack" in name for name in tensors):
        untold |= {"groups", "dfu_direction"}
    for field in set(found.__dataclass_fields__) - untold:
        assert getattr(found, field) == getattr(any_config, field), field


def test_other_networks_are_refused():
    with pytest.raises(UserError, match="conv_first"):
        infer_config({"features.0.weight": np.zeros((4, 3, 3, 3))})


def test_every_difference_is_named():
    config = YOGOConfig(filters=8, groups=4, fe_blocks=1, frb_backward=1, frb_forward=1, hfbs=1)
    tensors = random_tensors(config)
    del tensors["HRconv.bias"]
    tensors["extra.weight"] = np.zeros(3, np.float32)
    tensors["conv_last.weight"] = np.zeros((3, 8, 5, 5), np.float32)
    tensors["conv_last.bias"] = np.zeros(3, np.int64)
    with pytest.raises(Mismatch) as caught:
        to_flax(tensors, config)
    assert caught.value.missing == ["HRconv.bias"]
    assert caught.value.left_over == ["extra.weight"]
    assert sorted(caught.value.wrong) == [
        "conv_last.bias is int64, not floating point",
        "conv_last.weight is (3, 8, 5, 5), not (3, 8, 3, 3)",
    ]
