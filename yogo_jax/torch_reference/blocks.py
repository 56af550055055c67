"""What the networks of the EDVR and Zooming Slow-Mo family are made of. All features are [B, C, H, W]."""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn


class Output(NamedTuple):
    """Frames [B, T, 3, 4H, 4W], not clamped; the others only with `auxiliary=True`."""

    image: Tensor
    structure: Tensor | None = None
    detail: Tensor | None = None
    unrefined: Tensor | None = None


def conv(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride, padding=size // 2)


def lrelu(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.1)


def up2(x: Tensor) -> Tensor:
    """Bilinear ×2 with half-pixel centres."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def pad_to_multiple(frames: Tensor, multiple: int) -> Tensor:
    """[B, N, 3, H, W] with its last row and column repeated up to sizes that `multiple` divides."""
    height, width = frames.shape[-2:]
    padding = (0, -width % multiple, 0, -height % multiple)
    return F.pad(frames.flatten(0, 1), padding, mode="replicate").unflatten(0, frames.shape[:2])


class ResidualBlock(nn.Module):
    """x + conv3(ReLU(conv3(x)))"""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = conv(channels, channels)
        self.conv2 = conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.relu(self.conv1(x)))


def residual_blocks(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(channels) for _ in range(count)))


class Reconstruction(nn.Module):
    """[B, C, H, W] → [B, 3, 4H, 4W] by sub-pixel convolutions that a network carries as its own."""

    def add_reconstruction(self, channels: int, light: bool = False) -> None:
        """`light`: the second shuffle makes the image itself."""
        self.upconv1 = conv(channels, 4 * channels)
        self.upconv2 = self.HRconv = None
        if not light:
            self.upconv2 = conv(channels, 4 * channels)
            self.HRconv = conv(channels, channels)
        self.conv_last = conv(channels, 12 if light else 3)

    def reconstruct(self, x: Tensor) -> Tensor:
        x = lrelu(F.pixel_shuffle(self.upconv1(x), 2))
        if self.upconv2 is None or self.HRconv is None:
            return F.pixel_shuffle(self.conv_last(x), 2)
        x = lrelu(F.pixel_shuffle(self.upconv2(x), 2))
        return self.conv_last(lrelu(self.HRconv(x)))


class ReconstructionHead(Reconstruction):
    """The same as a module of its own."""

    def __init__(self, channels: int, light: bool = False):
        super().__init__()
        self.add_reconstruction(channels, light)

    def forward(self, x: Tensor) -> Tensor:
        return self.reconstruct(x)
