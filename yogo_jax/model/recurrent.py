"""RC-BI and RC-FI: the recurrent cells of the bidirectional interactive propagation module (Section 3.2).

    RC-BI, from the last frame to the first:  H^b_t = FRU₂([DFU(H^b_{t+1}, F_t), F_t])
    RC-FI, from the first frame to the last:  H^f_t = FRU₃([DFU(H^f_{t−1}, F_t), DFU(H^b_{t+1}, F_t), F_t])

Each pass is one scan over time; the time steps share their parameters. States before the first step, and
H^b past the last frame, are zero.
"""

import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Out

from yogo_jax.model.config import YOGOConfig
from yogo_jax.model.dfu import DFU, Seen
from yogo_jax.model.fru import FRU
from yogo_jax.model.registration import Motion, along, warp

MOST_AT_ONCE = 1 << 14
"""Pixels of all time steps that are worked on at once, ahead of the scan; with more of them it is step by step, since
what only one step needs would fill the memory."""


class Ahead(NamedTuple):
    """What a cell knows of a time step before its recurrent state: `[B·T, …]`, or `[B, …]` for one step.

    Attributes:
      branches: the other states, aligned where the cell aligns first, and the current features.
      features: the features as the DFU of the recurrent state sees them; None where it does not come first.
      fru: what the FRU makes of `branches`; None without FRBs.
    """

    branches: list[jax.Array]
    features: Seen | None
    fru: tuple[list[jax.Array], jax.Array] | None


class RecurrentCell(nn.Module):
    """One time step: joins hidden states `[B, H, W, C]`, the recurrent one first, with the current features.

    `cell_order` is Table 5's: align then fuse as in the paper ("dfu_fru"), either alone, or fuse then align.
    The aligned recurrent state and the result are sown as `aligned` and `fused` (Figure 8), `[B, T, H, W, C]`.
    What the recurrent state does not enter into is done before the first step, for all steps at once (`ahead`).
    """

    config: YOGOConfig
    blocks: int
    states: int

    def setup(self) -> None:
        order = self.config.cell_order
        self.fru = FRU(self.config.filters, self.states + 1, self.blocks if "fru" in order else 0)
        self.dfus = [DFU(self.config, name=f"dfu{i}") for i in range(self.states if "dfu" in order else 0)]

    def ahead(self, features: jax.Array, *others: jax.Array) -> Ahead:
        """From the current features and the states that are known, `[B·T, H, W, C]` each."""
        seen = None
        if self.config.cell_order.startswith("dfu"):
            seen = self.dfus[0].seen(features, 1)
            others = tuple(dfu(x, features) for dfu, x in zip(self.dfus[1:], others, strict=True))
        branches = [*others, features]
        return Ahead(branches, seen, self.fru.seen(branches))

    def __call__(self, hidden: jax.Array, ahead: Ahead, flow: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        """`flow`, if there is one, `[B, H, W, 2]`, says where the recurrent state has what is in this frame."""
        if flow is not None:
            hidden = warp(hidden, flow)
        if ahead.features is not None:
            hidden = self.dfus[0].align(self.dfus[0].seen(hidden, 0), ahead.features)
        branches = self.fru.refine([hidden, *ahead.branches], ahead.fru)
        if self.config.cell_order == "fru_dfu":
            *states, features = branches
            branches = [*(dfu(x, features) for dfu, x in zip(self.dfus, states, strict=True)), features]
            hidden = branches[0]
        self.sow("intermediates", "aligned", hidden)
        result = self.fru.merge(branches)
        self.sow("intermediates", "fused", result)
        return result, result


class _Pass(nn.Module):
    """Runs a cell over time: inputs `[B, T, H, W, C]` each → the states, `[B, T, H, W, C]`.

    `flow`, `[B, T, H, W, 2]`, is each frame's to the one before it in the order of the pass.
    """

    config: YOGOConfig
    blocks: int
    reverse: bool

    @nn.compact
    def __call__(self, *inputs: jax.Array, flow: jax.Array | None) -> jax.Array:
        cell = RecurrentCell(self.config, self.blocks, states=len(inputs), name="cell")
        batch, count, *size, _ = inputs[0].shape
        axes = {
            "variable_broadcast": "params",
            "variable_axes": {"intermediates": Out(1), "offsets": Out(1)},
            "split_rngs": {"params": False},
            "in_axes": 1,
            "out_axes": 1,
        }
        known = all(isinstance(side, int) for side in (batch, *size))  # and no symbol of an exported program
        if known and math.prod((batch, count, *size)) <= MOST_AT_ONCE:
            ahead = cell.ahead(*(x.reshape(-1, *x.shape[2:]) for x in inputs))
            ahead = jax.tree.map(lambda x: x.reshape(batch, count, *x.shape[1:]), ahead)
        else:

            def step_ahead(cell: RecurrentCell, _: None, inputs: tuple[jax.Array, ...]) -> tuple[None, Ahead]:
                return None, cell.ahead(*inputs)

            ahead = nn.scan(step_ahead, **axes)(cell, None, inputs)[1]

        def step(cell: RecurrentCell, hidden: jax.Array, known: tuple) -> tuple[jax.Array, jax.Array]:
            return cell(hidden, *known)

        scan = nn.scan(nn.remat(step, prevent_cse=False) if self.config.remat else step, reverse=self.reverse, **axes)
        return scan(cell, jnp.zeros_like(inputs[0][:, 0]), (ahead, flow))[1]


class BackwardRecurrence(nn.Module):
    """RC-BI: features F `[B, T, H, W, C]` → structure states H^b, `[B, T, H, W, C]`."""

    config: YOGOConfig

    @nn.compact
    def __call__(self, features: jax.Array, motion: Motion | None) -> jax.Array:
        flow = motion and motion.to_next
        return _Pass(self.config, self.config.frb_backward, reverse=True, name="rc_bi")(features, flow=flow)


class ForwardRecurrence(nn.Module):
    """RC-FI: F and H^b, `[B, T, H, W, C]` each → detail states H^f, `[B, T, H, W, C]`.

    Without H^b (None) it is the plain forward cell of Table 3 (b) and (c).
    """

    config: YOGOConfig

    @nn.compact
    def __call__(self, features: jax.Array, backward: jax.Array | None, motion: Motion | None) -> jax.Array:
        inputs = [features]
        if backward is not None:
            future = jnp.concatenate([backward[:, 1:], jnp.zeros_like(backward[:, :1])], axis=1)
            inputs.append(future if motion is None else along(future, motion.to_next))
        flow = motion and motion.to_last
        return _Pass(self.config, self.config.frb_forward, reverse=False, name="rc_fi")(*inputs, flow=flow)
