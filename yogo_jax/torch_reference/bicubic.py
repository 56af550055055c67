"""The protocol's bicubic in PyTorch, in operations that ONNX has."""

import torch
import torch.nn.functional as F
from torch import Tensor


def bicubic_up4(frames: Tensor) -> Tensor:
    """[B, T, 3, H, W] → [B, T, 3, 4H, 4W] by the bicubic kernel a = −½, edges mirrored as in MATLAB.

    Each of the 16 pixels made of one has a 5×5 filter, and a pixel shuffle puts them in their places: unlike
    PyTorch's own bicubic of this kernel, ONNX can say that.
    """
    height, width = frames.shape[-2:]
    phase = (torch.arange(4) + 0.5) / 4 - 0.5  # where the made pixels lie, their source at 0
    taps = keys(torch.arange(-2, 3) - phase[:, None]).to(frames)
    filters = torch.einsum("yi,xj->yxij", taps, taps).reshape(16, 1, 5, 5)
    x = F.conv2d(mirrored(frames.flatten(0, 2)[:, None], 2), filters)
    return F.pixel_shuffle(x, 4).view(*frames.shape[:3], 4 * height, 4 * width)


def bicubic_down4(frames: Tensor) -> Tensor:
    """[B, 3, 4H, 4W] → [B, 3, H, W] by the same kernel, stretched over 16 pixels."""
    taps = keys((torch.arange(16) - 7.5) / 4).to(frames) / 4
    x = mirrored(frames.flatten(0, 1)[:, None], 6)
    x = F.conv2d(F.conv2d(x, taps.view(1, 1, 16, 1), stride=(4, 1)), taps.view(1, 1, 1, 16), stride=(1, 4))
    return x.view(*frames.shape[:2], *x.shape[-2:])


def keys(distance: Tensor) -> Tensor:
    """Keys' cubic kernel, a = −½."""
    distance = distance.abs()
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    return torch.where(distance <= 1, near, torch.where(distance < 2, far, 0.0))


def mirrored(x: Tensor, margin: int) -> Tensor:
    """[…, H, W] with a margin, its edges mirrored, the outermost pixel too; also where it is wider than the image."""

    def places(length: int) -> Tensor:
        position = torch.arange(-margin, length + margin, device=x.device) % (2 * length)
        return torch.minimum(position, 2 * length - 1 - position)

    return x[..., places(x.shape[-2]), :][..., places(x.shape[-1])]
