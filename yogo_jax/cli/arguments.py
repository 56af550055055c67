"""Types of arguments that several sub-commands take."""

import argparse
import re
from collections.abc import Callable


def at_least(minimum: int, most: int | None = None) -> Callable[[str], int]:
    """An argparse type: a whole number of `minimum` or more, up to `most`."""
    wanted = f"of {minimum} or more" if most is None else f"from {minimum} to {most}"

    def number(text: str) -> int:
        whole = text.removeprefix("-").isdecimal() and len(text) <= 9
        if not whole or int(text) < minimum or (most is not None and int(text) > most):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number {wanted}")
        return int(text)

    return number


def between(least: float, most: float) -> Callable[[str], float]:
    """An argparse type: a number from `least` to `most`."""

    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least:g} to {most:g}")
        return value

    return number


def seconds(text: str) -> float:
    """An argparse type: a time, as seconds or h:mm:ss.s."""
    match = re.fullmatch(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time: seconds, or h:mm:ss.s")
    hours, minutes, rest = match.groups()
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(rest)


def size(text: str) -> int:
    """An argparse type: bytes, such as 4GB or 900M."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?", text, re.IGNORECASE)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 4GB or 900M")
    value, prefix, binary = match.groups()
    return round(float(value) * (1024 if binary else 1000) ** " KMGT".index(prefix.upper() or " "))


def pixels(text: str) -> tuple[int, int]:
    """An argparse type: (height, width) of WIDTHxHEIGHT."""
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if match is None or "0" in match.groups():
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 256x192")
    width, height = map(int, match.groups())
    return height, width
