"""Parameters as an orbax checkpoint, laid out like the checkpoints of a training run."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from yogo_jax.configuration import ModelConfig, model_config
from yogo_jax.errors import UserError


def write(directory: Path, params: Any, config: ModelConfig) -> None:
    """Write parameters as step 0 of a run that `yogo train` can start from."""
    if directory.is_file():
        raise UserError(f"{directory}: a file; a checkpoint goes into a directory of its own")
    items = ocp.args.Composite(
        state=ocp.args.StandardSave({"params": params}),  # type: ignore[call-arg]
        config=ocp.args.JsonSave({"model": asdict(config)}),  # type: ignore[call-arg]
    )
    try:
        if directory.exists() and any(directory.iterdir()):
            raise UserError(f"{directory}: not empty; a checkpoint goes into a directory of its own")
        with ocp.CheckpointManager((directory / "checkpoints").absolute()) as manager:
            manager.save(0, args=items)
    except (OSError, ValueError) as error:
        raise UserError(f"{directory}: cannot write a checkpoint: {error}") from error


def read(directory: Path) -> tuple[ModelConfig, Any]:
    """The network and the parameters of a run's newest checkpoint: their average, if it kept one.

    Raises:
      UserError: no checkpoint there, or a damaged one.
    """
    checkpoints = directory / "checkpoints" if (directory / "checkpoints").is_dir() else directory
    try:
        options = ocp.CheckpointManagerOptions(read_only=True)
        with ocp.CheckpointManager(checkpoints.absolute(), options=options) as manager:
            if (step := manager.latest_step()) is None:
                raise UserError(f"{directory}: no checkpoint in it")
            config = manager.restore(step, args=ocp.args.Composite(config=ocp.args.JsonRestore()))["config"]
        with ocp.PyTreeCheckpointer() as checkpointer:
            path = checkpoints.absolute() / str(step) / "state"
            saved: Any = checkpointer.metadata(path).item_metadata.tree  # type: ignore[union-attr]
            field = "average" if saved.get("average") else "params"
            here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
            item = jax.tree.map(
                lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here), {field: saved[field]}
            )
            restore_args = ocp.checkpoint_utils.construct_restore_args(item)
            restore: Any = ocp.args.PyTreeRestore(item, restore_args=restore_args, partial_restore=True)  # type: ignore
            return model_config(config["model"]), checkpointer.restore(path, args=restore)[field]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{directory}: not a readable checkpoint: {' '.join(str(error).split())[:300]}") from error
