"""YOGO in PyTorch: features of every frame, two recurrent passes, hybrid fusion, reconstruction."""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yogo_jax.model.config import YOGOConfig
from yogo_jax.torch_reference.bicubic import bicubic_up4
from yogo_jax.torch_reference.blocks import (
    Output,
    Reconstruction,
    ReconstructionHead,
    conv,
    lrelu,
    pad_to_multiple,
    residual_blocks,
    up2,
)
from yogo_jax.torch_reference.deform_conv import Backend
from yogo_jax.torch_reference.fusion import HFB, DirectFusion
from yogo_jax.torch_reference.recurrent import RecurrentCell
from yogo_jax.torch_reference.registration import Motion, Registration, reconstruct, refine, warp


class YOGO(Reconstruction):
    """The network of `config`; its `dtype` and `remat` concern JAX alone.

    The image head's four convolutions are the network's own, under their family names.
    """

    def __init__(self, config: YOGOConfig, backend: Backend = "auto"):
        """`backend` of the deformable convolutions: see `deform_conv2d`."""
        super().__init__()
        self.config = config
        channels, light = config.filters, config.recon == "light"
        cells = 1 if config.interaction == "backward_only" else 2
        self.add_reconstruction(channels, light)
        self.conv_first = conv(3, channels)
        self.feature_extraction = residual_blocks(channels, config.fe_blocks)
        if config.missing_frame == "learned":
            self.missing_frame = conv(2 * channels, channels)
        if config.motion == "registered":
            self.registration = Registration(channels)
        if config.image_skip == "reconstruct":
            self.conv_evidence = conv(48, channels)
            nn.init.zeros_(self.conv_evidence.weight)
            nn.init.zeros_(self.conv_evidence.bias)  # pyright: ignore[reportArgumentType]
        self.backward_cell = RecurrentCell(config, 1, config.frb_backward, backend)
        if cells == 2:
            states = 2 if config.interaction == "full" else 1
            self.forward_cell = RecurrentCell(config, states, config.frb_forward, backend)
        if config.fusion == "hybrid":
            self.hfm = nn.ModuleList(HFB(channels, config.se_reduction) for _ in range(config.hfbs))
            if config.auxiliary_heads:
                self.structure = ReconstructionHead(channels, light)
                self.detail = ReconstructionHead(channels, light)
        else:
            self.direct = DirectFusion(channels, cells + 1, config.hfbs)
        if config.image_skip != "none":
            heads = [self, self.structure] if config.fusion == "hybrid" and config.auxiliary_heads else [self]
            for head in heads:
                nn.init.zeros_(head.conv_last.weight)
                nn.init.zeros_(head.conv_last.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, frames: Tensor, auxiliary: bool = False) -> Output:
        """frames [B, N, 3, H, W], RGB in [0, 1], N ≥ 2 → frames [B, 2N−1, 3, 4H, 4W]."""
        batch, _, _, height, width = frames.shape
        padded = pad_to_multiple(frames, self.config.multiple)
        motion, large = self._motion(padded)
        features = self._features(padded, motion, large)
        backward = self._backward_pass(features, motion)
        forward = self._forward_pass(features, backward, motion)
        time = len(features)

        def video(head: Reconstruction, x: Tensor) -> Tensor:
            return head.reconstruct(x).unflatten(0, (batch, time))[..., : 4 * height, : 4 * width]

        states = [torch.stack(x, dim=1).flatten(0, 1) for x in (backward, forward, features) if x]
        structure = detail = None
        if self.config.fusion == "hybrid":
            b, f, x = states
            for block in self.hfm:
                b, f, x = block(b, f, x)
            if auxiliary and self.config.auxiliary_heads:
                structure, detail = video(self.structure, b), video(self.detail, f)
        else:
            x = self.direct(*states)
        image = video(self, x)
        if self.config.image_skip != "none":
            large = bicubic_up4(frames) if large is None else large[..., : 4 * height, : 4 * width]
            skip = between(large) if motion is None else along(large, motion)
            image = image + skip
            structure = None if structure is None else structure + skip
        unrefined = None
        if self.config.image_skip == "reconstruct" and motion is not None:
            unrefined, image = image, refine(image.detach(), frames, motion)
        return Output(image, structure, detail, unrefined if auxiliary else None)

    def stages(self, frames: Tensor) -> dict[str, Tensor]:
        """Features [B, T, C, H, W] after each box of the network, by the box's name in Flax: for comparisons."""
        padded = pad_to_multiple(frames, self.config.multiple)
        motion, large = self._motion(padded)
        features = self._features(padded, motion, large)
        backward = self._backward_pass(features, motion)
        found = {"fe": features, "backward": backward, "forward": self._forward_pass(features, backward, motion)}
        return {name: torch.stack(states, dim=1) for name, states in found.items() if states}

    def _motion(self, frames: Tensor) -> tuple[Motion | None, Tensor | None]:
        """The motion of frames [B, N, 3, H, W], and their reconstructions along it, where the config has them."""
        motion = self.registration(frames) if self.config.motion == "registered" else None
        if motion is None or self.config.image_skip != "reconstruct":
            return motion, None
        return motion, reconstruct(frames, motion)

    def _features(self, frames: Tensor, motion: Motion | None, large: Tensor | None) -> list[Tensor]:
        """[B, N, 3, H, W] → 2N−1 features [B, C, H, W]."""
        x = self.conv_first(frames.flatten(0, 1))
        if large is not None:
            evidence = F.pixel_unshuffle((large - bicubic_up4(frames)).flatten(0, 1), 4)
            x = x + self.conv_evidence(evidence)
        x = self.feature_extraction(lrelu(x))
        known = list(x.unflatten(0, frames.shape[:2]).unbind(1))
        features = known[:1]
        for i, (before, after) in enumerate(itertools.pairwise(known)):
            right = after
            if motion is not None:
                before = warp(before, motion.to_last[2 * i + 1])
                after = warp(after, motion.to_next[2 * i + 1])
            if self.config.missing_frame == "learned":
                made = lrelu(self.missing_frame(torch.cat((before, after), dim=1)))
            elif self.config.missing_frame == "mean":
                made = (before + after) / 2
            else:
                made = torch.zeros_like(before)
            features += [made, right]
        return features

    def _backward_pass(self, features: list[Tensor], motion: Motion | None) -> list[Tensor]:
        state, states = torch.zeros_like(features[0]), []
        for t in reversed(range(len(features))):
            x = features[t]
            if motion is not None:
                state = warp(state, motion.to_next[t])
            state = self.backward_cell([state], x)
            states.append(state)
        return states[::-1]

    def _forward_pass(self, features: list[Tensor], backward: list[Tensor], motion: Motion | None) -> list[Tensor]:
        """The forward cell's states; none of them without that cell."""
        if self.config.interaction == "backward_only":
            return []
        state = past_end = torch.zeros_like(features[0])
        states = []
        for t, (x, future) in enumerate(zip(features, [*backward[1:], past_end], strict=True)):
            if motion is not None:
                state, future = warp(state, motion.to_last[t]), warp(future, motion.to_next[t])
            state = self.forward_cell([state, future] if self.config.interaction == "full" else [state], x)
            states.append(state)
        return states


def between(frames: Tensor) -> Tensor:
    """[B, N, 3, H, W] → [B, 2N−1, 3, H, W]: between each two frames, their mean."""
    middle = (frames[:, :-1] + frames[:, 1:]) / 2
    return torch.cat((torch.stack((frames[:, :-1], middle), dim=2).flatten(1, 2), frames[:, -1:]), dim=1)


def along(large: Tensor, motion: Motion) -> Tensor:
    """Frames [B, N, 3, 4H, 4W] and, between each two, both sampled along a motion of H×W pixels or more."""
    height, width = large.shape[-2:]

    def up4(x: Tensor) -> Tensor:
        return up2(up2(x[..., : height // 4, : width // 4]))

    frames = [large[:, 0]]
    for i, share in enumerate(motion.share):
        before = warp(large[:, i], 4 * up4(motion.to_last[2 * i + 1]))
        after = warp(large[:, i + 1], 4 * up4(motion.to_next[2 * i + 1]))
        frames += [up4(share) * before + (1 - up4(share)) * after, large[:, i + 1]]
    return torch.stack(frames, dim=1)
