"""YOGO's recurrent cells: dynamic filter units align hidden states, a fusion residual unit merges them."""

import torch
from torch import Tensor, nn

from yogo_jax.model.config import YOGOConfig
from yogo_jax.torch_reference.aligner import AlignAndMerge
from yogo_jax.torch_reference.blocks import conv, lrelu
from yogo_jax.torch_reference.deform_conv import Backend


class FRB(nn.Module):
    """Fusion residual block: x_i + LReLU(conv3(a_i + s)).

    a_i = LReLU(conv3(x_i)) and s = LReLU(conv1([a_1 … a_n])).
    """

    def __init__(self, channels: int, branches: int):
        super().__init__()
        self.conv1 = nn.ModuleList(conv(channels, channels) for _ in range(branches))
        self.fusion = conv(branches * channels, channels, 1)
        self.conv2 = nn.ModuleList(conv(channels, channels) for _ in range(branches))

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        own = [lrelu(conv1(x)) for conv1, x in zip(self.conv1, branches, strict=True)]
        shared = lrelu(self.fusion(torch.cat(own, dim=1)))
        return [x + lrelu(conv2(a + shared)) for conv2, x, a in zip(self.conv2, branches, own, strict=True)]


class RecurrentCell(nn.Module):
    """One step of RC-BI (one hidden state) or RC-FI (its own, and the backward cell's).

    The cell's order of DFU and FRU is Table 5's: by default each hidden state is aligned, then the fusion
    residual blocks run over [states…, features], then conv1 merges the branches.
    """

    def __init__(self, config: YOGOConfig, states: int, blocks: int, backend: Backend):
        super().__init__()
        self.order = config.cell_order
        branches = states + 1
        channels, directions = config.filters, 2 if config.dfu_direction == "both" else 1
        self.dfu = nn.ModuleList(
            AlignAndMerge(channels, config.groups, config.pyramid_levels, directions, backend, config.dcn_size)
            for _ in range(states if self.order != "fru" else 0)
        )
        count = blocks if self.order != "dfu" else 0
        self.frb = nn.ModuleList(FRB(channels, branches) for _ in range(count))
        self.fusion = conv(branches * channels, channels, 1)

    def _align(self, branches: list[Tensor]) -> list[Tensor]:
        *states, current = branches
        return [dfu(state, current) for dfu, state in zip(self.dfu, states, strict=True)] + [current]

    def forward(self, states: list[Tensor], features: Tensor) -> Tensor:
        branches = [*states, features]
        if self.order in ("dfu", "dfu_fru"):
            branches = self._align(branches)
        for frb in self.frb:
            branches = frb(branches)
        if self.order == "fru_dfu":
            branches = self._align(branches)
        return lrelu(self.fusion(torch.cat(branches, dim=1)))
