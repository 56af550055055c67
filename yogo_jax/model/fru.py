"""FRU: the fusion residual unit joins aligned hidden states and current features (Section 3.2)."""

import flax.linen as nn
import jax

from yogo_jax.model.layers import SMALL, Conv, leaky_relu


class FRB(nn.Module):
    """Fusion residual block on n branches, `[B, H, W, C]` each, own weights for each branch.

    a_i = φ(conv3(x_i)), s = φ(conv1([a_1 … a_n])), x_i ← x_i + φ(conv3(a_i + s)), φ = LeakyReLU.
    """

    @nn.compact
    def __call__(self, branches: list[jax.Array]) -> list[jax.Array]:
        filters = branches[0].shape[-1]
        own = [leaky_relu(Conv(filters, name=f"own{i}")(x)) for i, x in enumerate(branches)]
        shared = leaky_relu(Conv(filters, size=1, name="shared")(*own))
        return [
            x + leaky_relu(Conv(filters, init=SMALL, name=f"out{i}")(a + shared))
            for i, (x, a) in enumerate(zip(branches, own, strict=True))
        ]


class FRU(nn.Module):
    """A chain of FRBs on the branches (`refine`), then LeakyReLU(conv1) over all of them (`merge`)."""

    filters: int
    blocks: int

    def setup(self) -> None:
        self.frbs = [FRB() for block in range(self.blocks)]
        self.merge_branches = Conv(self.filters, size=1)

    def refine(self, branches: list[jax.Array]) -> list[jax.Array]:
        for block in self.frbs:
            branches = block(branches)
        return branches

    def merge(self, branches: list[jax.Array]) -> jax.Array:
        return leaky_relu(self.merge_branches(*branches))
