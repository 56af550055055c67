"""RC-BI and RC-FI: the recurrent cells of the bidirectional interactive propagation module (Section 3.2).

    RC-BI, from the last frame to the first:  H^b_t = FRU₂([DFU(H^b_{t+1}, F_t), F_t])
    RC-FI, from the first frame to the last:  H^f_t = FRU₃([DFU(H^f_{t−1}, F_t), DFU(H^b_{t+1}, F_t), F_t])

Each pass is one scan over time; the time steps share their parameters. States before the first step, and
H^b past the last frame, are zero.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from yogo_jax.model.config import YOGOConfig
from yogo_jax.model.dfu import DFU
from yogo_jax.model.fru import FRU


class RecurrentCell(nn.Module):
    """One time step: joins hidden states `[B, H, W, C]`, the recurrent one first, with the current features.

    `cell_order` is Table 5's: align then fuse as in the paper ("dfu_fru"), either alone, or fuse then align.
    The aligned recurrent state and the result are sown as `aligned` and `fused` (Figure 8), `[B, T, H, W, C]`.
    """

    config: YOGOConfig
    blocks: int

    @nn.compact
    def __call__(self, hidden: jax.Array, inputs: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
        features, *others = inputs
        order = self.config.cell_order
        states = [hidden, *others]
        fru = FRU(self.config.filters, self.blocks if "fru" in order else 0, name="fru")
        dfus = [DFU(self.config, name=f"dfu{i}") for i in range(len(states))]
        if order == "fru_dfu":
            *states, features = fru.refine([*states, features])
        if "dfu" in order:
            states = [dfu(state, features) for dfu, state in zip(dfus, states, strict=True)]
        self.sow("intermediates", "aligned", states[0])
        branches = [*states, features]
        if order in ("dfu_fru", "fru"):
            branches = fru.refine(branches)
        result = fru.merge(branches)
        self.sow("intermediates", "fused", result)
        return result, result


class _Pass(nn.Module):
    """Runs a cell over time: inputs `[B, T, H, W, C]` each → the states, `[B, T, H, W, C]`."""

    config: YOGOConfig
    blocks: int
    reverse: bool

    @nn.compact
    def __call__(self, *inputs: jax.Array) -> jax.Array:
        cell = nn.remat(RecurrentCell, prevent_cse=False) if self.config.remat else RecurrentCell
        scan = nn.scan(
            cell,
            variable_broadcast="params",
            variable_axes={"intermediates": 1, "offsets": 1},
            split_rngs={"params": False},
            in_axes=1,
            out_axes=1,
            reverse=self.reverse,
        )
        zeros = jnp.zeros_like(inputs[0][:, 0])
        return scan(self.config, self.blocks, name="cell")(zeros, inputs)[1]


class BackwardRecurrence(nn.Module):
    """RC-BI: features F `[B, T, H, W, C]` → structure states H^b, `[B, T, H, W, C]`."""

    config: YOGOConfig

    @nn.compact
    def __call__(self, features: jax.Array) -> jax.Array:
        return _Pass(self.config, self.config.frb_backward, reverse=True, name="rc_bi")(features)


class ForwardRecurrence(nn.Module):
    """RC-FI: F and H^b, `[B, T, H, W, C]` each → detail states H^f, `[B, T, H, W, C]`.

    Without H^b (None) it is the plain forward cell of Table 3 (b) and (c).
    """

    config: YOGOConfig

    @nn.compact
    def __call__(self, features: jax.Array, backward: jax.Array | None) -> jax.Array:
        inputs = [features]
        if backward is not None:
            inputs.append(jnp.concatenate([backward[:, 1:], jnp.zeros_like(backward[:, :1])], axis=1))
        return _Pass(self.config, self.config.frb_forward, reverse=False, name="rc_fi")(*inputs)
