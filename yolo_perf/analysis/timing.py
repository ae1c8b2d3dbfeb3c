"""Calls by the clock: timed, watched, slowed down, in turn with others."""

import time
from collections.abc import Callable, Sequence

from yolo_perf.machine.host import Counters, read
from yolo_perf.records import HostUse

Clock = Callable[[], float]


def slowed(call: Callable[[], object], factor: float, clock: Clock = time.perf_counter) -> Callable[[], None]:
    """The same call, kept busy until `factor` times its own time has passed: a known regression, for drills."""

    def slow_call() -> None:
        started = clock()
        call()
        end = started + (clock() - started) * factor
        while clock() < end:
            pass

    return slow_call


class Watched:
    """A call, and what the host does from the end of its warm-up on. It costs a round a function call."""

    def __init__(self, call: Callable[[], object], warmup_rounds: int):
        self._call = call
        self._warming = warmup_rounds
        self._before = read()

    def __call__(self) -> object:
        """What the call gives."""
        found = self._call()
        if self._warming:
            self._warming -= 1
            if not self._warming:
                self._before = read()  # within the last untimed round
        return found

    def host(self) -> HostUse:
        """What happened since."""
        return used_since(self._before)


def used_since(before: Counters) -> HostUse:
    """What happened since the counters were read."""
    return HostUse(**read().since(before)._asdict())


def timed(call: Callable[[], object], clock: Clock = time.perf_counter) -> float:
    """Seconds of one call."""
    started = clock()
    call()
    return clock() - started


def alternate(
    calls: Sequence[Callable[[], object]], rounds: int, clock: Clock = time.perf_counter
) -> tuple[tuple[float, ...], ...]:
    """Seconds of each call in each round; the order turns over every time, so that drift hits all alike.

    Ctrl-C ends it early with the whole rounds that there are; where there are none it stays an interruption.
    """
    found: list[list[float]] = [[] for _ in calls]
    done = 0
    try:
        for done in range(rounds):
            order = range(len(calls)) if done % 2 == 0 else reversed(range(len(calls)))
            for index in order:
                found[index].append(timed(calls[index], clock))
        done = rounds
    except KeyboardInterrupt:
        if not done:
            raise
    return tuple(tuple(seconds[:done]) for seconds in found)
