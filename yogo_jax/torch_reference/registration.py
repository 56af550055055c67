"""Motion between neighbouring frames, and what they show of one another along it, in PyTorch.

`model.motion="registered"` and `model.image_skip="reconstruct"`.
"""

import itertools
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yogo_jax.model.back_projection import FASTER, NOISE, OWN_ROUNDS, ROUNDS, STRICTNESS, TOLERANCE
from yogo_jax.model.config import REGISTRATION_LEVELS
from yogo_jax.model.registration import DAMPING, STEPS
from yogo_jax.torch_reference.bicubic import bicubic_down4, bicubic_up4
from yogo_jax.torch_reference.blocks import conv, lrelu, up2


class Motion(NamedTuple):
    """Of 2N−1 frames, [B, 2, H, W] each, (dy, dx) to the next and to the last; [B, 1, H, W] of N−1 frames made.

    `share` is the earlier neighbour's in a frame that is made.
    """

    to_next: list[Tensor]
    to_last: list[Tensor]
    share: list[Tensor]


class Registration(nn.Module):
    """Finds the motion of known frames [B, N, 3, H, W]; learned is the share alone."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = conv(6, channels)
        self.conv2 = conv(channels, 1)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, frames: Tensor) -> Motion:
        frames = frames.detach()
        none = torch.zeros_like(frames[:, 0, :2])
        to_next, to_last, share = [], [none], []
        for before, after in itertools.pairwise(frames.unbind(1)):
            made, ahead, back = (register(before, after, *way) for way in ((1, 1), (0, 2), (2, 0)))
            to_next += [ahead, made]
            to_last += [-made, -back]
            x = torch.cat((warp(before, -made), warp(after, made)), dim=1)
            share.append(torch.sigmoid(self.conv2(lrelu(self.conv1(x)))))
        return Motion([*to_next, none], to_last, share)


def register(before: Tensor, after: Tensor, back: float, ahead: float) -> Tensor:
    """v [B, 2, H, W] with before(p − back·v) = after(p + ahead·v), by Gauss-Newton steps from coarse to fine."""
    pyramid = [(before, after)]
    for _ in range(REGISTRATION_LEVELS - 1):
        pyramid.append((F.avg_pool2d(pyramid[-1][0], 2), F.avg_pool2d(pyramid[-1][1], 2)))
    flow = None
    for x, y in reversed(pyramid):
        flow = torch.zeros_like(x[:, :2]) if flow is None else 2 * up2(flow)
        for _ in range(STEPS):
            early, late = warp(x, -back * flow), warp(y, ahead * flow)
            dy, dx = slopes(back * early + ahead * late)
            rest = late - early
            products = [(a * b).sum(1) for a, b in ((dy, dy), (dy, dx), (dx, dx), (dy, rest), (dx, rest))]
            yy, yx, xx, ry, rx = around(torch.stack(products, dim=1)).unbind(1)
            yy, xx = yy + DAMPING, xx + DAMPING
            step = torch.stack((yx * rx - xx * ry, yx * ry - yy * rx), dim=1) / (yy * xx - yx * yx)[:, None]
            flow = around(flow + step.clamp(-1, 1))
    assert flow is not None
    return flow


class View(NamedTuple):
    """A known frame [B, 3, H, W] beside another frame, and the motion to it and from it, [B, 2, H, W]."""

    other: Tensor
    there: Tensor
    home: Tensor


def reconstruct(frames: Tensor, motion: Motion) -> Tensor:
    """Known frames [B, N, 3, H, W] → [B, N, 3, 4H, 4W], each by back-projection of itself and its neighbours."""
    frames = frames.detach()
    large = bicubic_up4(frames)
    images = [
        back_project(large[:, k], frames[:, k], 1, views(2 * k, frames, motion), 1.0) for k in range(frames.shape[1])
    ]
    return torch.stack(images, dim=1)


def refine(images: Tensor, frames: Tensor, motion: Motion) -> Tensor:
    """All frames [B, 2N−1, 3, 4H, 4W], known and made, brought into agreement with the known ones."""
    refined = []
    for t, image in enumerate(images.unbind(1)):
        frame = bicubic_down4(image) if t % 2 else frames[:, t // 2]
        refined.append(back_project(image, frame, 1 - t % 2, views(t, frames, motion), FASTER))
        if t % 2 == 0:
            for _ in range(OWN_ROUNDS):
                refined[-1] = refined[-1] + FASTER * enlarge(frame - bicubic_down4(refined[-1]))
    return torch.stack(refined, dim=1)


def views(t: int, frames: Tensor, motion: Motion) -> list[View]:
    """The known frames next to frame t of 2N−1, with the motion."""
    step = 2 - t % 2  # to the next known frame, in frames
    found = []
    for other, there, home in ((t + step, motion.to_next, motion.to_last), (t - step, motion.to_last, motion.to_next)):
        if 0 <= other < len(motion.to_next):
            to_there, to_home = (x[..., : frames.shape[-2], : frames.shape[-1]] for x in (there[t], home[other]))
            found.append(View(frames[:, other // 2], step * to_there, step * to_home))
    return found


def back_project(image: Tensor, frame: Tensor, known: int, views: list[View], step: float) -> Tensor:
    """The image [B, 3, 4H, 4W] of a frame [B, 3, H, W], brought into agreement with it, if `known`, and with others."""
    trusts, flows = [], []
    for other, there, home in views:
        trusts.append(up2(up2(agreement(frame, other, there, home, TOLERANCE * (1 + known) / 2))))
        flows.append((4 * up2(up2(there)), 4 * up2(up2(home))))
    weight = sum(trusts, start=torch.ones_like(image[:, :1]))
    for _ in range(ROUNDS):
        lacking = known * enlarge(frame - bicubic_down4(image))
        for view, trust, (there, home) in zip(views, trusts, flows, strict=True):
            rest = view.other - bicubic_down4(warp(image, home))
            lacking = lacking + trust * warp(enlarge(rest), there)
        image = image + step * lacking / weight
    return image


def enlarge(x: Tensor) -> Tensor:
    """Bicubic, of [B, 3, H, W]."""
    return bicubic_up4(x[:, None])[:, 0]


def agreement(frame: Tensor, other: Tensor, there: Tensor, home: Tensor, tolerance: float) -> Tensor:
    """[B, 1, H, W] in (0, 1]: colours that agree along the motion, and motion that leads back."""
    squared = (warp(other, there) - frame).square().sum(1, keepdim=True)
    dy, dx = slopes(frame)
    slope = (dy.square() + dx.square()).sum(1, keepdim=True)
    missed = (there + warp(home, there)).square().sum(1, keepdim=True)
    return torch.exp(-STRICTNESS * around(squared) / (around(slope) + NOISE) - missed / tolerance**2)


def slopes(x: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences along y and x, edges repeated."""
    padded = F.pad(x, [1] * 4, mode="replicate")
    dy = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    return dy, (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2


def around(x: Tensor) -> Tensor:
    """Mean over 5×5 pixels, edges repeated."""
    return F.avg_pool2d(F.pad(x, [2] * 4, mode="replicate"), 5, stride=1)


def warp(x: Tensor, flow: Tensor) -> Tensor:
    """x [B, C, H, W] at p + flow(p), flow [B, 2, H, W] being (dy, dx); edges repeated."""
    height, width = x.shape[-2:]
    dy, dx = flow.unbind(1)
    rows = torch.arange(height, dtype=flow.dtype, device=flow.device)[:, None] + dy
    columns = torch.arange(width, dtype=flow.dtype, device=flow.device) + dx
    grid = torch.stack(((2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1), dim=-1)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
