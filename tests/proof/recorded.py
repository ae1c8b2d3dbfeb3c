"""Recorded pairs by hand."""

import math
import random
from collections.abc import Callable

from yolo_perf.proof.rows import Header, Row, Rows
from yolo_perf.records import HostUse, Pair, SideRounds, Turn

CASES = ("n-eager", "n-onnx", "n-batched")
CONTROLS = ("(fma)", "(python)")


def side(seconds: float, rounds: int, **host: float) -> SideRounds:
    return SideRounds(round_seconds=(seconds,) * rounds, host=HostUse(**host))  # type: ignore[arg-type]


def pair(ratio: Callable[[], float], *, cases: tuple[str, ...] = CASES, rounds: int = 5) -> Pair:
    """A pair whose head takes `ratio()` times as long in each case, and in each control as long."""
    turns = [Turn(label=label, base=side(0.04, rounds), head=side(0.04 * ratio(), rounds)) for label in cases]
    turns += [Turn(label=label, base=side(0.01, 3), head=side(0.01, 3), control=True) for label in CONTROLS]
    return Pair(turns=tuple(turns))


def rows(
    count: int, ratio: Callable[[], float] = lambda: 1.0, *, inject: str = "", disturb: str = "none", at: int = 0
) -> tuple[Row, ...]:
    return tuple(
        Row(inject=inject, disturb=disturb, at=at + 10.0 * number, took=8.0, pair=pair(ratio))
        for number in range(count)
    )


def noisy(sd: float, seed: int = 0) -> Callable[[], float]:
    """Ratios whose logarithms are normal."""
    generator = random.Random(seed)
    return lambda: math.exp(generator.gauss(0.0, sd))


def recording(*parts: tuple[Row, ...]) -> Rows:
    return Rows(
        rows=tuple(row for part in parts for row in part),
        header=Header(machine="AMD EPYC, 2 cores", created="2026-01-01", setup="n"),
    )
