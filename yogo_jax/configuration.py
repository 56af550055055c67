"""Configs: files with `get_config()`, typed overrides, and the frozen records that the library sees.

A config file is Python that returns the base with what it changes, and nothing more:

    from yogo_jax.configuration import base

    def get_config():
        config = base()
        config.model.filters = 56
        return config

`--config.model.filters=48` on a command line overrides one field. Names and types are checked.
"""

import dataclasses
import sys
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from absl import flags
from ml_collections import ConfigDict, config_flags

from yogo_jax.errors import UserError
from yogo_jax.model.config import YOGOConfig, check_field
from yogo_jax.peers.config import TMNetConfig, ZoomingSlowMoConfig

ModelConfig = (
    YOGOConfig | ZoomingSlowMoConfig | TMNetConfig
)  # the records of every network that a config or a weight file can name


@dataclass(frozen=True)
class DataConfig:
    """What a network is trained on: by default the paper's whole frames of Vimeo90K.

    Attributes:
      data_dir: the folder of data sets that `yogo data build` fills.
      train: NAME/SPLIT of each data set to draw from, such as "video_clips/train".
      evaluation: NAME/SPLIT of the held-out examples.
      weights: PATTERN=WEIGHT: how often examples of the clips whose names match (`fnmatch`) are drawn, the others
        once. The first pattern that matches counts; 0 leaves clips out.
      batch: examples of a step, over all devices and hosts.
      patch: height and width of the low-resolution patches.
      eval_patch: of the centre patches that the evaluation during training takes.
      time_reversal: play half of the clips backwards.
      codec_fraction: of the examples, whose low-resolution frames are compressed as H.264.
      codec_crf: lowest and highest constant rate factor of these.
      shrink_fraction: of the examples, which are taken twice as large and shrunk by 2: sharper and slower.
      cache_gigabytes: decoded clips to keep in memory, of each split, in every process.
      threads: that decode.
    """

    data_dir: str = "data"
    train: tuple[str, ...] = ("vimeo90k_septuplet/train",)
    evaluation: str = "vimeo90k_septuplet/test"
    weights: tuple[str, ...] = ()
    batch: int = 10
    patch: tuple[int, int] = (64, 112)
    eval_patch: tuple[int, int] = (64, 112)
    time_reversal: bool = False
    codec_fraction: float = 0.0
    codec_crf: tuple[int, int] = (18, 34)
    shrink_fraction: float = 0.0
    cache_gigabytes: float = 0.0
    threads: int = 8


@dataclass(frozen=True)
class OptimConfig:
    """How its parameters move: AdaMax, by default with the schedule of section IV-A on Vimeo90K.

    Attributes:
      learning_rate: the highest one.
      b1, b2: decay of AdaMax's mean and of its infinity norm.
      schedule: "piecewise" multiplies the rate by `factor` at each step of `boundaries`; "cosine" brings it
        down to `final_fraction` of itself at the run's last step.
      boundaries: steps (not epochs; an epoch is examples / batch), ascending.
      factor: see `schedule`.
      final_fraction: see `schedule`.
      warmup_steps: the rate rises linearly from zero over these; boundaries count from the run's start.
      clip_norm: gradients of a greater global norm are scaled down to it; 0 leaves them alone.
      ema_decay: of the running average of the parameters that evaluation and export use; 0 keeps none.
      accumulate: a batch is worked off in so many parts, one after the other, to save memory.
      charbonnier_width: w of the loss √(x² + w²).
    """

    learning_rate: float = 1e-4
    b1: float = 0.9
    b2: float = 0.999
    schedule: Literal["piecewise", "cosine"] = "piecewise"
    boundaries: tuple[int, ...] = (193_830, 387_660)
    factor: float = 0.1
    final_fraction: float = 0.0
    warmup_steps: int = 0
    clip_norm: float = 0.0
    ema_decay: float = 0.0
    accumulate: int = 1
    charbonnier_width: float = 1e-3


