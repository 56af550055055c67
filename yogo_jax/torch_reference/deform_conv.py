"""Modulated deformable convolution (DCNv2, Zhu et al. 2019) without an extension to compile.

    out(p) = Σ_g Σ_k w_{g,k} · m_{g,k}(p) · x_g(p + p_k + Δ_{g,k}(p))

Sampling is bilinear, and each corner outside the image is zero on its own. Offsets are [B, G·K·2, H, W], laid
out [G, K, (dy, dx)] with the K = k·k taps in row-major order; masks are [B, G·K, H, W].
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

try:
    from torchvision.ops import (  # pyright: ignore[reportMissingImports]
        deform_conv2d as _torchvision_deform_conv2d,
    )
except (ImportError, RuntimeError):  # absent, or built for another PyTorch
    _torchvision_deform_conv2d = None

Backend = Literal["auto", "torchvision", "grid_sample"]


def deform_conv2d(
    x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, backend: Backend = "auto"
) -> Tensor:
    """Stride 1, same padding. x [B, C, H, W], weight [C', C, k, k], bias [C'] → [B, C', H, W].

    `backend` "auto" is torchvision's operator where it imports, and `grid_sample` where it does not.
    Raises ImportError if torchvision is asked for by name and does not import.
    """
    if backend == "torchvision" and _torchvision_deform_conv2d is None:
        raise ImportError("torchvision does not import beside this PyTorch: use backend='grid_sample'")
    if backend == "grid_sample" or _torchvision_deform_conv2d is None:
        return _by_grid_sample(x, offset, mask, weight, bias)
    half = weight.shape[-1] // 2
    return _torchvision_deform_conv2d(x, offset, weight, bias, padding=(half, half), mask=mask)


def _by_grid_sample(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    size = weight.shape[-1]
    taps = size * size
    groups = mask.shape[1] // taps

    # Positions in pixels, float32 at least: half precision cannot hold a fraction past 64.
    precision = torch.promote_types(offset.dtype, torch.float32)

    def axis(length: int) -> Tensor:
        return torch.arange(length, dtype=precision, device=x.device)

    offset = offset.to(precision).view(batch, groups, taps, 2, height, width)
    tap = axis(size) - size // 2
    tap_y = tap.repeat_interleave(size).view(taps, 1, 1)
    tap_x = tap.repeat(size).view(taps, 1, 1)
    y = offset[:, :, :, 0] + tap_y + axis(height).view(height, 1)
    x_ = offset[:, :, :, 1] + tap_x + axis(width)
    # grid_sample's coordinates with align_corners=False: the centre of pixel i lies at (2i + 1) / size - 1.
    grid = torch.stack(((2 * x_ + 1) / width - 1, (2 * y + 1) / height - 1), dim=-1)
    columns = F.grid_sample(
        x.reshape(batch * groups, channels // groups, height, width).to(precision),
        grid.view(batch * groups, taps * height, width, 2),
        mode="bilinear",
        padding_mode="zeros",
        align_corners=False,
    ).to(x.dtype)
    columns = columns.view(batch, groups, channels // groups, taps, height * width)
    columns = columns * mask.view(batch, groups, 1, taps, height * width)
    columns = columns.reshape(batch, channels * taps, height * width)
    out = weight.reshape(weight.shape[0], channels * taps) @ columns + bias[:, None]
    return out.view(batch, -1, height, width)


class ModulatedDeformConv(nn.Module):
    """A k×k deformable convolution C → C whose offsets and masks come from `conv_offset_mask`.

    That convolution's 3Gk² channels are first all offsets, [G, k², (dy, dx)], then all masks, [G, k²]. It
    starts at zero: no offset, and every mask sigmoid(0) = ½.
    """

    def __init__(self, channels: int, groups: int, backend: Backend = "auto", size: int = 3):
        super().__init__()
        self.samples = groups * size**2
        self.backend: Backend = backend
        self.weight = nn.Parameter(torch.empty(channels, channels, size, size))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.conv_offset_mask = nn.Conv2d(channels, 3 * self.samples, 3, padding=1)
        bound = (channels * size**2) ** -0.5
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.zeros_(self.conv_offset_mask.weight)
        nn.init.zeros_(self.conv_offset_mask.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        """x and features [B, C, H, W] → [B, C, H, W]: x sampled where `features` say."""
        offset, mask = self.conv_offset_mask(features).split((2 * self.samples, self.samples), dim=1)
        return deform_conv2d(x, offset, torch.sigmoid(mask), self.weight, self.bias, self.backend)
