"""Which network a state dict belongs to, read off the names and shapes of its tensors."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from yogo_jax.configuration import ModelConfig
from yogo_jax.errors import UserError
from yogo_jax.model.config import YOGOConfig
from yogo_jax.peers.config import TMNetConfig, ZoomingSlowMoConfig

FIRST = "conv_first.weight"
"""The tensor that every network of the family begins with."""


def infer_config(tensors: Mapping[str, np.ndarray]) -> tuple[ModelConfig, list[str]]:
    """The network of a state dict, and the fields of its config that no tensor tells, left at their defaults.

    Raises:
      UserError: no network of the family.
    """
    if FIRST not in tensors or tensors[FIRST].ndim != 4:
        some = ", ".join(sorted(tensors)[:3])
        raise UserError(f"no {FIRST} among its tensors ({some} …): not of this family, or --rename-file is needed")
    filters = tensors[FIRST].shape[0]
    fe_blocks = _count(tensors, r"feature_extraction\.(\d+)\.")
    groups, dcn_size = _deformable(tensors)
    shared: dict[str, Any] = {"filters": filters, "groups": groups, "fe_blocks": fe_blocks}
    if any(name.startswith("ConvBLSTM.") for name in tensors):
        shared["recon_blocks"] = _count(tensors, r"recon_trunk\.(\d+)\.")
        if any(name.startswith("layersFusion.") for name in tensors):
            return TMNetConfig(**shared), ["moments"]
        return ZoomingSlowMoConfig(**shared), []
    return _yogo(tensors, shared | {"dcn_size": dcn_size})


def _yogo(tensors: Mapping[str, np.ndarray], shared: dict[str, Any]) -> tuple[YOGOConfig, list[str]]:
    filters = shared["filters"]
    aligned = any(".pcd_align." in name for name in tensors)
    levels = max((int(m[1]) for m in map(re.compile(r".*\.L(\d)_dcnpack_1\.").match, tensors) if m), default=3)
    if "forward_cell.fusion.weight" in tensors:
        interaction = "full" if _size(tensors["forward_cell.fusion.weight"], 1) == 3 * filters else "none"
    else:
        interaction = "backward_only"
    direct = "direct.fusion.weight" in tensors
    gate = tensors.get("hfm.0.gate_backward.conv1.weight")
    learned = "missing_frame.weight" in tensors
    config = YOGOConfig(
        **shared,
        frb_backward=_count(tensors, r"backward_cell\.frb\.(\d+)\."),
        frb_forward=_count(tensors, r"forward_cell\.frb\.(\d+)\."),
        hfbs=_count(tensors, r"direct\.recon_trunk\.(\d+)\.") // 2 if direct else _count(tensors, r"hfm\.(\d+)\."),
        pyramid_levels=levels,
        missing_frame="learned" if learned else "mean",
        image_skip="reconstruct" if "conv_evidence.weight" in tensors else "none",
        motion="registered" if "registration.conv1.weight" in tensors else "none",
        dfu_direction="both" if "backward_cell.dfu.0.fusion.weight" in tensors or not aligned else "hidden",
        se_reduction=1 if gate is None else filters // max(_size(gate, 0), 1),
        fusion="direct" if direct else "hybrid",
        interaction=interaction,
        cell_order="dfu_fru" if aligned else "fru",
        auxiliary_heads=direct or "structure.conv_last.weight" in tensors,
        recon="paper" if "HRconv.weight" in tensors else "light",
    )
    unknown = [] if config.image_skip == "reconstruct" else ["image_skip"]
    return config, [*unknown, *(["cell_order"] if aligned else []), *([] if learned else ["missing_frame"])]


def _count(tensors: Mapping[str, np.ndarray], pattern: str) -> int:
    """How many layers of a numbered kind there are."""
    return len({match[1] for match in map(re.compile(pattern).match, tensors) if match})


def _deformable(tensors: Mapping[str, np.ndarray]) -> tuple[int, int]:
    """Groups and kernel size of the deformable convolutions."""
    for name, tensor in tensors.items():
        if name.endswith(".conv_offset_mask.weight"):
            kernel = tensors.get(name.replace(".conv_offset_mask.weight", ".weight"))
            size = 1 if kernel is not None and _size(kernel, -1) == 1 else 3
            return max(_size(tensor, 0) // (3 * size**2), 1), size
    return 1, 3  # nothing is deformed


def _size(tensor: np.ndarray, axis: int) -> int:
    """Along an axis; 0 for a tensor that is not what its name says, which the list of mismatches then has."""
    return tensor.shape[axis] if tensor.ndim == 4 else 0
