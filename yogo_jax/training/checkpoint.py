"""Checkpoints: the whole state of a run, by orbax, in the background.

    WORKDIR/checkpoints/STEP/state     TrainState, sharded over whatever mesh wrote it
                             config    the run's config
                             input     position of the data
                             metrics   of the evaluation at this step, if there was one

A save is written aside and renamed when whole: what is interrupted is ignored and cleared away later. The latest
few and the best are kept.
"""

import dataclasses
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers as policies

from yogo_jax.configuration import Config
from yogo_jax.errors import UserError
from yogo_jax.training.state import TrainState
from yogo_jax.weights import check_shapes, load_weights

BEST = "psnr_y"
"""The metric by which one checkpoint is better than another."""


class Checkpoints:
    """The checkpoints of one run. All processes of the run call the same methods in the same order.

    Raises UserError from every method that finds the directory unreadable, unwritable or full.
    """

    def __init__(self, directory: Path, keep_latest: int = 2) -> None:
        self.directory = directory
        kept = [
            policies.LatestN(keep_latest),
            policies.BestN(get_metric_fn=_best, n=1, keep_checkpoints_without_metrics=False),
        ]
        options = ocp.CheckpointManagerOptions(
            best_fn=_best,
            preservation_policy=policies.AnyPreservationPolicy(kept),
            cleanup_tmp_directories=True,
        )
        for logger in ("absl", "asyncio"):
            logging.getLogger(logger).addFilter(_worth_saying)
        with self._errors("open"):
            self._manager = ocp.CheckpointManager(directory.absolute(), options=options)

    @property
    def latest(self) -> int | None:
        """Step of the newest whole checkpoint."""
        return self._manager.latest_step()

    @property
    def best(self) -> int | None:
        """Step of the checkpoint with the best evaluation."""
        return self._manager.best_step()

    def save(
        self, state: TrainState, config: Config, position: dict[str, Any], metrics: dict[str, float] | None = None
    ) -> None:
        """Start a save of `state`, unless its step is kept already. Returns when the state may be changed.

        An earlier save that failed in the background raises here.
        """
        step = int(state.step)
        if step == self.latest:
            return
        items = ocp.args.Composite(
            state=ocp.args.StandardSave(state),  # type: ignore[call-arg]
            config=ocp.args.JsonSave(dataclasses.asdict(config)),  # type: ignore[call-arg]
            input=ocp.args.JsonSave(position),  # type: ignore[call-arg]
        )
        with self._errors("write"):
            self._manager.save(step, args=items, metrics=metrics)

    def restore(self, abstract: TrainState) -> tuple[TrainState, dict[str, Any]]:
        """The newest checkpoint's state, laid out as `abstract` says whatever mesh wrote it, and data position.

        A run may begin to average its parameters, from those that it has, or leave off, when it goes on.
        """
        averaged = self.config()["optim"]["ema_decay"] > 0
        stored = dataclasses.replace(abstract, average=abstract.params if averaged else None)
        items = ocp.args.Composite(
            state=ocp.args.StandardRestore(stored),  # type: ignore[call-arg]
            input=ocp.args.JsonRestore(),
        )
        with self._errors("read"):
            restored = self._manager.restore(self.latest, args=items)
        state = restored["state"]
        if abstract.average is None:
            state = dataclasses.replace(state, average=None)
        elif not averaged:
            state = dataclasses.replace(state, average=jax.tree.map(jnp.copy, state.params))
        return state, restored["input"]

    def config(self) -> dict[str, Any]:
        """The config that the newest checkpoint was written under, as plain fields."""
        items = ocp.args.Composite(config=ocp.args.JsonRestore())
        with self._errors("read"):
            return self._manager.restore(self.latest, args=items)["config"]

    def wait(self) -> None:
        """Until the save in the background is on the disk."""
        with self._errors("write"):
            self._manager.wait_until_finished()

    def close(self) -> None:
        """Finish what is being written and let go."""
        with self._errors("write"):
            self._manager.close()

    @contextmanager
    def _errors(self, action: str) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            last = f" (step {self.latest} is whole)" if action == "write" and self.latest is not None else ""
            reason = " ".join(str(error).split())
            if "No space left on device" in reason:
                reason = "no space left on the disk"
            raise UserError(f"{self.directory}: cannot {action} a checkpoint{last}: {reason[:400]}") from error


def initial_params(source: Path, abstract: TrainState) -> Any:
    """Parameters alone, from a weights file or the newest checkpoint of another run, laid out as `abstract.params`.

    Of a run that averaged its parameters, the average.

    Raises:
      UserError: nothing there, or the parameters of another network.
    """
    params = load_weights(source)[1] if source.is_file() else _params_of_run(source, abstract)
    check_shapes(source, _shapes(params), _shapes(abstract.params))
    return jax.tree.map(lambda value, leaf: jax.device_put(value, leaf.sharding), params, abstract.params)


def _params_of_run(workdir: Path, abstract: TrainState) -> Any:
    directory = workdir / "checkpoints" if (workdir / "checkpoints").is_dir() else workdir
    if not directory.is_dir():
        raise UserError(f"{workdir}: neither a weights file nor the directory of a run")
    with ocp.CheckpointManager(directory.absolute(), options=ocp.CheckpointManagerOptions(read_only=True)) as manager:
        step = manager.latest_step()
        if step is None:
            raise UserError(f"{workdir}: no checkpoint in it")
        path = directory.absolute() / str(step) / "state"
    with ocp.PyTreeCheckpointer() as checkpointer:
        metadata = checkpointer.metadata(path).item_metadata.tree  # type: ignore[union-attr]
        field = "average" if metadata.get("average") else "params"
        # Saved shapes, so that those of another network are told by name; laid out like our own where they agree.
        sharding = jax.tree.leaves(abstract.params)[0].sharding.mesh
        item = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(
                leaf.shape, leaf.dtype, sharding=jax.sharding.NamedSharding(sharding, jax.sharding.PartitionSpec())
            ),
            {field: metadata[field]},
        )
        restore_args = ocp.checkpoint_utils.construct_restore_args(item)
        restore = ocp.args.PyTreeRestore(item, restore_args=restore_args, partial_restore=True)  # type: ignore
        return checkpointer.restore(path, args=restore)[field]


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): tuple(leaf.shape) for path, leaf in leaves}


def _worth_saying(record: logging.LogRecord) -> bool:
    """Orbax warns at each save without metrics, and prints the traces of errors that it raises as well."""
    is_orbax = "orbax" in record.pathname or record.name == "asyncio"
    return not (is_orbax and (record.exc_info or "did not provide metrics" in record.getMessage()))


def _best(metrics: dict[str, float]) -> float:
    return metrics[BEST]
