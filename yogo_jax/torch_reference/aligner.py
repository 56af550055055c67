"""The pyramid aligner: sample one set of features where it matches another, from coarse to fine."""

from typing import Literal

import torch
from torch import Tensor, nn

from yogo_jax.torch_reference.blocks import conv, lrelu, up2
from yogo_jax.torch_reference.deform_conv import Backend, ModulatedDeformConv


class Pyramid(nn.Module):
    """Features at several sizes, by strided convolutions that a network carries as its own."""

    def add_pyramid(self, channels: int, levels: int) -> None:
        self.levels = levels
        for level in range(2, levels + 1):
            self.add_module(f"fea_L{level}_conv1", conv(channels, channels, stride=2))
            self.add_module(f"fea_L{level}_conv2", conv(channels, channels))

    def pyramid(self, x: Tensor) -> list[Tensor]:
        """[B, C, H, W] → [that, half size, quarter size, …], finest first."""
        levels = [x]
        for level in range(2, self.levels + 1):
            x = lrelu(self.get_submodule(f"fea_L{level}_conv1")(x))
            x = lrelu(self.get_submodule(f"fea_L{level}_conv2")(x))
            levels.append(x)
        return levels


class TemporalModulation(nn.Module):
    """TMNet's modulation of offset features [B, C, H, W] by a moment, a number in [−1, 1]."""

    def __init__(self, channels: int):
        super().__init__()
        self.t_process = nn.Sequential()
        for inputs in (1, channels, channels):
            self.t_process.append(nn.Conv2d(inputs, channels, 1, bias=False))
            self.t_process.append(nn.LeakyReLU(0.1))
        self.f_process = nn.Sequential()
        for _ in range(2):
            self.f_process.append(conv(channels, channels))
            self.f_process.append(nn.LeakyReLU(0.1))

    def forward(self, x: Tensor, moment: float) -> Tensor:
        return self.f_process(x) * self.t_process(x.new_full((1, 1, 1, 1), moment))


class PyramidAligner(nn.Module):
    """Aligns A to B (modules that end in `_1`) and, where `directions` is 2, B to A (those that end in `_2`)."""

    def __init__(
        self,
        channels: int,
        groups: int,
        levels: int = 3,
        directions: Literal[1, 2] = 2,
        backend: Backend = "auto",
        modulated: bool = False,
        dcn_size: int = 3,
    ):
        """`modulated`: with TMNet's temporal modulation blocks, TMB_A for A to B and TMB_B for B to A."""
        super().__init__()
        self.levels, self.directions, self.modulated = levels, directions, modulated
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
                dcn = ModulatedDeformConv(channels, groups, backend, dcn_size)
                self.add_module(f"{prefix}dcnpack_{direction}", dcn)
                if modulated:
                    self.add_module(f"TMB_{'AB'[direction - 1]}_l{level}", TemporalModulation(channels))

    def _align(self, source: list[Tensor], reference: list[Tensor], direction: int, moment: float) -> Tensor:
        offset = aligned = None
        for level in range(self.levels, 0, -1):

            def layer(name: str, *inputs: Tensor, level: int = level) -> Tensor:
                return self.get_submodule(f"L{level}_{name}_{direction}")(torch.cat(inputs, dim=1))

            x, dcn = source[level - 1], self.get_submodule(f"L{level}_dcnpack_{direction}")
            coarse, offset = offset, lrelu(layer("offset_conv1", x, reference[level - 1]))
            if coarse is not None:
                offset = lrelu(layer("offset_conv2", offset, 2 * up2(coarse)))
            last = lrelu(layer("offset_conv2" if coarse is None else "offset_conv3", offset))
            if self.modulated:
                last = last + self.get_submodule(f"TMB_{'AB'[direction - 1]}_l{level}")(offset, moment)
            offset = last
            sampled = dcn(x, offset)
            if aligned is not None:
                sampled = layer("fea_conv", sampled, up2(aligned))
            aligned = sampled if level == 1 else lrelu(sampled)
        assert aligned is not None
        return aligned

    def forward(self, a: list[Tensor], b: list[Tensor], moment: float = 0.0) -> Tensor:
        """Two pyramids of [B, C, H, W], finest first → the results beside one another, [B, directions·C, H, W].

        `moment` is that of the modulation from A to B: −1 at A, 1 at B.
        """
        results = [self._align(a, b, 1, moment)]
        if self.directions == 2:
            results.append(self._align(b, a, 2, -moment))
        return torch.cat(results, dim=1)


class AlignAndMerge(Pyramid):
    """Two features [B, C, H, W] → one: their pyramids aligned, both ways merged by a 1×1 convolution."""

    def __init__(
        self,
        channels: int,
        groups: int,
        levels: int,
        directions: Literal[1, 2],
        backend: Backend,
        dcn_size: int = 3,
    ):
        super().__init__()
        self.add_pyramid(channels, levels)
        self.pcd_align = PyramidAligner(channels, groups, levels, directions, backend, dcn_size=dcn_size)
        if directions == 2:
            self.fusion = conv(2 * channels, channels, 1)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        aligned = self.pcd_align(self.pyramid(a), self.pyramid(b))
        return self.fusion(aligned) if self.pcd_align.directions == 2 else aligned
