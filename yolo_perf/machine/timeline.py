"""Rates out of time stamps: how much several threads did together, at their best. Pure arithmetic."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """What one thread did: (start, end) of each chunk in seconds, in order, and the work of one chunk."""

    spans: tuple[tuple[float, float], ...]
    work: float  # FLOP or bytes


def rate(work: float, seconds: float) -> float:
    """Work per second. Raises ValueError where no time has passed: a clock too coarse is no measurement."""
    if seconds <= 0:
        raise ValueError(f"{seconds} s passed while measuring: the clock is too coarse, or runs backwards")
    return work / seconds


def iterations_for(seconds: float, probe_iterations: int, probe_seconds: float) -> int:
    """Iterations that take about `seconds`, from a probe. At least one; ValueError as in `rate`."""
    return max(1, round(rate(probe_iterations, probe_seconds) * seconds))


def whole_rate(timelines: Sequence[Timeline]) -> float:
    """Work per second from the first thread's start to the last one's end."""
    total = sum(line.work * len(line.spans) for line in timelines)
    start = min(line.spans[0][0] for line in timelines)
    return rate(total, max(line.spans[-1][1] for line in timelines) - start)


def best_burst(timelines: Sequence[Timeline]) -> float:
    """The rate of the fastest chunk: of a clock, say, to which two threads in turns on one core do not add."""
    return max(rate(line.work, end - start) for line in timelines for start, end in line.spans)


def best_rate(timelines: Sequence[Timeline], window: float) -> float:
    """The highest rate that all threads together keep up for `window` seconds.

    Only what is done at the same time adds up: were each thread's best moment counted, two threads that take
    turns on one core would make two cores of it. A chunk's work is spread evenly over its span, which lowers
    the best and never raises it. Where no window fits into the time that all threads share, the whole is
    taken from the first start to the last end.
    """
    import numpy as np

    knots = [np.array(line.spans).ravel() for line in timelines]
    done = [np.repeat(np.arange(len(line.spans) + 1), 2)[1:-1] * line.work for line in timelines]
    first, last = max(k[0] for k in knots), min(k[-1] for k in knots)
    if window <= 0 or last - first < window:
        return whole_rate(timelines)
    # Between two neighbours among these the rate is linear in the window's start: one of them is the best.
    starts = np.clip(np.concatenate([*knots, *(k - window for k in knots)]), first, last - window)
    work = sum(
        np.interp(starts + window, k, d) - np.interp(starts, k, d) for k, d in zip(knots, done, strict=True)
    )
    return max(whole_rate(timelines), float(np.max(work)) / window)
