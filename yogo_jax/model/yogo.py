"""YOGO, "You Only Align Once": the whole network (Figure 2).

frames ─▶ FE ─▶ F ─┬─▶ RC-BI ─▶ H^b ─┬─▶ RC-FI ─▶ H^f ─┬─▶ HFM ─▶ b, f, F ─▶ Recon ─▶ structure, detail, image
                   └─────────────────┴─────────────────┘
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from yogo_jax import imaging
from yogo_jax.model import back_projection
from yogo_jax.model.config import YOGOConfig
from yogo_jax.model.feature_extraction import FeatureExtraction
from yogo_jax.model.hfm import HFM, DirectFusion
from yogo_jax.model.images import Measure, Output, flat, one_by_one
from yogo_jax.model.recon import Recon
from yogo_jax.model.recurrent import BackwardRecurrence, ForwardRecurrence
from yogo_jax.model.registration import Motion, Registration, interleave, warp
from yogo_jax.ops.resample import up4


class YOGO(nn.Module):
    """Space-time super-resolution: N frames to 2N−1 frames of four times the height and width."""

    config: YOGOConfig = YOGOConfig()

    @nn.compact
    def __call__(self, frames: jax.Array, auxiliary: bool = False, measure: Measure | None = None) -> Output:
        """Run the network.

        Args:
          frames: `[B, N, H, W, 3]` RGB in [0, 1], N ≥ 2, any H and W.
          auxiliary: give the images beside `image` as well, for looking at and for losses of other kinds.
          measure: give all heads' distances from their targets, float32 [], not the images.

        Raises:
          ValueError: frames of another rank, or fewer than two.
        """
        config = self.config
        if frames.ndim != 5 or frames.shape[1] < 2 or frames.shape[-1] != 3:
            raise ValueError(f"frames of shape {frames.shape}: it takes [B, N, H, W, 3] with N of 2 or more")
        height, width = frames.shape[2:4]
        padding = [(0, -size % config.multiple) for size in (height, width)]
        x = jnp.pad(frames, [(0, 0), (0, 0), *padding, (0, 0)], mode="edge").astype(config.dtype)

        motion = Registration(config, name="register")(x) if config.motion == "registered" else None
        reconstructed = evidence = None
        if motion is not None and config.image_skip == "reconstruct":
            reconstructed = back_projection.reconstruct(x, motion)
            evidence = reconstructed - imaging.upscale(x)
        features = FeatureExtraction(config, name="fe")(x, motion, evidence)
        states = [BackwardRecurrence(config, name="backward")(features, motion)]
        if config.interaction != "backward_only":
            seen = states[0] if config.interaction == "full" else None
            states.append(ForwardRecurrence(config, name="forward")(features, seen, motion))

        batch, count = features.shape[:2]
        b_f_features = [flat(y) for y in (*states, features)]

        skip = None
        if motion is not None:
            motion = Motion(*(x[:, :, :height, :width].astype(jnp.float32) for x in motion))
        if config.image_skip != "none":
            large = imaging.upscale(frames) if reconstructed is None else reconstructed[:, :, : 4 * height, : 4 * width]
            skip = between(large, motion)

        def finished(y: jax.Array, skip: jax.Array | None) -> jax.Array:
            y = y[..., : 4 * height, : 4 * width, :].astype(jnp.float32)
            return y if skip is None else y + skip

        def head(name: str, x: jax.Array, skip: jax.Array | None) -> Any:
            recon = Recon(config, zero_last=skip is not None, name=f"recon_{name}")
            if measure is None or self.is_initializing():
                y = one_by_one(recon, x)
                return finished(y.reshape(batch, count, *y.shape[1:]), skip)
            module, variables = recon.unbind()

            def images(params: Any, made_of: tuple[jax.Array, jax.Array | None]) -> jax.Array:
                y: Any = module.apply({"params": params}, made_of[0])
                return finished(y, made_of[1])

            return measure.of(name, images, variables["params"], (x, jax.tree.map(flat, skip)))

        structure = detail = None
        if config.fusion == "direct":
            image = head("image", DirectFusion(config, name="fusion")(*b_f_features), skip)
        else:
            b, f, features = HFM(config, name="hfm")((b_f_features[0], b_f_features[1], b_f_features[2]))
            image = head("image", features, skip)
            if config.auxiliary_heads and (auxiliary or measure is not None or self.is_initializing()):
                structure, detail = head("structure", b, skip), head("detail", f, None)
        unrefined = None
        if measure is None and reconstructed is not None and motion is not None:
            unrefined, image = image, back_projection.refine(image, frames, motion)
        return Output(image, structure, detail, unrefined if auxiliary else None)


def between(large: jax.Array, motion: Motion | None = None) -> jax.Array:
    """Known frames of four times the size, and the mean of its two neighbours for each missing one.

    `[B, N, 4H, 4W, 3]` → `[B, 2N−1, 4H, 4W, 3]`: of bicubic ×4 it is the classical baseline. With a motion, `[…, H, W,
    …]`, the neighbours are sampled along it and weighted by it.
    """
    before, after = large[:, :-1], large[:, 1:]
    if motion is None:
        return interleave(large, (before + after) / 2)

    def made(inputs: tuple[jax.Array, ...]) -> jax.Array:
        """One frame, `[4H, 4W, 3]`: what it takes on the way is many times its size."""
        before, after, to_last, to_next, weight = (x[None] for x in inputs)
        before, after = warp(before, 4 * up4(to_last)), warp(after, 4 * up4(to_next))
        weight = up4(weight)
        return (weight * before + (1 - weight) * after)[0]

    inputs = before, after, motion.to_last[:, 1::2], motion.to_next[:, 1::2], motion.weight
    frames_made = jax.lax.map(made, tuple(x.reshape(-1, *x.shape[2:]) for x in inputs))
    return interleave(large, frames_made.reshape(before.shape))
