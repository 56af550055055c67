"""Every choice of the YOGO network, in one frozen record."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from yogo_jax.errors import UserError

if TYPE_CHECKING:
    from yogo_jax.model.yogo import YOGO


REGISTRATION_LEVELS = 4  # of the pyramid of frames, with `motion`
MOST_FILTERS, MOST_BLOCKS = 1024, 100  # what a damaged weight file may make this program build


def check_field(name: str, value: Any, hint: Any) -> None:
    """Hold a config's value against its field's type.

    Raises:
      UserError: it is none of the choices, or of another type.
    """
    if typing.get_origin(hint) is Literal:
        if not any(value == choice and type(value) is type(choice) for choice in typing.get_args(hint)):
            raise UserError(f"{name}={value!r}: it takes one of {', '.join(map(repr, typing.get_args(hint)))}")
    elif hint in (int, float, str, bool):
        kinds = (int, float) if hint is float else hint
        if not isinstance(value, kinds) or (isinstance(value, bool) and hint is not bool):
            raise UserError(f"{name}={value!r}: it takes {hint.__name__}")
    elif typing.get_origin(hint) is tuple:
        kinds = typing.get_args(hint)
        if not isinstance(value, tuple | list):
            raise UserError(f"{name}={value!r}: it takes several values")
        if kinds[-1] is not ... and len(value) != len(kinds):
            raise UserError(f"{name}={value!r}: it takes {len(kinds)} values")
        for item in value:
            check_field(name, item, kinds[0])


@dataclass(frozen=True)
class YOGOConfig:
    """The network of the paper by default (Table 2, 64 filters); each field names what it changes.

    Attributes:
      network: tells this record from those of other networks, in weight files and configs.
      filters: C, channels of every feature (Table 2: 64 and 56). A multiple of `groups`.
      groups: deformable groups G.
      fe_blocks: residual blocks of the feature extraction.
      frb_backward, frb_forward: fusion residual blocks in RC-BI and RC-FI (Table 4).
      hfbs: hybrid fusion blocks (Figure 9). With direct fusion, 2·hfbs residual blocks stand in their place.
      pyramid_levels: levels of the DFU's pyramid aligner.
      dcn_size: kernel of its deformable convolutions, 3×3 in the paper. 1×1 takes one sample in place of nine, at a
        ninth of the gathers, which are most of a small network's time.
      missing_frame: first features of a frame to be made, from its two neighbours' (learned: a convolution).
      dfu_direction: align the hidden state to the current features ("hidden", Eq. 1 as written), or each to
        the other and merge ("both": what the paper's parameter count says).
      se_reduction: channel reduction inside the squeeze-and-excitation gates.
      fusion: "hybrid" is the HFM; "direct" is Table 3's direct fusion.
      interaction: "full" gives the forward cell the backward cell's states; "none" runs the two cells apart;
        "backward_only" has no forward cell (Table 3 (e), (b), (a)).
      cell_order: what a recurrent cell does to its states, and in which order (Table 5).
      auxiliary_heads: structure and detail heads, for the loss; they have parameters but do not run at inference.
      recon: "paper", or "light" for small models (see `Recon`).
      image_skip: "interpolate" adds the image head's output to bicubic ×4 of the known frames, and of the mean
        of its two neighbours for a frame to be made, and the structure head's likewise; their last convolutions
        then start at zero. "reconstruct" has the known frames reconstructed from their neighbours, too
        (`back_projection`) instead of bicubic ×4, shows the features what that added, and brings the image into
        agreement with all known frames once more, after training's loss; it takes `motion`.
      motion: "registered" finds the motion between neighbouring frames by registering them (`Registration`), and
        samples along it the neighbours of a frame to be made, for its features and the skip, and the states before
        their DFU (flow-guided alignment, as in BasicVSR++). A small network learns little motion otherwise.
      dtype: of the computation. Parameters, and coordinates of the deformable convolution, stay float32.
      remat: recompute the recurrent cells in the backward pass instead of keeping their intermediates.
    """

    network: Literal["yogo"] = "yogo"
    filters: int = 64
    groups: int = 8
    fe_blocks: int = 5
    frb_backward: int = 4
    frb_forward: int = 6
    hfbs: int = 9
    pyramid_levels: int = 3
    dcn_size: Literal[3, 1] = 3
    missing_frame: Literal["learned", "mean", "zero"] = "learned"
    dfu_direction: Literal["both", "hidden"] = "both"
    se_reduction: int = 1
    fusion: Literal["hybrid", "direct"] = "hybrid"
    interaction: Literal["full", "none", "backward_only"] = "full"
    cell_order: Literal["dfu_fru", "dfu", "fru", "fru_dfu"] = "dfu_fru"
    auxiliary_heads: bool = True
    recon: Literal["paper", "light"] = "paper"
    image_skip: Literal["none", "interpolate", "reconstruct"] = "none"
    motion: Literal["none", "registered"] = "none"
    dtype: Literal["float32", "bfloat16"] = "float32"
    remat: bool = False

    def __post_init__(self) -> None:
        for name, hint in typing.get_type_hints(type(self)).items():
            check_field(f"model.{name}", getattr(self, name), hint)
        if self.filters > MOST_FILTERS:
            raise UserError(f"model.filters={self.filters}: it takes at most {MOST_FILTERS}")
        if self.filters < 1 or self.groups < 1 or self.filters % self.groups:
            raise UserError(f"model.filters={self.filters} is not a positive multiple of model.groups={self.groups}")
        if self.interaction == "backward_only" and self.fusion == "hybrid":
            raise UserError('model.interaction="backward_only" has one state and wants model.fusion="direct"')
        if self.image_skip == "reconstruct" and self.motion == "none":
            raise UserError(
                'model.image_skip="reconstruct" reconstructs along a motion and wants model.motion="registered"'
            )
        if self.se_reduction < 1 or self.filters % self.se_reduction:
            raise UserError(f"model.se_reduction={self.se_reduction} does not divide model.filters={self.filters}")
        if not 1 <= self.pyramid_levels <= 4:
            raise UserError(f"model.pyramid_levels={self.pyramid_levels}: it takes 1 to 4")
        for name in ("fe_blocks", "frb_backward", "frb_forward", "hfbs"):
            if not 0 <= getattr(self, name) <= MOST_BLOCKS:
                raise UserError(f"model.{name}={getattr(self, name)}: it takes 0 to {MOST_BLOCKS}")

    @property
    def multiple(self) -> int:
        """Heights and widths inside the network are multiples of this: the coarsest pyramid level's stride."""
        return 2 ** (max(self.pyramid_levels, 1 if self.motion == "none" else REGISTRATION_LEVELS) - 1)

    def build(self) -> YOGO:
        """The network of this record, a Flax module."""
        from yogo_jax.model.yogo import YOGO

        return YOGO(self)
