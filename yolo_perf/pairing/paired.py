"""A paired comparison of two sides: pairs measured along the course, and what is kept of them.

No process is started here. What measures a pair is handed in, so that a test can play the host.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from yolo_perf.analysis.rounds import low_quantile
from yolo_perf.errors import YoloPerfError
from yolo_perf.records import Pair, Turn
from yolo_perf.verdict.course import Course, Progress, Stage
from yolo_perf.verdict.gate import TAIL, Decision, Differences, Rules, Screening, differences

MeasurePair = Callable[[Sequence[str]], Pair]
"""Measures one pair of fresh processes over cases of these labels, and the controls."""
MAX_STEAL = 0.125
"""Share of the CPUs' time that the host may take in a turn; a pair that lost more of a case says nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All that was measured and what it means."""

    decisions: tuple[Decision, ...]
    screening: Screening
    first: tuple[Pair, ...]
    second: tuple[Pair, ...]
    invalid_controls: tuple[str, ...]  # not empty: the host treated the sides differently
    complete: bool  # False where it was interrupted, ran out of time, or a side failed
    discarded: tuple[Pair, ...] = ()  # a first screen of which the controls differed
    interrupted: bool = False
    failure: str = ""  # what went wrong with a side once there were pairs
    dropped: int = 0  # turns in which the host took too much time away


class _Meter:
    """Measures the pairs that a course asks for, as long as there is time, nobody interrupts and no side fails."""

    def __init__(self, measure: MeasurePair, in_time: Callable[[], bool]):
        self.pairs: dict[Stage, list[Pair]] = {"screen": [], "rescreen": [], "extend": [], "decide": []}
        self.interrupted = False
        self.failure = ""
        self.dropped = 0
        self._measure = measure
        self._in_time = in_time

    def take(self, stage: Stage, labels: Sequence[str]) -> Differences | None:
        """One more pair. A side that fails before there is any is the caller's to handle."""
        if not self._in_time():
            return None
        try:
            pair = self._undisturbed(self._measure(labels))
        except KeyboardInterrupt:
            self.interrupted = True
            return None
        except YoloPerfError as error:
            if not any(self.pairs.values()):
                raise
            self.failure = str(error)
            return None
        self.pairs[stage].append(pair)
        return differences(pair)

    def _undisturbed(self, pair: Pair) -> Pair:
        """The pair without the cases that the host disturbed beyond the limit; both sides go together."""
        turns = tuple(turn for turn in pair.turns if turn.control or not too_disturbed(turn))
        self.dropped += len(pair.turns) - len(turns)
        return replace(pair, turns=turns)


def too_disturbed(turn: Turn) -> bool:
    """Whether the host took more than MAX_STEAL of either side's time in this turn."""
    return any(
        side.host.steal_s is not None and side.host.steal_s > MAX_STEAL * math.fsum(side.round_seconds)
        for side in (turn.base, turn.head)
    )


def compare_sides(
    measure: MeasurePair,
    labels: Sequence[str],
    rules: Rules,
    *,
    tell: Callable[[Progress], None] | None = None,
    in_time: Callable[[], bool] = lambda: True,
) -> Outcome:
    """The whole course over these cases.

    Raises UsageError where the rules ask for too few pairs to decide anything.
    """
    rules.check(len(labels))
    meter = _Meter(measure, in_time)
    course = Course(meter.take, labels, rules, tell=tell)
    return _outcome(meter, course, course.compare)


def confirm(
    measure: MeasurePair,
    suspects: Sequence[str],
    rules: Rules,
    *,
    tell: Callable[[Progress], None] | None = None,
) -> Outcome:
    """Decisions on cases that something else suspects, from fresh pairs alone: the second stage by itself."""
    rules.check(len(suspects))
    meter = _Meter(measure, lambda: True)
    course = Course(meter.take, suspects, rules, tell=tell)
    return _outcome(meter, course, course.confirm)


def _outcome(meter: _Meter, course: Course, run: Callable[[], None]) -> Outcome:
    """What came of a course, however it ended."""
    try:
        run()
    except KeyboardInterrupt:  # between two pairs
        course.complete, meter.interrupted = False, True
    pairs = meter.pairs
    discarded = pairs["screen"] if pairs["rescreen"] else []
    first = [*([] if discarded else pairs["screen"]), *pairs["rescreen"], *pairs["extend"]]
    decisions = course.decisions()
    if course.unfair:
        decisions = tuple(
            replace(each, verdict="inconclusive", reason="the host was not fair") for each in decisions
        )
    decided = {decision.label for decision in decisions}
    return Outcome(
        decisions=tuple(_timed(each, pairs["decide"] if each.confirmed else first) for each in decisions)
        + tuple(_unmeasured(label) for label in course.labels if label not in decided),
        screening=course.screening,
        first=tuple(first),
        second=tuple(pairs["decide"]),
        discarded=tuple(discarded),
        invalid_controls=course.unfair,
        complete=course.complete,
        interrupted=meter.interrupted,
        failure=meter.failure,
        dropped=meter.dropped,
    )


def _timed(decision: Decision, pairs: Sequence[Pair]) -> Decision:
    """The decision with both sides' low quantiles, medians over the pairs that it rests on."""
    label = decision.label.removesuffix(TAIL)
    turns = [turn for pair in pairs for turn in pair.turns if turn.label == label]
    if not turns:
        return decision
    return replace(
        decision,
        base_s=median(low_quantile(turn.base.round_seconds) for turn in turns),
        head_s=median(low_quantile(turn.head.round_seconds) for turn in turns),
    )


def _unmeasured(label: str) -> Decision:
    return Decision(label=label, verdict="inconclusive", reason="not one pair of it was measured")
