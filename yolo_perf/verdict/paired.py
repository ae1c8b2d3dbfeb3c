"""The course of a paired comparison: screen, extend, decide on fresh data. No process is started here.

What measures a pair is handed in, so that a test can play the host.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Literal

from yolo_perf.analysis.timing import low_quantile
from yolo_perf.records import Pair, Turn
from yolo_perf.verdict import gate
from yolo_perf.verdict.gate import SUITE, TAIL, Decision, Rules, Screening
from yolo_perf.verdict.stats import hodges_lehmann

MeasurePair = Callable[[Sequence[str]], Pair]
"""Measures one pair of fresh processes over cases of these labels, and the controls."""
Stage = Literal["screen", "extend", "decide"]
MAX_STEAL = 0.25
"""Share of a turn's time that the host may take away; a pair that lost more of a case says nothing of it.

Stolen time is the host's alone: no change of the code under test can cause it and so hide itself.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a comparison stands, after each pair."""

    stage: Stage
    pair: int
    pairs: int
    ratios: Mapping[str, float]  # running estimates of head over base, by label


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All that was measured and what it means."""

    decisions: tuple[Decision, ...]
    screening: Screening
    first: tuple[Pair, ...]
    second: tuple[Pair, ...]
    invalid_controls: tuple[str, ...]  # not empty: the host treated the sides differently, twice
    complete: bool  # False where it was interrupted or ran out of time
    interrupted: bool = False
    dropped: int = 0  # turns in which the host took too much time away


@dataclass(slots=True)
class _Course:
    """The state of one comparison."""

    measure: MeasurePair
    rules: Rules
    tell: Callable[[Progress], None]
    in_time: Callable[[], bool]
    complete: bool = True
    interrupted: bool = False
    dropped: int = 0
    first: list[Pair] = field(default_factory=list)
    second: list[Pair] = field(default_factory=list)

    def take(self, stage: Stage, into: list[Pair], labels: Sequence[str], pairs: int) -> None:
        """Measure so many pairs more, as long as there is time and nobody interrupts.

        For a pair that was disturbed another one is measured, up to half as many again. Without a case nothing
        is: controls alone decide nothing.
        """
        if not labels:
            return
        before = _fewest(into, labels)
        for done in range(1, math.ceil(1.5 * pairs) + 1):
            if not self.complete or _fewest(into, labels) - before >= pairs:
                return
            if not self.in_time():
                self.complete = False
                return
            try:
                into.append(self._undisturbed(self.measure(labels)))
                ratios = {label: math.exp(hodges_lehmann(d)) for label, d in gate.samples(into).items()}
                self.tell(Progress(stage=stage, pair=done, pairs=pairs, ratios=ratios))
            except KeyboardInterrupt:
                self.complete, self.interrupted = False, True

    def _undisturbed(self, pair: Pair) -> Pair:
        """The pair without the cases that the host disturbed beyond the limit; both sides go together."""
        turns = tuple(turn for turn in pair.turns if turn.control or not too_disturbed(turn))
        self.dropped += len(pair.turns) - len(turns)
        return replace(pair, turns=turns)


def _fewest(pairs: Sequence[Pair], labels: Sequence[str]) -> int:
    """Pairs of the case that has the fewest."""
    counts = dict.fromkeys(labels, 0)
    for pair in pairs:
        for turn in pair.turns:
            if turn.label in counts:
                counts[turn.label] += 1
    return min(counts.values(), default=0)


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
    tell: Callable[[Progress], None] = lambda _: None,
    in_time: Callable[[], bool] = lambda: True,
) -> Outcome:
    """Screen all cases, extend the unresolved, decide the suspects on fresh data. Never measured until green.

    Raises UsageError where the rules ask for too few pairs to decide anything.
    """
    rules.check(len(labels))
    course = _Course(measure, rules, tell, in_time)
    course.take("screen", course.first, labels, rules.screen_pairs)
    bad = gate.invalid_controls(gate.samples(course.first, controls=True), rules)
    if bad and course.complete:  # once: a host may have had a bad moment, a second time it is not fair
        course.first.clear()
        course.take("screen", course.first, labels, rules.screen_pairs)
        bad = gate.invalid_controls(gate.samples(course.first, controls=True), rules)
    screening = gate.screen({**gate.samples(course.first), **gate.tails(course.first)}, rules)
    if not bad:
        _extend_and_decide(course, labels, screening)
    found = {**gate.samples(course.first), **gate.tails(course.first)}
    decisions = gate.decide(found, decisive(course.second, screening.suspects), screening.suspects, rules)
    if bad:
        decisions = tuple(
            replace(each, verdict="inconclusive", reason="the host was not fair") for each in decisions
        )
    return Outcome(
        decisions=tuple(_timed(each, course) for each in decisions)
        + tuple(_unmeasured(label) for label in labels if label not in found),
        screening=screening,
        first=tuple(course.first),
        second=tuple(course.second),
        invalid_controls=bad,
        complete=course.complete,
        interrupted=course.interrupted,
        dropped=course.dropped,
    )


def confirm(
    measure: MeasurePair,
    suspects: Sequence[str],
    rules: Rules,
    *,
    tell: Callable[[Progress], None] = lambda _: None,
) -> tuple[Decision, ...]:
    """Decisions on cases that something else suspects, from fresh pairs alone: the second stage by itself."""
    rules.check(len(suspects))
    course = _Course(measure, rules, tell, lambda: True)
    _decide(course, suspects, suspects)
    found = gate.samples(course.second)
    decisions = gate.decide(found, found, [label for label in suspects if label in found], rules)
    return tuple(_timed(each, course) for each in decisions if each.label != SUITE) + tuple(
        _unmeasured(label) for label in suspects if label not in found
    )


def decisive(pairs: Sequence[Pair], suspects: Sequence[str]) -> dict[str, list[float]]:
    """The second stage's differences; the suite's from the cases that are not suspects themselves."""
    found = {**gate.samples(pairs), **gate.tails(pairs)}
    if SUITE in suspects:
        found[SUITE] = gate.suite(found, suspects)
    return found


def _extend_and_decide(course: _Course, labels: Sequence[str], screening: Screening) -> None:
    """More pairs for what is not resolved, fresh ones for what is suspected; all cases for a suspected suite."""
    rules = course.rules
    if screening.unresolved:
        course.take("extend", course.first, screening.unresolved, rules.screen_pairs)
    _decide(course, screening.suspects, labels)


def _decide(course: _Course, suspects: Sequence[str], labels: Sequence[str]) -> None:
    """Fresh pairs in two halves: what the first one clears is not measured again."""
    rules, half = course.rules, course.rules.decide_pairs // 2
    course.take("decide", course.second, cases_of(suspects, labels), half)
    found = decisive(course.second, suspects)
    left = [label for label in suspects if not gate.cleared(found.get(label, ()), label, rules)]
    course.take("decide", course.second, cases_of(left, labels), rules.decide_pairs - half)


def cases_of(suspects: Sequence[str], labels: Sequence[str]) -> list[str]:
    """What has to be measured to decide on these suspects: their cases; all of them for the suite."""
    named = {label.removesuffix(TAIL) for label in suspects}
    return [label for label in labels if label in named or SUITE in named]


def _timed(decision: Decision, course: _Course) -> Decision:
    """The decision with both sides' low quantiles, medians over the pairs that it rests on."""
    turns = [
        turn
        for pair in (course.second if decision.confirmed else course.first)
        for turn in pair.turns
        if turn.label == decision.label.removesuffix(TAIL)
    ]
    if not turns:
        return decision
    return replace(
        decision,
        base_s=median(low_quantile(turn.base.round_seconds) for turn in turns),
        head_s=median(low_quantile(turn.head.round_seconds) for turn in turns),
    )


def _unmeasured(label: str) -> Decision:
    return Decision(label=label, verdict="inconclusive", reason="not one pair of it was measured")
