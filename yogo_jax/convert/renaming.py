"""Other people's names: a file of rules that turn them into those of docs/conversion.md."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from yogo_jax.errors import UserError

ARROW = "->"


class Renaming:
    r"""Rules "PATTERN -> NAME", one a line: a regular expression for a whole name, and what it becomes.

    The name may refer to groups (`\1`). The first rule that fits is used; a name that none fits stays. Blank
    lines and lines that begin with # count for nothing.
    """

    def __init__(self, path: Path):
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: not a readable file of names ({error})") from error
        self.rules = []
        for number, line in enumerate(lines, start=1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            pattern, arrow, name = (part.strip() for part in line.partition(ARROW))
            try:
                if not (pattern and arrow and name):
                    raise re.error("it takes PATTERN -> NAME")
                self.rules.append((re.compile(pattern), name))
                re.sub(pattern, name, "")
            except (re.error, IndexError) as error:
                raise UserError(f"{path}, line {number}: {line.strip()!r}: {error}") from error

    def __call__(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """The content of a file with its tensors renamed, at every depth.

        Raises:
          UserError: two tensors would have one name.
        """
        result: dict[str, Any] = {}
        for old, value in content.items():
            if isinstance(value, Mapping):
                result[old] = self(value)
                continue
            new = self._name(old) if isinstance(value, np.ndarray) else old
            if new in result:
                raise UserError(f"two tensors would be called {new}; one of them was {old}")
            result[new] = value
        return result

    def _name(self, name: str) -> str:
        for pattern, replacement in self.rules:
            if match := pattern.fullmatch(name):
                return match.expand(replacement)
        return name
