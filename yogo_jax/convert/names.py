"""What a parameter of a Flax network is called in PyTorch: the state-dict contract, docs/conversion.md.

The names are those of the EDVR and Zooming Slow-Mo family; for the peers they are the published ones.
"""

import re

from yogo_jax.configuration import ModelConfig
from yogo_jax.model.config import YOGOConfig

Rules = tuple[tuple[str, str], ...]

YOGO_RULES: Rules = (
    (r"^fe\.missing", "missing_frame"),
    (r"^register\.share_", "registration."),
    (r"^fe\.conv_evidence", "conv_evidence"),
    (r"^(back|for)ward\.rc_.i\.cell\.dfu(\d)", r"\1ward_cell.dfu.\2"),
    (r"^(back|for)ward\.rc_.i\.cell\.fru\.merge_branches", r"\1ward_cell.fusion"),
    (r"^(back|for)ward\.rc_.i\.cell\.fru\.frbs_(\d+)", r"\1ward_cell.frb.\2"),
    (r"(frb\.\d+)\.own(\d)", r"\1.conv1.\2"),
    (r"(frb\.\d+)\.shared", r"\1.fusion"),
    (r"(frb\.\d+)\.out(\d)", r"\1.conv2.\2"),
    (r"^hfm\.hfb(\d+)\.r1", r"hfm.\1.residual_backward"),
    (r"^hfm\.hfb(\d+)\.r2", r"hfm.\1.residual_forward"),
    (r"^hfm\.hfb(\d+)\.se1", r"hfm.\1.gate_backward"),
    (r"^hfm\.hfb(\d+)\.se2", r"hfm.\1.gate_forward"),
    (r"squeeze", "conv1"),
    (r"excite", "conv2"),
    (r"^fusion\.blocks\.block(\d+)", r"direct.recon_trunk.\1"),
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
    (r"^recon\.trunk\.block(\d+)", r"recon_trunk.\1"),
    (r"^comparison\.before_conv1", "layersAtBOffset.0"),
    (r"^comparison\.before_conv2", "layersAtBOffset.2"),
    (r"^comparison\.before_dcn", "layersAtB"),
    (r"^comparison\.after_conv1", "layersCtBOffset.0"),
    (r"^comparison\.after_conv2", "layersCtBOffset.2"),
    (r"^comparison\.after_dcn", "layersCtB"),
)
SHARED_RULES: Rules = (
    (r"^fe\.conv_first", "conv_first"),
    (r"^fe\.blocks\.block(\d+)", r"feature_extraction.\1"),
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


def torch_name(path: str, config: ModelConfig) -> str:
    """Path of a Flax parameter, "fe/conv_first/kernel" → its name in PyTorch, "conv_first.weight"."""
    name = path.replace("/", ".")
    for pattern, module in SEQUENCES:
        name = re.sub(pattern, lambda match, module=module: f"{module}.{2 * int(match[1])}", name)
    own = YOGO_RULES if isinstance(config, YOGOConfig) else PEER_RULES
    for pattern, replacement in own + SHARED_RULES:
        name = re.sub(pattern, replacement, name)
    # The coarsest level has no coarser offsets to take in, and so one convolution less.
    levels = config.pyramid_levels if isinstance(config, YOGOConfig) else config.blocks.pyramid_levels
    return name.replace(f"L{levels}_offset_conv3", f"L{levels}_offset_conv2")
