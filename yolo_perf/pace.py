"""How long what remains will take, judged by what is done: pure but for the clock that is handed in.

What says so is a record of the logger `yolo_perf` between two measurements; nothing ticks while a round is timed.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from yolo_perf.units import duration

Kind = tuple[str, ...]
"""What a step is, from the general to the particular: a test, a size, an optimisation."""
STEP = {"step": True}
"""Marks a log record of a step: on a terminal the next one takes its place."""
ALIKE = 2
"""Steps of the same test and size are alike; other sizes are other models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What remains, in seconds, and which way that may be wrong."""

    seconds: float
    bound: Literal["about", "at least", "at most"] = "about"

    @property
    def text(self) -> str:
        """ ", at least 4 min left", to be put behind a step; "" below a second."""
        return f", {self.bound} {duration(self.seconds)} left" if self.seconds >= 1 else ""


NOTHING = Left(seconds=0.0)


class Steps:
    """A known number of steps of like length. The clock starts when it is made."""

    def __init__(self, total: int, *, clock: Callable[[], float] = time.monotonic):
        self._total = total
        self._clock = clock
        self._started = clock()

    def left(self, done: int) -> Left:
        """What remains once so many are done; nothing is known before there is one."""
        if not done:
            return NOTHING
        return Left(seconds=(self._clock() - self._started) / done * max(0, self._total - done))


def left_of(done: Sequence[tuple[Kind, float]], remaining: Sequence[Kind]) -> Left:
    """What remaining steps take, each by the mean seconds of those done that it has most in common with.

    Of a step with nothing alike only the shortest of its test is counted, if any, and then it is "at least".
    """
    known = [_expected(done, kind) for kind in remaining]
    total = sum(seconds for seconds, _ in known)
    return Left(seconds=total, bound="about" if all(sure for _, sure in known) else "at least")


def _expected(done: Sequence[tuple[Kind, float]], kind: Kind) -> tuple[float, bool]:
    """Seconds of one step, and whether they rest on steps that are alike."""
    for depth in range(len(kind), 0, -1):
        found = [seconds for other, seconds in done if other[:depth] == kind[:depth]]
        if found:
            return (fmean(found), True) if depth >= min(ALIKE, len(kind)) else (min(found), False)
    return 0.0, False
