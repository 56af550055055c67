"""Where the time of a compiled program goes on a CPU, by the trace that XLA keeps of its operations."""

import re
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from yogo_jax.bench.measure import Work, compare
from yogo_jax.training.ahead_of_time import multiply_adds

KINDS = {
    r"jit\(_deform_conv2d\)": "deformable convolutions",
    r"jit\(_conv2d\).*dot_general$": "matrix products of convolutions",
    r"jit\(_conv2d\).*conv_general_dilated$": "direct convolutions",
    r"jit\(_conv2d\)": "other work of convolutions: transforms, padding, biases",
}
"""What an operation's place in the program says of its kind; the first that fits counts."""
REST = "all else"

_STRUCTURE = ("while", "body", "cond", "closed_call", "checkpoint", "branch_0_fun", "branch_1_fun")
_WRAPPED = re.compile(r"(?:\w+\()*(\w+)\)*")  # transpose(jvp(Recon))
_SQUARE = 2048
_CONTAINER = re.compile(r"^\s+(?:ROOT )?%?([\w.-]+) = .* (?:while|conditional|call)\(", re.MULTILINE)
_INSTRUCTION = re.compile(r'^\s+(?:ROOT )?%?([\w.-]+) = .*op_name="([^"]*)"', re.MULTILINE)


def profile(work: Work, hlo: str) -> str:
    """Run the work once, and tell what its program spends its time on; `hlo` is the program's text.

    The time of an operation is that of the thread which begins it: on one thread it is all of it.
    """
    places, containers = dict(_INSTRUCTION.findall(hlo)), set(_CONTAINER.findall(hlo))
    kinds: dict[str, float] = defaultdict(float)
    parts: dict[str, float] = defaultdict(float)
    for name, seconds in _events(work):
        if name not in containers:  # what is in them is traced by itself
            kinds[kind(places.get(name, ""))] += seconds
            parts[part(places.get(name, ""))] += seconds
    total = sum(kinds.values()) or 1.0
    blocks = (("by kind", kinds), ("by the network's parts", parts))
    lines = []
    for title, found in blocks:
        lines.append(f"{title:60} {'time':>10} {'share':>8}")
        for name, seconds in sorted(found.items(), key=lambda item: -item[1]):
            lines.append(f"  {name:58} {seconds * 1e3:7.0f} ms {100 * seconds / total:6.1f} %")
    return "\n".join(lines)


def limit(jaxpr: Any) -> str:
    """The multiply-adds of a program, and what they take at the rate of large matrix products on these threads."""
    square = jnp.ones((_SQUARE, _SQUARE))
    (product,) = compare({"product": lambda: lambda: jax.block_until_ready(square @ square)}, rounds=5)
    rate, done = _SQUARE**3 / product.median, multiply_adds(jaxpr, jax.default_backend())
    return (
        f"multiply-adds: {multiply_adds(jaxpr) / 1e9:.3f} G by direct convolutions, {done / 1e9:.3f} G as done here;\n"
        f"matrix products of {_SQUARE}×{_SQUARE} do {rate / 1e9:.0f} G a second: "
        f"{done / rate * 1e3:.0f} ms at the least"
    )


def kind(place: str) -> str:
    """One of `KINDS`, or `REST`, of an operation at this place (its `op_name`)."""
    return next((name for pattern, name in KINDS.items() if re.search(pattern, place)), REST)


def part(place: str) -> str:
    """The module of the network that an operation belongs to, by its place: the first below the network itself."""
    below = re.search(r"\b[A-Z]\w*\)*/(.*)/", place)
    names = (_WRAPPED.fullmatch(name) for name in (below[1].split("/") if below else []) if name[:4] != "jit(")
    return next((name[1] for name in names if name and name[1] not in _STRUCTURE), "none of them")


def _events(work: Work) -> list[tuple[str, float]]:
    """(instruction, seconds) of everything that the program ran."""
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder, profiler_options=options):
            work()
        (path,) = Path(folder).rglob("*.xplane.pb")
        data = jax.profiler.ProfileData.from_file(str(path))
    return [
        (str(instruction), event.duration_ns / 1e9)
        for plane in data.planes
        for line in plane.lines
        for event in line.events
        if (instruction := dict(event.stats).get("hlo_op")) is not None
    ]
