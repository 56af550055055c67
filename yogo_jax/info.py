"""What a network costs: parameters, and multiply-adds by the paper's counting rule.

The paper counts one multiply-add as 1, one more for each bias added, in every ordinary convolution that
inference runs; the deformable kernels are counted apart here, as it leaves them out. The counts are read off
the traced program: the calls of this package's `conv2d` and `deform_conv2d`, which every network here is made of.
"""

import math
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict
from jax.extend.core import jaxprs_in_params

# The paper counts on four LR frames of 180×144.
PAPER_FRAMES = (1, 4, 144, 180, 3)


@dataclass(frozen=True)
class Cost:
    """Parameters in all and by module (two levels deep), and multiply-adds at inference.

    `multiply_adds` are the ordinary convolutions', `deformable_multiply_adds` the deformable kernels'.
    """

    frames: tuple[int, ...]
    parameters: int
    parameters_by_module: dict[str, int]
    multiply_adds: int
    deformable_multiply_adds: int


def cost(model: nn.Module, frames: tuple[int, ...] = PAPER_FRAMES) -> Cost:
    """Trace a network on frames of this shape, `[B, N, H, W, 3]`, and count. Nothing is computed."""
    shapes = jax.ShapeDtypeStruct(frames, jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), shapes)
    by_module: dict[str, int] = {}
    flat: dict[tuple[str, ...], Any] = dict(flatten_dict(variables["params"]))
    for path, leaf in flat.items():
        module = "/".join(path[:-1][:2])
        by_module[module] = by_module.get(module, 0) + math.prod(leaf.shape)
    jaxpr = jax.make_jaxpr(model.apply)({"params": variables["params"]}, shapes)
    counts = _count(jaxpr.jaxpr)
    return Cost(
        frames=tuple(frames),
        parameters=sum(by_module.values()),
        parameters_by_module=by_module,
        multiply_adds=counts["_conv2d"],
        deformable_multiply_adds=counts["_deform_conv2d"],
    )


def _count(jaxpr: Any) -> dict[str, int]:
    """Multiply-adds of the calls of `conv2d` and `deform_conv2d` in a program, loops counted in full."""
    total = {"_conv2d": 0, "_deform_conv2d": 0}
    for equation in jaxpr.eqns:
        name = equation.params.get("name")
        if name in total:
            # Both take the kernel, [k, k, C, K], as their last argument of four axes, and a bias after it.
            # nn.scan splits off the part of a call that no time step enters into; it has no image to make.
            if not equation.outvars or equation.outvars[0].aval.ndim != 4:
                continue
            kernel = [v.aval for v in equation.invars if len(v.aval.shape) == 4][-1]
            bias = equation.invars[-1].aval.ndim == 1
            total[name] += equation.outvars[0].aval.size * (math.prod(kernel.shape[:3]) + bias)
            continue
        times = equation.params["length"] if equation.primitive.name == "scan" else 1
        for inner in jaxprs_in_params(equation.params):
            for key, value in _count(inner).items():
                total[key] += times * value
    return total
