"""The batches that training and evaluation read.

    train = make_train_input(config.data, seed=0, process_index=0, process_count=1)
    iterator = iter(train)                  # grain.checkpoint.CheckpointSave / Restore take it
    batch = next(iterator)                  # {"lr": [b, N, h, w, 3], "hr": [b, 2N−1, 4h, 4w, 3]}, uint8 numpy

b is this process's share of the global batch, `config.batch / process_count`: the rows that
`jax.make_array_from_process_local_data` expects of it. What a global batch holds depends on the seed and the step
alone, not on how many processes or threads there are, so that a run can be resumed on other hardware.
"""

from collections.abc import Sequence

import grain
import numpy as np

from data_pipelines.augment import Augment, cut
from data_pipelines.source import Clip, Source
from yogo_jax import imaging
from yogo_jax.configuration import DataConfig
from yogo_jax.errors import UserError

_AHEAD = 2  # batches per thread that wait, decoded


def make_train_input(
    config: DataConfig, *, seed: int, process_index: int = 0, process_count: int = 1
) -> grain.IterDataset:
    """Endless shuffled, augmented batches: see the module's docstring.

    Every pass over the data has its own order; clips are drawn as often as `config.weights` says.

    Raises:
      UserError: a data set is not there, a clip is smaller than the patch, a weight matches nothing, or the
        processes do not divide the batch.
    """
    local = _local_batch(config.batch, process_count)
    _check(config)
    augment = Augment(
        patch=config.patch,
        time_reversal=config.time_reversal,
        codec_fraction=config.codec_fraction,
        codec_crf=config.codec_crf,
        shrink_fraction=config.shrink_fraction,
    )
    examples = clip_stream(config, seed).seed(seed).random_map(augment)
    # Batching before slicing gives a process consecutive rows of each global batch.
    batches = examples.batch(local, drop_remainder=True)[process_index::process_count]
    return batches.to_iter_dataset(_read_options(config.threads))


