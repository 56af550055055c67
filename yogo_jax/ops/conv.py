"""Two-dimensional convolution whose gradients are as fast inside `lax.scan` as outside of it.

XLA:CPU runs a convolution by its fast kernel only in the form NHWC × HWIO, and brings the transposed
convolutions of a backward pass into that form only outside of loops: left to automatic differentiation, the
gradient of a recurrent cell is some twenty times slower than it need be. So the gradients are written here in
the fast form:

  * with stride 1, ∂x is the convolution of ∂y with the kernel turned by 180° and its channel axes swapped;
  * with stride 2, each of the four parities of ∂x is a 2×2 convolution of ∂y: one convolution with four times
    the channels, then a shuffle;
  * ∂w is one matrix product.

Other platforms have their own ways to transpose a convolution, and use them. On CPUs, 3×3 convolutions of enough
channels go by `winograd`, forward and backward.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from yogo_jax.ops.memory import held_back
from yogo_jax.ops.products import outer
from yogo_jax.ops.resample import pixel_shuffle
from yogo_jax.ops.winograd import pays, winograd, winograd_gradients

DIMENSIONS = ("NHWC", "HWIO", "NHWC")
COPIES_BYTES = 1 << 23  # of shifted copies in a kernel's gradient: what stays near the core


def conv2d(x: jax.Array, kernel: jax.Array, bias: jax.Array | None = None, stride: int = 1) -> jax.Array:
    """Convolve with k//2 zeros on every side: what `torch.nn.Conv2d(C, K, k, stride, padding=k // 2)` computes.

    Args:
      x: `[B, H, W, C]`.
      kernel: `[k, k, C, K]`, k odd.
      bias: `[K]`.
      stride: 1, or 2 with a 3×3 kernel.

    Returns:
      `[B, ⌈H/stride⌉, ⌈W/stride⌉, K]` in x's dtype.

    Raises:
      ValueError: another kernel size or stride.
    """
    size = kernel.shape[0]
    if size % 2 == 0 or stride not in (1, 2) or (stride == 2 and size != 3):
        raise ValueError(f"a {size}×{size} kernel with stride {stride}: it takes odd kernels, and 3×3 with stride 2")
    return _conv2d(x, kernel, bias, stride)


@partial(jax.jit, static_argnums=3)
def _conv2d(x, kernel, bias, stride):
    y = _convolve(x, kernel, stride)
    return y if bias is None else y + bias


def _direct(x, kernel, *, stride):
    pad = kernel.shape[0] // 2
    return lax.conv_general_dilated(x, kernel, (stride, stride), [(pad, pad)] * 2, dimension_numbers=DIMENSIONS)


def _forward(x, kernel, stride):
    direct = partial(_direct, stride=stride)
    if stride > 1 or not pays(x, kernel):
        return direct(x, kernel)
    return lax.platform_dependent(x, kernel, cpu=winograd, default=direct)


_convolve = jax.custom_vjp(_forward, nondiff_argnums=(2,))


def _convolve_forward(x, kernel, stride):
    return _forward(x, kernel, stride), (x, kernel)


def _convolve_backward(stride, residuals, g):
    x, kernel = residuals
    if kernel.shape[0] == 1:
        return lax.dot_general(g, kernel[0, 0], (((3,), (1,)), ((), ()))), _kernel_gradient(x, kernel, g, 1)
    return lax.platform_dependent(
        x, kernel, g, cpu=partial(_canonical_gradients, stride=stride), default=partial(_transposed, stride=stride)
    )


_convolve.defvjp(_convolve_forward, _convolve_backward)


def _transposed(x, kernel, g, *, stride):
    return jax.vjp(partial(_direct, stride=stride), x, kernel)[1](g)


def _canonical_gradients(x, kernel, g, *, stride):
    x = held_back(x, g)
    if stride == 1 and pays(x, kernel):
        return winograd_gradients(x, kernel, g)
    turned = jnp.swapaxes(kernel[::-1, ::-1], 2, 3)
    if stride == 1:
        dx = _direct(g, turned, stride=1)
    else:
        # With y[i] = Σ_k w[k] x[2i + k − 1]: ∂x[2m] = w[1] g[m], and ∂x[2m + 1] = w[2] g[m] + w[0] g[m + 1].
        even = jnp.stack([turned[1], jnp.zeros_like(turned[1])])
        rows = jnp.stack([even, turned[jnp.array([0, 2])]])  # [parity of y, tap, kx, K, C]
        even = jnp.stack([rows[:, :, 1], jnp.zeros_like(rows[:, :, 1])], axis=2)
        taps = jnp.stack([even, rows[:, :, jnp.array([0, 2])]], axis=1)  # [parity y, parity x, tap y, tap x, K, C]
        taps = jnp.moveaxis(taps, (2, 3, 4, 5), (0, 1, 2, 3))  # [tap y, tap x, K, C, parity y, parity x]
        taps = taps.reshape(2, 2, kernel.shape[3], 4 * kernel.shape[2])
        phases = lax.conv_general_dilated(g, taps, (1, 1), [(0, 1)] * 2, dimension_numbers=DIMENSIONS)
        dx = pixel_shuffle(phases, 2)[:, : x.shape[1], : x.shape[2]]
    return dx, _kernel_gradient(x, kernel, g, stride)


def _kernel_gradient(x, kernel, g, stride):
    """∂w[ky, kx] = Σ x[stride·y + ky, stride·x + kx]ᵀ g[y, x], over examples and pixels.

    With stride 1 it is one matrix product, of one side with the k·k shifted copies of the other; of the gradient,
    unless it is much the wider one. Where the copies are large, each example has a product of its own. A stride
    shifts the image, with a product for each row of taps.
    """
    return _summed_kernel_gradient(x, kernel.shape, g, stride).astype(kernel.dtype)


def _summed_kernel_gradient(x, shape, g, stride):
    """`_kernel_gradient` of a kernel of this shape, before it is rounded to the kernel's dtype."""
    size, _, channels, features = shape
    batch, height, width, _ = g.shape
    pad = size // 2
    if stride > 1:
        x = jnp.pad(x, ((0, 0), (pad, pad + stride - 1), (pad, pad + stride - 1), (0, 0)))
        columns = jnp.concatenate([x[:, :, k : k + stride * width : stride] for k in range(size)], axis=-1)
        rows = [_outer_over_pixels(columns[:, k : k + stride * height : stride], g) for k in range(size)]
        return jnp.stack(rows).reshape(shape)
    copied = g if features <= 2 * channels else x
    if size > 1 and batch > 1 and size * size * copied.size * copied.dtype.itemsize > COPIES_BYTES:

        def add(total, example):
            x, g = (array[None] for array in example)
            return total + _summed_kernel_gradient(x, shape, g, 1), None

        return lax.scan(add, jnp.zeros(shape, jnp.float32), (x, g))[0]
    padded = jnp.pad(copied, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    copies = [padded[:, ky : ky + height, kx : kx + width] for ky in range(size) for kx in range(size)]
    if copied is x:
        return _outer_over_pixels(jnp.concatenate(copies, axis=-1), g).reshape(shape)
    gradient = _outer_over_pixels(x, jnp.concatenate(copies[::-1], axis=-1)).reshape(channels, size, size, features)
    return gradient.transpose(1, 2, 0, 3)


def _outer_over_pixels(a, b):
    """`[B, H, W, m]` and `[B, H, W, n]` → `[m, n]`, summed over all else in float32."""
    return outer(a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1]))
