"""YOGO, "You Only Align Once": the whole network (Figure 2).

frames ─▶ FE ─▶ F ─┬─▶ RC-BI ─▶ H^b ─┬─▶ RC-FI ─▶ H^f ─┬─▶ HFM ─▶ b, f, F ─▶ Recon ─▶ structure, detail, image
                   └─────────────────┴─────────────────┘
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from yogo_jax import imaging
from yogo_jax.model.config import YOGOConfig
from yogo_jax.model.feature_extraction import FeatureExtraction, interleave
from yogo_jax.model.hfm import HFM, DirectFusion
from yogo_jax.model.layers import Motion
from yogo_jax.model.recon import Recon
from yogo_jax.model.recurrent import BackwardRecurrence, ForwardRecurrence
from yogo_jax.ops.deform_conv import deform_conv2d
from yogo_jax.ops.resample import up2


class Output(NamedTuple):
    """What the network makes, RGB, float32, `[B, 2N−1, 4H, 4W, 3]` each, not clamped.

    `structure` and `detail` are None unless asked for, and in networks without them.
    """

    image: jax.Array
    structure: jax.Array | None = None
    detail: jax.Array | None = None


class YOGO(nn.Module):
    """Space-time super-resolution: N frames to 2N−1 frames of four times the height and width."""

    config: YOGOConfig = YOGOConfig()

    @nn.compact
    def __call__(self, frames: jax.Array, auxiliary: bool = False) -> Output:
        """Run the network.

        Args:
          frames: `[B, N, H, W, 3]` RGB in [0, 1], N ≥ 2, any H and W.
          auxiliary: make the structure and detail images as well, for the loss and for looking at.

        With `image_skip="aligned"`, the motion of each frame to the next and the last, (dy, dx) in pixels, is sown
        into the collection `motion` as `flow`, `[B, 2N−1, 2, H, W, 2]`.

        Raises:
          ValueError: frames of another rank, or fewer than two.
        """
        config = self.config
        if frames.ndim != 5 or frames.shape[1] < 2 or frames.shape[-1] != 3:
            raise ValueError(f"frames of shape {frames.shape}: it takes [B, N, H, W, 3] with N of 2 or more")
        height, width = frames.shape[2:4]
        padding = [(0, -size % config.multiple) for size in (height, width)]
        x = jnp.pad(frames, [(0, 0), (0, 0), *padding, (0, 0)], mode="edge").astype(config.dtype)

        features = FeatureExtraction(config, name="fe")(x)
        steps = [BackwardRecurrence(config, name="backward")(features)]
        if config.interaction != "backward_only":
            seen = steps[0].state if config.interaction == "full" else None
            steps.append(ForwardRecurrence(config, name="forward")(features, seen))

        batch, count = features.shape[:2]
        b_f_features = [y.reshape(-1, *y.shape[2:]) for y in (*(step.state for step in steps), features)]

        def reconstruct(x: jax.Array, name: str) -> jax.Array:
            recon = Recon(config, zero_last=name != "detail" and config.image_skip != "none", name=f"recon_{name}")
            # The widest features of the network are here: without gradients to keep them for, one frame at a time.
            y = recon(x) if auxiliary or self.is_initializing() else one_by_one(recon, x)
            return y.reshape(batch, count, *y.shape[1:])[:, :, : 4 * height, : 4 * width].astype(jnp.float32)

        structure = detail = None
        if config.fusion == "direct":
            image = reconstruct(DirectFusion(config, name="fusion")(*b_f_features), "image")
        else:
            b, f, features = HFM(config, name="hfm")(*b_f_features)
            image = reconstruct(features, "image")
            if config.auxiliary_heads and (auxiliary or self.is_initializing()):
                structure, detail = reconstruct(b, "structure"), reconstruct(f, "detail")
        if config.image_skip != "none":
            backward, forward = (step.motion for step in (steps[0], steps[-1]))
            if backward is None or forward is None:
                skip = blend(frames)
            else:
                skip = aligned_blend(frames, backward, forward)
                if not self.is_initializing():
                    flows = jnp.stack([backward.flow, forward.flow], axis=2)
                    self.sow("motion", "flow", flows[:, :, :, :height, :width])
            image = image + skip
            structure = None if structure is None else structure + skip
        return Output(image, structure, detail) if auxiliary else Output(image)


def one_by_one(module: nn.Module, x: jax.Array) -> jax.Array:
    """The module on x `[B, …]`, example after example."""

    def step(module: nn.Module, _: None, x: jax.Array) -> tuple[None, jax.Array]:
        return None, module(x[None])[0]

    return nn.scan(step, variable_broadcast="params", split_rngs={"params": False})(module, None, x)[1]


def blend(frames: jax.Array) -> jax.Array:
    """Bicubic ×4 of the known frames, and of the mean of its two neighbours for each missing one.

    `[B, N, H, W, 3]` → `[B, 2N−1, 4H, 4W, 3]`: the classical baseline.
    """
    large = imaging.upscale(frames)
    return interleave(large, (large[:, :-1] + large[:, 1:]) / 2)


def aligned_blend(frames: jax.Array, backward: Motion, forward: Motion) -> jax.Array:
    """The same, with the neighbours of a missing frame sampled where its states were aligned from.

    Args:
      frames: `[B, N, H, W, 3]`.
      backward, forward: each frame's motion to the next one and to the one before, `[B, 2N−1, …]` of H×W or
        more. The two samples are weighted as the aligners weighted them: without motion this is `blend`.

    Returns: `[B, 2N−1, 4H, 4W, 3]`, float32.
    """
    large = imaging.upscale(frames)
    height, width = large.shape[2:4]

    def sampled(image: jax.Array, motion: Motion) -> tuple[jax.Array, jax.Array]:
        """Image `[B, N−1, 4H, 4W, 3]` along the motion of the missing frames, times its weight, and this weight."""
        flow, weight = (
            up2(up2(x[:, 1::2].reshape(-1, *x.shape[2:])))[:, :height, :width] for x in (motion.flow * 4, motion.weight)
        )
        image = image.reshape(-1, *image.shape[2:])
        offset = [
            jnp.clip(at + flow[..., axis], 0, size - 1) - at  # beyond the edge lies the edge
            for axis, (at, size) in enumerate([(jnp.arange(height)[:, None], height), (jnp.arange(width), width)])
        ]
        offset = jnp.stack(offset, axis=-1)[..., None, None, :]
        return deform_conv2d(image, offset, weight[..., None], jnp.eye(3)[None, None]), weight

    after, after_weight = sampled(large[:, 1:], backward)
    before, before_weight = sampled(large[:, :-1], forward)
    made = (before + after) / (before_weight + after_weight)
    return interleave(large, made.reshape(large[:, 1:].shape))
