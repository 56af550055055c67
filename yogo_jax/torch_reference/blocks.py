"""What the networks of the EDVR and Zooming Slow-Mo family are made of. All features are [B, C, H, W]."""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn


class Output(NamedTuple):
    """Frames [B, T, 3, 4H, 4W], not clamped; structure and detail only with `auxiliary=True`."""

    image: Tensor
    structure: Tensor | None = None
    detail: Tensor | None = None


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


class ReconstructionHead(nn.Module):
    """[B, C, H, W] → [B, 3, 4H, 4W] by two sub-pixel convolutions."""

    def __init__(self, channels: int, last: int | None = None):
        """`last`: the channels of HRconv, where they are not C."""
        super().__init__()
        last = last or channels
        self.upconv1 = conv(channels, 4 * channels)
        self.upconv2 = conv(channels, 4 * last)
        self.HRconv = conv(last, last)
        self.conv_last = conv(last, 3)

    def reconstruct(self, x: Tensor) -> Tensor:
        x = lrelu(F.pixel_shuffle(self.upconv1(x), 2))
        x = lrelu(F.pixel_shuffle(self.upconv2(x), 2))
        return self.conv_last(lrelu(self.HRconv(x)))

    def forward(self, x: Tensor) -> Tensor:
        return self.reconstruct(x)
