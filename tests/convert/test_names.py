"""The state-dict contract: every network's names and shapes are those of its PyTorch counterpart."""

import numpy as np
import pytest

from yogo_jax.convert import Mismatch, to_flax, to_torch, torch_shapes
from yogo_jax.convert.infer import infer_config
from yogo_jax.errors import UserError
from yogo_jax.model.config import YOGOConfig
from yogo_jax.peers import TMNetConfig, ZoomingSlowMoConfig


def published_shapes(tmnet: bool) -> dict[str, tuple[int, ...]]:
    """Every tensor of the authors' state dicts, as their repositories name and shape them."""
    shapes: dict[str, tuple[int, ...]] = {}

    def conv(name, inputs, outputs=64, size=3, bias=True):
        shapes[f"{name}.weight"] = (outputs, inputs, size, size)
        if bias:
            shapes[f"{name}.bias"] = (outputs,)

    def dcn(name):
        conv(name, 64)
        conv(f"{name}.conv_offset_mask", 64, 3 * 9 * 8)

    def aligner(prefix, modulated=False):
        for way in "12":
            for level in "321":
                conv(f"{prefix}L{level}_offset_conv1_{way}", 128)
                conv(f"{prefix}L{level}_offset_conv2_{way}", 64 if level == "3" else 128)
                dcn(f"{prefix}L{level}_dcnpack_{way}")
                if level != "3":
                    conv(f"{prefix}L{level}_offset_conv3_{way}", 64)
                    conv(f"{prefix}L{level}_fea_conv_{way}", 128)
                if modulated:
                    block = f"{prefix}TMB_{'AB'[int(way) - 1]}_l{level}"
                    for layer, inputs in ((0, 1), (2, 64), (4, 64)):
                        conv(f"{block}.t_process.{layer}", inputs, size=1, bias=False)
                    for layer in (0, 2):
                        conv(f"{block}.f_process.{layer}", 64)

    def pyramid(prefix):
        for layer in ("L2_conv1", "L2_conv2", "L3_conv1", "L3_conv2"):
            conv(f"{prefix}fea_{layer}", 64)

    conv("conv_first", 3)
    for name, count in (("feature_extraction", 5), ("recon_trunk", 40)):
        for block in range(count):
            conv(f"{name}.{block}.conv1", 64)
            conv(f"{name}.{block}.conv2", 64)
    for prefix in ("", "ConvBLSTM.forward_net.pcd_h.", "ConvBLSTM.forward_net.pcd_c."):
        pyramid(prefix)
        aligner(f"{prefix}pcd_align.", modulated=tmnet and not prefix)
        conv(f"{prefix}fusion", 128, size=1)
    conv("ConvBLSTM.forward_net.cell_list.0.conv", 128, 256)
    conv("ConvBLSTM.conv_1x1", 128, size=1)
    conv("upconv1", 64, 256)
    conv("upconv2", 64, 256)
    conv("HRconv", 64)
    conv("conv_last", 64, 3)
    if tmnet:
        for neighbour in ("layersAtB", "layersCtB"):
            dcn(neighbour)
            conv(f"{neighbour}Offset.0", 128)
            conv(f"{neighbour}Offset.2", 64)
        for layer, outputs in ((0, 192), (2, 192), (4, 192), (6, 64)):
            conv(f"layersFusion.{layer}", 192, outputs, size=1)
    return shapes


def test_names_and_shapes_are_pytorchs(network, any_config):
    expected = {name: tuple(parameter.shape) for name, parameter in network(any_config).named_parameters()}
    assert torch_shapes(any_config) == expected


@pytest.mark.parametrize(
    ("config", "tensors"), [(ZoomingSlowMoConfig(), 416), (TMNetConfig(), 482)], ids=["Zooming Slow-Mo", "TMNet"]
)
def test_the_peers_names_and_shapes_are_the_published_ones(config, tensors):
    published = published_shapes(isinstance(config, TMNetConfig))
    assert len(published) == tensors
    assert torch_shapes(config) == published


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
