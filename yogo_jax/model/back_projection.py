"""What neighbouring frames show of one another: known frames reconstructed from several, by back-projection.

A known frame's reconstruction is moved to its neighbours along the motion and shrunk; what it lacks there of them, and
of the frame itself, is enlarged, moved back and added, a few times over (Irani and Peleg, "Improving resolution by
image registration", 1991). A neighbour counts where it agrees with the frame. There is nothing in it to be trained,
and no gradient goes through it.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from yogo_jax import imaging
from yogo_jax.model.registration import Motion, box, interleave, slopes, warp
from yogo_jax.ops.memory import laid_down_on_cpu
from yogo_jax.ops.resample import up4

ROUNDS, OWN_ROUNDS = 4, 2  # with neighbours, and of known frames alone after them
FASTER = 1.5  # over-relaxation where no network follows: more detail in as many rounds
STRICTNESS = 7.0  # towards squared differences, in multiples of the frame's own squared slopes
TOLERANCE = 0.25  # pixels by which motion there and back may miss
NOISE = 1e-4  # squared, of [0, 1]


def reconstruct(frames: jax.Array, motion: Motion) -> jax.Array:
    """Known frames `[B, N, H, W, 3]` in [0, 1] → their reconstructions from bicubic ×4, `[B, N, 4H, 4W, 3]`."""
    frames = jax.lax.stop_gradient(frames.astype(jnp.float32))
    return back_project(imaging.upscale(frames), known_views(frames, motion), 1.0)


def refine(images: jax.Array, frames: jax.Array, motion: Motion) -> jax.Array:
    """All frames `[B, 2N−1, 4H, 4W, 3]`, known and made, brought into agreement with the known `[B, N, H, W, 3]`.

    The last word on a known frame is its own: motion that is a little wrong does not blur it.
    """
    images, frames = jax.lax.stop_gradient((images, frames.astype(jnp.float32)))
    made = images[:, 1::2]
    views = jax.tree.map(interleave, known_views(frames, motion), made_views(imaging.downscale(made), frames, motion))
    images = back_project(images, views, FASTER)
    known = images[:, ::2]
    for _ in range(OWN_ROUNDS):
        known = known + FASTER * imaging.upscale(frames - imaging.downscale(known))
    return interleave(known, images[:, 1::2])


class Views(NamedTuple):
    """What is known of T frames, (dy, dx) in low-resolution pixels; the next known frame first, then the last.

    Attributes:
      frame: `[B, T, H, W, 3]`, in low resolution.
      known: `[B, T, 1, 1, 1]`, 1 where it is a known frame and not a guess.
      neighbours: `[B, T, 2, H, W, 3]`, two known frames.
      exists: `[B, T, 2, 1, 1, 1]`, 0 where there is no such neighbour.
      there, home: `[B, T, 2, H, W, 2]`, the motion to the neighbour, and from it.
    """

    frame: jax.Array
    known: jax.Array
    neighbours: jax.Array
    exists: jax.Array
    there: jax.Array
    home: jax.Array


def known_views(frames: jax.Array, motion: Motion) -> Views:
    """Of the known frames: their neighbours are the known ones before and after them."""
    batch, count = frames.shape[:2]
    ahead, back = (2 * x[:, ::2] for x in (motion.to_next, motion.to_last))
    exists = jnp.ones((batch, count, 2, 1, 1, 1)).at[:, -1, 0].set(0).at[:, 0, 1].set(0)
    return Views(
        frames,
        jnp.ones((batch, count, 1, 1, 1)),
        jnp.stack([jnp.roll(frames, -1, axis=1), jnp.roll(frames, 1, axis=1)], axis=2),
        exists,
        jnp.stack([ahead, back], axis=2),
        jnp.stack([jnp.roll(back, -1, axis=1), jnp.roll(ahead, 1, axis=1)], axis=2),
    )


def made_views(guess: jax.Array, frames: jax.Array, motion: Motion) -> Views:
    """Of the frames made between them, of which there is a guess `[B, N−1, H, W, 3]`."""
    batch, count = guess.shape[:2]
    return Views(
        guess,
        jnp.zeros((batch, count, 1, 1, 1)),
        jnp.stack([frames[:, 1:], frames[:, :-1]], axis=2),
        jnp.ones((batch, count, 2, 1, 1, 1)),
        jnp.stack([motion.to_next[:, 1::2], motion.to_last[:, 1::2]], axis=2),
        jnp.stack([motion.to_last[:, 2::2], motion.to_next[:, :-1:2]], axis=2),
    )


def back_project(images: jax.Array, views: Views, step: float) -> jax.Array:
    """Images `[B, T, 4H, 4W, 3]` brought into agreement with what is known of them; `step` 1 adds what they lack."""

    def one(inputs: tuple[jax.Array, Views]) -> jax.Array:
        """One frame, `[4H, 4W, 3]`: what it takes on the way is many times its size."""
        image, view = inputs
        share = view.exists * agreement(view.frame[None], view.neighbours, view.there, view.home, view.known)
        share, there, home = up4(share), 4 * up4(view.there), 4 * up4(view.home)
        # What is added of the frame itself and of its neighbours; sums over an axis of two are slow in XLA:CPU.
        whole = (1 + share[0] + share[1]) / step
        own, next_, last = (jnp.broadcast_to(x / whole, image.shape) for x in (view.known, share[0], share[1]))
        own, next_, last, there, home = laid_down_on_cpu((own, next_, last, there, home))

        def improve(_: int, image: jax.Array) -> jax.Array:
            seen = imaging.downscale(laid_down_on_cpu(warp(image[None], home)))
            lacking = laid_down_on_cpu(warp(imaging.upscale(view.neighbours - seen), there))
            itself = imaging.upscale(view.frame - imaging.downscale(image))
            return image + own * itself + next_ * lacking[0] + last * lacking[1]

        return jax.lax.fori_loop(0, ROUNDS, improve, image)

    rows = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), (images, views))
    return jax.lax.map(one, rows).reshape(images.shape)


def agreement(
    frames: jax.Array, neighbours: jax.Array, there: jax.Array, home: jax.Array, known: jax.Array
) -> jax.Array:
    """How far each neighbour can be trusted around each pixel, in (0, 1]: `[M, H, W, c]` and flows → `[M, H, W, 1]`.

    It takes colours that agree along the motion, and motion that leads back to where it came from. From frames that
    are not known it is half as far.
    """
    squared = ((warp(neighbours, there) - frames) ** 2).sum(axis=-1, keepdims=True)
    dy, dx = slopes(frames)
    slope = (dy**2 + dx**2).sum(axis=-1, keepdims=True)
    missed = ((there + warp(home, there)) ** 2).sum(axis=-1, keepdims=True)
    return jnp.exp(-STRICTNESS * box(squared) / (box(slope) + NOISE) - missed / (TOLERANCE * (1 + known) / 2) ** 2)
