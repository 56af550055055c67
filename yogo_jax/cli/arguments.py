"""Types of arguments that several sub-commands take."""

import argparse
from collections.abc import Callable


def at_least(minimum: int) -> Callable[[str], int]:
    """An argparse type: a whole number of `minimum` or more."""

    def number(text: str) -> int:
        if not text.removeprefix("-").isdecimal() or len(text) > 9 or int(text) < minimum:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of {minimum} or more")
        return int(text)

    return number
