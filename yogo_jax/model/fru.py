"""FRU: the fusion residual unit joins aligned hidden states and current features (Section 3.2)."""

import flax.linen as nn
import jax

from yogo_jax.model.layers import SMALL, Conv, SplitConv, chained, leaky_relu, parts_of


class FRB(nn.Module):
    """Fusion residual block on n branches, `[B, H, W, C]` each, own weights for each branch.

    a_i = φ(conv3(x_i)), s = φ(conv1([a_1 … a_n])), x_i ← x_i + φ(conv3(a_i + s)), φ = LeakyReLU.
    """

    filters: int
    branches: int

    def setup(self) -> None:
        self.own = [Conv(self.filters, name=f"own{i}") for i in range(self.branches)]
        self.shared = SplitConv(self.filters, self.branches, size=1)
        self.out = [Conv(self.filters, init=SMALL, name=f"out{i}") for i in range(self.branches)]

    def __call__(self, branches: list[jax.Array]) -> list[jax.Array]:
        own = [leaky_relu(conv(x)) for conv, x in zip(self.own, branches, strict=True)]
        return self._joined(branches, own, self.shared(*own))

    def seen(self, branches: list[jax.Array]) -> tuple[list[jax.Array], jax.Array]:
        """What all branches but the first give: a_2 … a_n, and their part of conv1."""
        own = [leaky_relu(conv(x)) for conv, x in zip(self.own[1:], branches, strict=True)]
        parts = [parts_of(a, self.shared.part(i), biased=i == 1)[0] for i, a in enumerate(own, start=1)]
        return own, sum(parts[1:], start=parts[0])

    def with_first(self, branches: list[jax.Array], seen: tuple[list[jax.Array], jax.Array]) -> list[jax.Array]:
        """The block, with all but the first branch `seen`."""
        own, shared = seen
        first = leaky_relu(self.own[0](branches[0]))
        return self._joined(branches, [first, *own], parts_of(first, self.shared.part(0), biased=False)[0] + shared)

    def _joined(self, branches: list[jax.Array], own: list[jax.Array], shared: jax.Array) -> list[jax.Array]:
        shared = leaky_relu(shared)
        return [x + leaky_relu(conv(a + shared)) for conv, x, a in zip(self.out, branches, own, strict=True)]


class FRU(nn.Module):
    """A chain of FRBs on the branches (`refine`), then LeakyReLU(conv1) over all of them (`merge`).

    All branches but the first can be looked at (`seen`) before it is there; the first FRB stands apart from the others
    for that.
    """

    filters: int
    branches: int
    blocks: int

    def setup(self) -> None:
        if self.blocks:
            self.first = FRB(self.filters, self.branches)
        if self.blocks > 1:
            self.others = FRB(self.filters, self.branches)
        self.merge_branches = Conv(self.filters, size=1)

    def seen(self, branches: list[jax.Array]) -> tuple[list[jax.Array], jax.Array] | None:
        """For `refine`; `branches` are all but the first."""
        return self.first.seen(branches) if self.blocks else None

    def refine(self, branches: list[jax.Array], seen: tuple[list[jax.Array], jax.Array] | None) -> list[jax.Array]:
        if seen is not None:
            branches = self.first.with_first(branches, seen)
        return chained(self.others, self.blocks - 1, branches) if self.blocks > 1 else branches

    def merge(self, branches: list[jax.Array]) -> jax.Array:
        return leaky_relu(self.merge_branches(*branches))
