"""Motion between neighbouring frames by bilateral matching: what `model.motion="matched"` is in PyTorch."""

import itertools
import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yogo_jax.torch_reference.blocks import conv, lrelu, up2

LEARNED = 5  # channels matched beside red, green and blue
REACHES = 4, 2  # pixels, of the coarsest level and of the others


class Motion(NamedTuple):
    """Of 2N−1 frames, [B, 2, H, W] each, (dy, dx) to the next and to the last; [B, 1, H, W] of N−1 frames made.

    `share` is the earlier neighbour's in a frame that is made.
    """

    to_next: list[Tensor]
    to_last: list[Tensor]
    share: list[Tensor]


class Matching(nn.Module):
    """What is at p in a made frame lies at p − v in the one before and at p + v in the one after it: finds v."""

    def __init__(self, channels: int, levels: int):
        super().__init__()
        self.levels = levels
        self.project = conv(channels, LEARNED, 1)
        for level in range(1, levels + 1):
            reach = REACHES[level != levels]
            self.register_parameter(f"log_sharpness{level}", nn.Parameter(torch.full((1,), math.log(4))))
            inputs = (2 * reach + 1) ** 2 + 2 + 2 * (3 + LEARNED)
            for i, (before, after) in enumerate([(inputs, channels), (channels, channels)], start=1):
                self.add_module(f"refine{level}_conv{i}", conv(before, after))
            last = conv(channels, 2 if level > 1 else 5)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)  # pyright: ignore[reportArgumentType]
            self.add_module(f"refine{level}_conv3", last)

    def forward(self, frames: Tensor, features: list[Tensor]) -> Motion:
        """Frames [B, N, 3, H, W] and their features, N of [B, C, H, W], which no gradient goes back to."""
        features = [x.detach() for x in features]
        finest = [
            torch.cat((frame, self.project(x)), dim=1) for frame, x in zip(frames.unbind(1), features, strict=True)
        ]
        none = torch.zeros_like(finest[0][:, :2])
        to_next, to_last, share = [], [none], []
        for before, after in itertools.pairwise(finest):
            ahead, back, logit = self._between(before, after)
            to_next += [-back, ahead]
            to_last += [back, -ahead]
            share.append(torch.sigmoid(logit))
        return Motion([*to_next, none], to_last, share)

    def _between(self, before: Tensor, after: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        pyramid = [(before, after)]
        for _ in range(self.levels - 1):
            pyramid.append((F.avg_pool2d(pyramid[-1][0], 2), F.avg_pool2d(pyramid[-1][1], 2)))
        flow = correction = None
        for level in range(self.levels, 0, -1):
            x, y = pyramid[level - 1]
            reach = REACHES[level != self.levels]
            if flow is None:
                flow = torch.zeros_like(x[:, :2])
            else:
                flow = 2 * up2(flow)
                x, y = warp(x, -flow), warp(y, flow)
            costs, steps = bilateral_costs(x, y, reach)
            sharpness = self.get_parameter(f"log_sharpness{level}").exp()
            chance = torch.softmax(-sharpness * costs, dim=1)
            flow = flow + torch.einsum("bvyx,vc->bcyx", chance, steps)
            z = torch.cat((costs, flow, x, y), dim=1)
            for i in (1, 2):
                z = lrelu(self.get_submodule(f"refine{level}_conv{i}")(z))
            correction = self.get_submodule(f"refine{level}_conv3")(z)
            if level > 1:
                flow = flow + correction
        assert flow is not None
        assert correction is not None
        return flow + correction[:, :2], correction[:, 2:4] - flow, correction[:, 4:]


def bilateral_costs(before: Tensor, after: Tensor, reach: int) -> tuple[Tensor, Tensor]:
    """Ten times the mean of |before(p − v) − after(p + v)| over channels and 5×5 pixels, and all v.

    [B, V, H, W], and [V, 2].
    """
    height, width = before.shape[-2:]
    before, after = (F.pad(x, [reach] * 4, mode="replicate") for x in (before, after))
    side = range(-reach, reach + 1)
    steps = [(dy, dx) for dy in side for dx in side]

    def at(x: Tensor, dy: int, dx: int) -> Tensor:
        return x[..., reach + dy : reach + dy + height, reach + dx : reach + dx + width]

    costs = [(at(before, -dy, -dx) - at(after, dy, dx)).abs().mean(1) for dy, dx in steps]
    around = F.avg_pool2d(F.pad(torch.stack(costs, dim=1), [2] * 4, mode="replicate"), 5, stride=1)
    return 10 * around, torch.tensor(steps).to(before)


def warp(x: Tensor, flow: Tensor) -> Tensor:
    """x [B, C, H, W] at p + flow(p), flow [B, 2, H, W] being (dy, dx); edges repeated."""
    height, width = x.shape[-2:]
    dy, dx = flow.unbind(1)
    rows = torch.arange(height, dtype=flow.dtype, device=flow.device)[:, None] + dy
    columns = torch.arange(width, dtype=flow.dtype, device=flow.device) + dx
    grid = torch.stack(((2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1), dim=-1)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
