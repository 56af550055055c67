"""HFM: the hybrid fusion module refines structures, details and features together (Section 3.3)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from yogo_jax.model.config import YOGOConfig
from yogo_jax.model.layers import Conv, Residual, ResidualBlocks, chained

States = tuple[jax.Array, jax.Array, jax.Array]


class SqueezeExcitation(nn.Module):
    """x `[B, H, W, C]` → a gate `[B, 1, 1, C]` in (0, 1): sigmoid(conv1(ReLU(conv1(mean over H and W))))."""

    reduction: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        filters = x.shape[-1]
        mean = x.mean(axis=(1, 2), keepdims=True, dtype=jnp.float32).astype(x.dtype)
        squeezed = nn.relu(Conv(filters // self.reduction, size=1, name="squeeze")(mean))
        return jax.nn.sigmoid(Conv(filters, size=1, name="excite")(squeezed))


class HFB(nn.Module):
    """Hybrid fusion block: states b and f, and features F, `[B, H, W, C]` each (Eqs. 2 and 3).

    b' = b + R₁(b), f' = f + R₂(f), F' = F + SE₁(R₁(b)) ⊙ R₂(f) + SE₂(R₂(f)) ⊙ R₁(b).
    """

    config: YOGOConfig

    @nn.compact
    def __call__(self, states: States) -> States:
        b, f, features = states
        structure = Residual(self.config.filters, name="r1")(b)
        detail = Residual(self.config.filters, name="r2")(f)
        gate1 = SqueezeExcitation(self.config.se_reduction, name="se1")(structure)
        gate2 = SqueezeExcitation(self.config.se_reduction, name="se2")(detail)
        return b + structure, f + detail, features + gate1 * detail + gate2 * structure


class HFM(nn.Module):
    """A chain of HFBs: (H^b, H^f, F) → the same three, refined."""

    config: YOGOConfig

    @nn.compact
    def __call__(self, states: States) -> States:
        return chained(HFB(self.config, name="hfb"), self.config.hfbs, states)


class DirectFusion(nn.Module):
    """Table 3's direct fusion: conv1 over states and features, then residual blocks at the cost of the HFBs."""

    config: YOGOConfig

    @nn.compact
    def __call__(self, *inputs: jax.Array) -> jax.Array:
        x = Conv(self.config.filters, size=1, name="merge")(*inputs)
        return ResidualBlocks(self.config.filters, 2 * self.config.hfbs, name="blocks")(x)