@dataclass(frozen=True)
class TrainConfig:
    """How long, how often it is looked at, and on what it runs.

    Attributes:
      steps: optimiser steps of the whole run. 452,270 are the paper's 70 epochs of 64,612 examples, ten a step.
      seed: of the first parameters and of the order of the data.
      log_every: steps that one record of the log averages.
      eval_every: steps between evaluations; the last step is evaluated too. 0 leaves them out.
      eval_examples: examples that an evaluation takes, spread evenly over the held-out split; 0 takes all.
      checkpoint_every: steps between checkpoints; the last step is kept too.
      keep_latest: checkpoints to keep, beside the one with the best evaluation.
      fsdp: devices that share out each large parameter between them; it divides the number of devices. The
        batch is split over all devices whatever it is.
      fsdp_min_size: parameters of fewer elements are on every device.
      max_skipped: steps in a row with a non-finite loss or gradient after which the run stops.
      offset_warning: a mean absolute offset above this, in pixels of its pyramid level, is warned about.
    """

    steps: int = 452_270
    seed: int = 0
    log_every: int = 100
    eval_every: int = 10_000
    eval_examples: int = 64
    checkpoint_every: int = 5_000
    keep_latest: int = 2
    fsdp: int = 1
    fsdp_min_size: int = 65_536
    max_skipped: int = 10
    offset_warning: float = 50.0


@dataclass(frozen=True)
class Config:
    """One experiment: the network, its data, its optimiser and its run. The defaults are the paper's YOGO-64."""

    model: ModelConfig = field(default_factory=YOGOConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    train: TrainConfig = field(default_factory=TrainConfig)


def base(model: ModelConfig | None = None) -> Any:
    """The defaults as an editable ConfigDict, for config files to start from; `model` is a network other than YOGO."""
    return ConfigDict(dataclasses.asdict(Config(model=model or YOGOConfig())))


def model_config(values: dict[str, Any]) -> ModelConfig:
    """The frozen record of a network from its plain fields (a config's `model`, a weight file's metadata).

    Raises:
      UserError: an unknown network, field or value.
    """
    records = {record.network: record for record in typing.get_args(ModelConfig)}
    if (network := values.get("network")) not in records:
        raise UserError(f"model.network={network!r}: it takes one of {', '.join(map(repr, records))}")
    return _record(records[network], values, "model")


def _record(kind: type, values: dict[str, Any], where: str) -> Any:
    hints = typing.get_type_hints(kind)
    if unknown := sorted(set(values) - set(hints)):
        raise UserError(f"{where} has no field {unknown[0]!r}; it has {', '.join(hints)}")
    for name, value in values.items():
        check_field(f"{where}.{name}", value, hints[name])
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def freeze(config: ConfigDict) -> Config:
    """A ConfigDict as frozen records, every field checked."""
    values = config.to_dict()
    for section in dataclasses.fields(Config):
        if not isinstance(values.get(section.name), dict):
            raise UserError(f"config.{section.name} is missing, or no section")
    if unknown := sorted(set(values) - {f.name for f in dataclasses.fields(Config)}):
        raise UserError(f"config.{unknown[0]}: no such section")
    return Config(
        model=model_config(values["model"]),
        data=_record(DataConfig, values["data"], "data"),
        optim=_record(OptimConfig, values["optim"], "optim"),
        train=_record(TrainConfig, values["train"], "train"),
    )


def _installed_config(name: str) -> Path:
    configs = Path(str(resources.files("configs")))
    if not name.isidentifier() or not (configs / f"{name}.py").is_file():
        raise UserError(f"{name}: no such config file, nor one of those installed, such as yogo_64")
    return configs / f"{name}.py"


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a config file, apply `--config.section.field=value` overrides, and freeze it.

    Args:
      path: a file, or the name of one that is installed with this package, such as "yogo_64".

    Raises:
      UserError: no such file, a file without `get_config()`, an unknown field, a value of another type.
    """
    if not Path(path).is_file():
        path = _installed_config(str(path))
    argv = ["yogo", f"--config={path}", *overrides]
    sys.modules.pop("config_config", None)  # the flag's module: what an earlier file defined is not this one's
    values = flags.FlagValues()
    flag = config_flags.DEFINE_config_file("config", flag_values=values, sys_argv=argv)
    try:
        values(argv)
        config = values[flag.name].value
        if not isinstance(config, ConfigDict):
            raise UserError(f"{path}: get_config() returns no ConfigDict")
        return freeze(config)
    except UserError:
        raise
    except Exception as error:  # a config is Python: it can fail in any way
        # ml_collections quotes and escapes some messages twice over, and hands some tracebacks on.
        lines = str(error).replace("\\n", "\n").replace("\\", "").replace("'", "").strip().splitlines() or [""]
        reason = lines[-1] if "Traceback" in lines[0] else " ".join(lines)
        raise UserError(f"{path}: {type(error).__name__}: {' '.join(reason.split())}") from error
