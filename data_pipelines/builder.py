"""What the TFDS builders share: features, parallel shards, and the list of clips beside them."""

import abc
import dataclasses
import functools
import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import tensorflow_datasets as tfds
from tensorflow_datasets.core import dataset_builder
from tensorflow_datasets.core import splits as tfds_splits
from tensorflow_datasets.proto import tf_example_pb2

from data_pipelines import shards
from yogo_jax.devices import cores
from yogo_jax.errors import UserError

CLIPS_FILE = "clips.json"
"""Beside the shards: each split's runs of examples by clip, what was skipped, and what it was built from."""


@functools.cache
def features() -> tfds.features.FeaturesDict:
    """One example: encoded frames of one size, and where they come from. See `shards.Example`."""
    return tfds.features.FeaturesDict(
        {
            "id": tfds.features.Text(),
            "clip": tfds.features.Text(),
            "frames": tfds.features.Sequence(tfds.features.Image(shape=(None, None, 3))),
        }
    )


def serialise(example: shards.Example) -> bytes:
    """An example as the tf.train.Example that TFDS reads; images keep their own bytes."""
    values = {"id": example.id, "clip": example.clip, "frames": list(example.frames)}
    record = features().serialize_example(values)
    # TFDS's fields come in an order that changes from process to process: a data set's bytes are not to.
    message = tf_example_pb2.Example.FromString(record)  # pyright: ignore[reportAttributeAccessIssue]
    return message.SerializeToString(deterministic=True)


class ClipBuilder(dataset_builder.FileReaderBuilder):
    """A TFDS builder of frame sequences, written as array_record by all cores and without TensorFlow.

    A subclass says in `_plan` which units of work make up which split. The split is decided by clip, so that
    neighbouring frames never stand in two splits. `download_and_prepare()` builds it, or does nothing when it is
    built already; interrupted, it goes on where it stopped.

    Args:
      data_dir: the folder of data sets; this one goes to `data_dir/NAME/VERSION`.
      workers: processes; None is one for each core.
      max_skipped: unusable frames or clips to tolerate.
    """

    VERSION = tfds.core.Version("1.0.0")

    def __init__(
        self,
        *,
        data_dir: str | Path | None = None,
        workers: int | None = None,
        max_skipped: int = 0,
        **kwargs,
    ):
        super().__init__(data_dir=data_dir, file_format="array_record", **kwargs)
        self._workers = workers or cores()
        self._max_skipped = max_skipped

    @abc.abstractmethod
    def _plan(self) -> Mapping[str, Sequence[shards.Unit]]:
        """The units of each split.

        Raises:
          UserError: the source lacks something.
        """

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self, description=type(self).__doc__, features=features(), disable_shuffling=True
        )

    def download_and_prepare(self, **kwargs) -> None:
        """Build the data set unless it is there. Raises UserError when what is there has another source."""
        plan = self._plan()  # what the source lacks is said before anything is written
        built = Path(self.data_dir) / CLIPS_FILE
        if built.is_file() and json.loads(built.read_text())["fingerprint"] != _fingerprint(plan):
            raise UserError(
                f"{self.data_dir} was built from another source or with other options: "
                "remove it, or choose another --data-dir"
            )
        with tempfile.TemporaryDirectory() as unused:  # TFDS makes a folder of downloads; there are none
            super().download_and_prepare(download_dir=unused, **kwargs)

    def _log_download_bytes(self) -> None:
        print(f"Writing {self.name} to {self.data_dir}")  # nothing is downloaded, as TFDS would say

    def _log_download_done(self) -> None:
        pass

    def _download_and_prepare(self, dl_manager, download_config=None) -> None:
        plan = self._plan()
        fingerprint = _fingerprint(plan)
        target = Path(self.data_dir)  # TFDS moves it into place once this returns
        staging = target.parent / f".building-{fingerprint}"
        records = shards.write(plan, staging, serialise, workers=self._workers, max_skipped=self._max_skipped)
        splits = []
        for split, members in records.items():
            files = [shard for record in members for shard in record.shards]
            if not files:
                raise UserError(f"{self.name}: no example for the split {split!r} in the source")
            template = self._get_filename_template(split)
            for index, shard in enumerate(files):
                path = template.sharded_filepath(shard_index=index, num_shards=len(files))
                (staging / shard.file).replace(path)
            splits.append(
                tfds.core.SplitInfo(
                    name=split,
                    shard_lengths=[shard.examples for shard in files],
                    num_bytes=sum(shard.bytes for shard in files),
                    filename_template=template,
                )
            )
        self.info.set_splits(tfds_splits.SplitDict(splits))
        everything = [record for members in records.values() for record in members]
        clips = {
            "fingerprint": fingerprint,
            "skipped": [str(one) for record in everything for one in record.skipped],
            "splits": {
                split: [dataclasses.astuple(run) for record in members for run in record.runs]
                for split, members in records.items()
            },
        }
        (target / CLIPS_FILE).write_text(json.dumps(clips))
        shutil.rmtree(staging)
        # Of builds that were killed: TFDS's folders, and shards for other options, which no build goes on from now.
        leftovers = {*target.parent.glob("incomplete.*"), *target.parent.glob(".building-*")} - {target}
        for leftover in leftovers:
            shutil.rmtree(leftover, ignore_errors=True)


def _fingerprint(plan: Mapping[str, Sequence[shards.Unit]]) -> str:
    text = repr([(split, list(units)) for split, units in plan.items()])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
