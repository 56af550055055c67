"""The pyramid aligner: sample one set of features where it matches another, from coarse to fine."""

from typing import Literal

import torch
from torch import Tensor, nn

from yogo_jax.torch_reference.blocks import conv, lrelu, up2
from yogo_jax.torch_reference.deform_conv import Backend, ModulatedDeformConv


class Pyramid(nn.Module):
    """[B, C, H, W] → [that, half size, quarter size, …], finest first."""

    def __init__(self, channels: int, levels: int):
        super().__init__()
        self.levels = levels
        for level in range(2, levels + 1):
            self.add_module(f"fea_L{level}_conv1", conv(channels, channels, stride=2))
            self.add_module(f"fea_L{level}_conv2", conv(channels, channels))

    def forward(self, x: Tensor) -> list[Tensor]:
        pyramid = [x]
        for level in range(2, self.levels + 1):
            x = lrelu(self.get_submodule(f"fea_L{level}_conv1")(x))
            x = lrelu(self.get_submodule(f"fea_L{level}_conv2")(x))
            pyramid.append(x)
        return pyramid


class PyramidAligner(nn.Module):
    """Aligns A to B (modules that end in `_1`) and, where `directions` is 2, B to A (those that end in `_2`).

    Returns the results [B, C, H, W] beside one another: [B, directions·C, H, W].
    """

    def __init__(
        self,
        channels: int,
        groups: int,
        levels: int = 3,
        directions: Literal[1, 2] = 2,
        backend: Backend = "auto",
    ):
        super().__init__()
        self.levels, self.directions = levels, directions
        for direction in range(1, directions + 1):
            for level in range(levels, 0, -1):
                coarsest = level == levels
                prefix = f"L{level}_"
                self.add_module(f"{prefix}offset_conv1_{direction}", conv(2 * channels, channels))
                second = channels if coarsest else 2 * channels
                self.add_module(f"{prefix}offset_conv2_{direction}", conv(second, channels))
                if not coarsest:
                    self.add_module(f"{prefix}offset_conv3_{direction}", conv(channels, channels))
                    self.add_module(f"{prefix}fea_conv_{direction}", conv(2 * channels, channels))
                self.add_module(
                    f"{prefix}dcnpack_{direction}", ModulatedDeformConv(channels, groups, backend)
                )

    def _align(self, source: list[Tensor], reference: list[Tensor], direction: int) -> Tensor:
        offset = aligned = None
        for level in range(self.levels, 0, -1):

            def layer(name: str, *inputs: Tensor, level: int = level) -> Tensor:
                return self.get_submodule(f"L{level}_{name}_{direction}")(*inputs)

            pair = torch.cat((source[level - 1], reference[level - 1]), dim=1)
            finer_offset = lrelu(layer("offset_conv1", pair))
            if offset is None or aligned is None:  # the coarsest level
                offset = lrelu(layer("offset_conv2", finer_offset))
                aligned = lrelu(layer("dcnpack", source[level - 1], offset))
                continue
            finer_offset = lrelu(layer("offset_conv2", torch.cat((finer_offset, 2 * up2(offset)), dim=1)))
            offset = lrelu(layer("offset_conv3", finer_offset))
            sampled = layer("dcnpack", source[level - 1], offset)
            aligned = layer("fea_conv", torch.cat((sampled, up2(aligned)), dim=1))
            if level > 1:
                aligned = lrelu(aligned)
        assert aligned is not None
        return aligned

    def forward(self, a: list[Tensor], b: list[Tensor]) -> Tensor:
        """Two pyramids of [B, C, H, W], finest first."""
        results = [self._align(a, b, 1)]
        if self.directions == 2:
            results.append(self._align(b, a, 2))
        return torch.cat(results, dim=1)
