"""The choices of the peer networks, in frozen records like YOGO's. The defaults are the published networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from yogo_jax.errors import UserError
from yogo_jax.model.config import MOST_BLOCKS, YOGOConfig

if TYPE_CHECKING:
    from yogo_jax.peers.tmnet import TMNet
    from yogo_jax.peers.zooming_slow_mo import ZoomingSlowMo


@dataclass(frozen=True)
class _PeerConfig:
    """What both peers share.

    Attributes:
      filters: channels of every feature, a multiple of `groups`.
      groups: deformable groups.
      fe_blocks: residual blocks of the feature extraction.
      recon_blocks: residual blocks before the reconstruction.
      dtype: of the computation. Parameters, and coordinates of the deformable convolution, stay float32.
      remat: recompute the recurrent cell in the backward pass instead of keeping its intermediates.
    """

    filters: int = 64
    groups: int = 8
    fe_blocks: int = 5
    recon_blocks: int = 40
    dtype: Literal["float32", "bfloat16"] = "float32"
    remat: bool = False

    def __post_init__(self) -> None:
        YOGOConfig(filters=self.filters, groups=self.groups, fe_blocks=self.fe_blocks)
        if not 0 <= self.recon_blocks <= MOST_BLOCKS:
            raise UserError(f"model.recon_blocks={self.recon_blocks}: it takes 0 to {MOST_BLOCKS}")

    @property
    def multiple(self) -> int:
        """Heights and widths inside the network are multiples of this."""
        return self.blocks.multiple

    @property
    def blocks(self) -> YOGOConfig:
        """The record of the blocks that are the same as YOGO's: pyramid aligner and reconstruction."""
        return YOGOConfig(filters=self.filters, groups=self.groups)


@dataclass(frozen=True)
class ZoomingSlowMoConfig(_PeerConfig):
    """Zooming Slow-Mo (Xiang et al., CVPR 2020): ×4 size, ×2 rate."""

    network: Literal["zooming_slow_mo"] = "zooming_slow_mo"

    def build(self) -> ZoomingSlowMo:
        """The network of this record, a Flax module."""
        from yogo_jax.peers.zooming_slow_mo import ZoomingSlowMo

        return ZoomingSlowMo(self)


@dataclass(frozen=True)
class TMNetConfig(_PeerConfig):
    """TMNet (Xu et al., CVPR 2021): ×4 size, any rate.

    Attributes:
      moments: when, in (0, 1), the frames between two known ones are made: (0.5,) doubles the rate,
        (0.25, 0.5, 0.75) makes it four times as high. N frames become (N − 1)(len(moments) + 1) + 1.
    """

    network: Literal["tmnet"] = "tmnet"
    moments: tuple[float, ...] = (0.5,)

    def __post_init__(self) -> None:
        super().__post_init__()
        inside = all(isinstance(moment, float) and 0 < moment < 1 for moment in self.moments)
        if not inside or list(self.moments) != sorted(set(self.moments)) or not self.moments:
            raise UserError(f"model.moments={self.moments}: it takes ascending moments between 0 and 1, such as (0.5,)")

    def build(self) -> TMNet:
        """The network of this record, a Flax module."""
        from yogo_jax.peers.tmnet import TMNet

        return TMNet(self)
