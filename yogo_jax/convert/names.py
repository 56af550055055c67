"""What a parameter of a Flax network is called in PyTorch: the state-dict contract, docs/conversion.md.

The names are those of the EDVR and Zooming Slow-Mo family; for the peers they are the published ones.
"""

import re

from yogo_jax.configuration import ModelConfig
from yogo_jax.model.config import YOGOConfig

Rules = tuple[tuple[str, str], ...]
Shape = tuple[int, ...]

YOGO_RULES: Rules = (
    (r"^fe\.missing", "missing_frame"),
    (r"^register\.share_", "registration."),
    (r"^fe\.conv_evidence", "conv_evidence"),
    (r"^(back|for)ward\.rc_.i\.cell\.dfu(\d)", r"\1ward_cell.dfu.\2"),
    (r"^(back|for)ward\.rc_.i\.cell\.fru\.merge_branches", r"\1ward_cell.fusion"),
    (r"^(back|for)ward\.rc_.i\.cell\.fru\.first", r"\1ward_cell.frb.0"),
    (r"^(back|for)ward\.rc_.i\.cell\.fru\.others", r"\1ward_cell.frb.{i+1}"),
    (r"(frb\..*?)\.own(\d)", r"\1.conv1.\2"),
    (r"(frb\..*?)\.shared", r"\1.fusion"),
    (r"(frb\..*?)\.out(\d)", r"\1.conv2.\2"),
    (r"^hfm\.hfb\.r1", "hfm.{i}.residual_backward"),
    (r"^hfm\.hfb\.r2", "hfm.{i}.residual_forward"),
    (r"^hfm\.hfb\.se1", "hfm.{i}.gate_backward"),
    (r"^hfm\.hfb\.se2", "hfm.{i}.gate_forward"),
    (r"squeeze", "conv1"),
    (r"excite", "conv2"),
    (r"^fusion\.blocks\.block", "direct.recon_trunk.{i}"),
    (r"^fusion\.merge", "direct.fusion"),
    (r"^recon_image\.", ""),
    (r"^recon_(structure|detail)\.", r"\1."),
)
PEER_RULES: Rules = (
    (r"^fe\.pyramid", "pyramid"),
    (r"^between\.", ""),
    (r"^lstm\.cell\.align_([hc])", r"ConvBLSTM.forward_net.pcd_\1"),
    (r"^lstm\.cell\.gates", "ConvBLSTM.forward_net.cell_list.0.conv"),
    (r"^lstm\.merge", "ConvBLSTM.conv_1x1"),
    (r"^recon\.image\.", ""),
    (r"^recon\.trunk\.block", "recon_trunk.{i}"),
    (r"^comparison\.before_conv1", "layersAtBOffset.0"),
    (r"^comparison\.before_conv2", "layersAtBOffset.2"),
    (r"^comparison\.before_dcn", "layersAtB"),
    (r"^comparison\.after_conv1", "layersCtBOffset.0"),
    (r"^comparison\.after_conv2", "layersCtBOffset.2"),
    (r"^comparison\.after_dcn", "layersCtB"),
)
SHARED_RULES: Rules = (
    (r"^fe\.conv_first", "conv_first"),
    (r"^fe\.blocks\.block", "feature_extraction.{i}"),
    (r"conv_hr", "HRconv"),
    # The aligner: the first of the two directions ends in 1.
    (r"pyramid\.level(\d)", r"fea_L\1"),
    (r"to_(features|after)\.(.*?)\.", r"pcd_align.\2_1."),
    (r"to_(hidden|before)\.(.*?)\.", r"pcd_align.\2_2."),
    (r"level(\d)_fuse", r"L\1_fea_conv"),
    (r"level(\d)_dcn", r"L\1_dcnpack"),
    (r"level(\d)_offset", r"L\1_offset"),
    (r"level(\d)_modulation_1", r"TMB_A_l\1"),
    (r"level(\d)_modulation_2", r"TMB_B_l\1"),
    (r"offset_mask", "conv_offset_mask"),
    (r"merge\.(?=kernel|bias)", "fusion."),
    (r"kernel$", "weight"),
)
# Layers that stand in an nn.Sequential, with an activation after each.
SEQUENCES: Rules = (
    (r"comparison\.merge(\d)", "layersFusion"),
    (r"moment(\d)", "t_process"),
    (r"feature(\d)", "f_process"),
)


def torch_names(path: str, shape: Shape, config: ModelConfig) -> tuple[list[str], Shape]:
    """A parameter's path, "fe/conv_first/kernel", and shape → its names in PyTorch, and the shape of each.

    A layer has one name, "conv_first.weight". One of a chain of blocks, whose parameters Flax stacks, has one for each
    block i, "feature_extraction.0.conv1.weight" and on.
    """
    name = _name(path.replace("/", "."), config)
    if "{i" not in name:
        return [name], shape
    names = [name.replace("{i+1}", str(i + 1)).replace("{i}", str(i)) for i in range(shape[0])]
    return names, shape[1:]


def _name(name: str, config: ModelConfig) -> str:
    for pattern, module in SEQUENCES:
        name = re.sub(pattern, lambda match, module=module: f"{module}.{2 * int(match[1])}", name)
    own = YOGO_RULES if isinstance(config, YOGOConfig) else PEER_RULES
    for pattern, replacement in own + SHARED_RULES:
        name = re.sub(pattern, replacement, name)
    # The coarsest level has no coarser offsets to take in, and so one convolution less.
    levels = config.pyramid_levels if isinstance(config, YOGOConfig) else config.blocks.pyramid_levels
    return name.replace(f"L{levels}_offset_conv3", f"L{levels}_offset_conv2")
