"""What remains of a paired comparison, judged by the pairs of the stage that it is in."""

import math
import time
from collections.abc import Callable

from yolo_perf.pace import Left
from yolo_perf.units import signed_percent
from yolo_perf.verdict.course import Progress, Stage

MOST_SHOWN = 8
"""Cases whose estimates are said after a pair: those that differ most."""


class Outlook:
    """Follows a course, pair by pair, from when it is made; `ends` is when the clock begins no more pair.

    What follows a screen nobody knows, so it is "at least" the rest of the stage. Suspects may be cleared before
    all pairs that decide are measured, so those are "at most". Pairs of other stages hold other cases, and tell
    nothing of this one's.
    """

    def __init__(self, *, ends: float | None = None, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._last = self._began = clock()
        self._ends = ends
        self._stage: Stage | None = None
        self._taken = 0

    def left(self, progress: Progress) -> Left:
        """What remains after one more pair."""
        if progress.stage != self._stage:
            self._stage, self._began, self._taken = progress.stage, self._last, 0
        self._taken += 1
        self._last = now = self._clock()
        pair_s = (now - self._began) / self._taken
        left = Left(
            seconds=pair_s * max(0, progress.pairs - progress.pair),
            bound="at most" if progress.stage == "decide" else "at least",
        )
        if self._ends is None:
            return left
        most = max(0.0, self._ends - now) + pair_s  # a pair that is begun by then is still measured
        return left if left.seconds <= most else Left(seconds=most, bound="at most")

    def text(self, progress: Progress) -> str:
        """ "screen 3/6, at least 2 min left: n-eager +0.1 %", after one more pair."""
        shown = sorted(progress.ratios, key=lambda label: -abs(math.log(progress.ratios[label])))[:MOST_SHOWN]
        found = ", ".join(
            f"{label} {signed_percent(progress.ratios[label])}" for label in progress.ratios if label in shown
        )
        if more := len(progress.ratios) - len(shown):
            found += f", {more} less"
        return f"{progress.stage} {progress.pair}/{progress.pairs}{self.left(progress).text}: {found}"
