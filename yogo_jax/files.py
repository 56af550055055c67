"""Files that are there whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from yogo_jax.errors import UserError


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """A path in the same directory to write to, moved to `path` when the block ends without an error.

    Raises:
      UserError: it cannot be written there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            aside = Path(folder, path.name)
            yield aside
            os.replace(aside, path)
    except OSError as error:
        raise UserError(f"{path}: cannot write here: {error.strerror or error}") from error