def make_eval_input(
    config: DataConfig,
    *,
    examples: int,
    batch: int,
    process_index: int = 0,
    process_count: int = 1,
) -> grain.IterDataset:
    """Batches of the held-out split, the same ones every time: centre patches of `config.eval_patch`.

    Args:
      config: its `evaluation` names the split.
      examples: how many, spread evenly over the split; 0 or more than there are takes all.
      batch: the global batch. The last one is filled up to it, and so are all processes.
      process_index, process_count: see `make_train_input`.

    Returns:
      Batches as in training, with "mask": [b] bool, False where a row only fills up.

    Raises:
      UserError: as `make_train_input`.
    """
    local = _local_batch(batch, process_count)
    source = _open(config, config.evaluation)
    _check_patch(source, config.eval_patch, np.arange(len(source)))
    count = min(examples or len(source), len(source))
    chosen = np.linspace(0, len(source) - 1, count).round().astype(int)
    padding = np.full(-count % batch, -1)

    def example(index: int) -> dict[str, np.ndarray]:
        frames = source[max(index, 0)].frames
        sides = [side // imaging.SCALE for side in frames.shape[1:3]]
        top, left = ((side - patch) // 2 for side, patch in zip(sides, config.eval_patch, strict=True))
        return {**cut(frames, (top, left), config.eval_patch), "mask": np.array(index >= 0)}

    indices = [int(index) for index in np.concatenate([chosen, padding])]
    batches = grain.MapDataset.source(indices).map(example).batch(local)[process_index::process_count]
    return batches.to_iter_dataset(_read_options(config.threads))


def count_examples(config: DataConfig) -> int:
    """Training examples of one pass: an epoch is this many. Clips of weight 0 do not count."""
    return sum(len(indices) for _, indices, _ in _groups(config))


def clip_stream(config: DataConfig, seed: int) -> grain.MapDataset:
    """The endless stream of clips that training reads: those of one weight are shuffled among themselves."""
    groups = _groups(config)
    shuffled = [
        grain.MapDataset.source(_Subset(source, indices)).seed(seed + number).shuffle().repeat()
        for number, (source, indices, _) in enumerate(groups)
    ]
    return grain.MapDataset.mix(shuffled, [weight * len(indices) for _, indices, weight in groups])


class _Subset(Sequence[Clip]):
    """Some examples of a source."""

    def __init__(self, source: Source, indices: np.ndarray):
        self._source = source
        self._indices = indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index):
        return self._source[int(self._indices[index])]


def _groups(config: DataConfig) -> list[tuple[Source, np.ndarray, float]]:
    """(source, examples, weight): all training examples, those of one source and weight together."""
    rules = [_parse_weight(rule) for rule in config.weights]
    used: set[str] = set()
    groups = []
    for name in config.train:
        source = _open(config, name)
        weights = np.ones(len(source))
        for pattern, weight in reversed(rules):  # the first that matches has the last word
            matching = source.matching(pattern)
            weights[matching] = weight
            used |= {pattern} if len(matching) else set()
        _check_patch(source, config.patch, np.flatnonzero(weights))
        groups += [(source, np.flatnonzero(weights == weight), weight) for weight in np.unique(weights) if weight]
    if unused := [pattern for pattern, _ in rules if pattern not in used]:
        raise UserError(f"data.weights: {unused[0]!r} matches no clip of {', '.join(config.train)}")
    if not groups:
        raise UserError("data.weights leaves no training example")
    return groups


def _parse_weight(rule: str) -> tuple[str, float]:
    pattern, separator, text = rule.rpartition("=")
    try:
        weight = float(text)
    except ValueError:
        weight = -1.0
    if not separator or not 0 <= weight < float("inf"):
        raise UserError(f"data.weights: {rule!r} is not PATTERN=WEIGHT with a weight of 0 or more")
    return pattern, weight


def _open(config: DataConfig, name: str) -> Source:
    dataset, separator, split = name.partition("/")
    if not separator:
        raise UserError(f"{name!r} is not NAME/SPLIT, such as 'video_clips/train'")
    return Source(config.data_dir, dataset, split, cache_bytes=int(config.cache_gigabytes * 1e9))


def _check(config: DataConfig) -> None:
    if config.threads < 0:
        raise UserError(f"data.threads={config.threads}: it takes 0 (decode between the steps) or more")
    if config.cache_gigabytes < 0:
        raise UserError(f"data.cache_gigabytes={config.cache_gigabytes}: it takes 0 or more")
    for name in ("codec_fraction", "shrink_fraction"):
        if not 0 <= getattr(config, name) <= 1:
            raise UserError(f"data.{name}={getattr(config, name)}: it takes 0 to 1")
    low, high = config.codec_crf
    if not 0 <= low <= high <= 51:
        raise UserError(f"data.codec_crf={config.codec_crf}: it takes the lowest and the highest of 0 to 51")


def _check_patch(source: Source, patch: tuple[int, int], examples: np.ndarray) -> None:
    """Every clip that is drawn must hold the patch: say which does not before anything is compiled."""
    ends = np.cumsum([run.examples for run in source.runs])
    for index in np.unique(np.searchsorted(ends, examples, side="right")):
        run = source.runs[index]
        if run.height // imaging.SCALE < patch[0] or run.width // imaging.SCALE < patch[1]:
            raise UserError(
                f"{source.directory}: {run.clip} has {run.width}x{run.height} pixels, too few for a patch of "
                f"{patch[1]}x{patch[0]} (×{imaging.SCALE}): take a smaller one, or give the clip weight 0"
            )


def _local_batch(batch: int, process_count: int) -> int:
    if batch < 1 or batch % process_count:
        raise UserError(f"a batch of {batch} does not divide among {process_count} processes")
    return batch // process_count


def _read_options(threads: int) -> grain.ReadOptions:
    return grain.ReadOptions(num_threads=threads, prefetch_buffer_size=max(1, threads * _AHEAD))
