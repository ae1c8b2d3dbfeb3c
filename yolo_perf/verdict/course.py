"""The course of a paired comparison: screen, extend, decide on fresh pairs. Never measured until green.

Where the pairs come from is handed in: the command measures them, the proof of the gate deals recorded ones. So
both take the same course.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from yolo_perf.verdict import gate
from yolo_perf.verdict.gate import SUITE, TAIL, Decision, Differences, Rules, Screening, Table
from yolo_perf.verdict.stats import hodges_lehmann

Stage = Literal["screen", "rescreen", "extend", "decide"]
NextPair = Callable[[Stage, Sequence[str]], Differences | None]
"""One more pair over cases of these labels and the controls. None where no more can be had: that ends it all."""
SPARE = 1.5
"""For pairs that were disturbed others are taken, up to so many times the pairs asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a comparison stands, after each pair."""

    stage: Stage
    pair: int
    pairs: int
    ratios: Mapping[str, float]  # running estimates of head over base, by label


class Course:
    """One comparison of these cases. `decisions` rest on what was taken so far, whenever they are asked for."""

    def __init__(
        self,
        take: NextPair,
        labels: Sequence[str],
        rules: Rules,
        *,
        tell: Callable[[Progress], None] | None = None,
    ):
        self.labels = tuple(labels)
        self.rules = rules
        self.first: list[Differences] = []
        self.second: list[Differences] = []
        self.complete = True  # False once no more pairs could be had
        self.unfair: tuple[str, ...] = ()  # controls that differ: the host treats the sides differently
        self.screening = Screening(suspects=(), unresolved=())
        self._take = take
        self._tell = tell

    def compare(self) -> None:
        """Screen all cases, extend what is not resolved, decide what is suspected by then."""
        rules = self.rules
        self._until("screen", self.first, self.labels, rules.screen_pairs)
        self.unfair = self._unfair(self.first, rules.control_error)
        if self.unfair and self.complete:  # once: a host may have had a bad moment, a second time it is not fair
            self.first.clear()
            self._until("rescreen", self.first, self.labels, rules.screen_pairs)
            if self.complete:
                self.unfair = self._unfair(self.first, rules.control_error)
        self.screening = gate.screen(_cases(self.first), rules)
        if self.unfair:
            return
        if self.screening.unresolved:
            self._until("extend", self.first, self.screening.unresolved, 2 * rules.screen_pairs)
            self.screening = _widened(self.screening, gate.screen(_cases(self.first), rules))
        self._decide()

    def confirm(self) -> None:
        """The second stage by itself: something else suspects all of the cases."""
        self.screening = Screening(suspects=self.labels, unresolved=())
        self._decide()
        self.first = self.second

    def decisions(self) -> tuple[Decision, ...]:
        """A decision for each case of which there is a pair, and for the suite."""
        return gate.decide(_cases(self.first), _cases(self.second), self.screening.suspects, self.rules)

    def _decide(self) -> None:
        """Fresh pairs, step by step: what is cleared at a look is not measured further for its own sake."""
        suspects, rules = self.screening.suspects, self.rules
        left: Sequence[str] = suspects
        for pairs in rules.looks:
            if not left:
                break
            self._until("decide", self.second, cases_of(left, self.labels), pairs)
            found = gate.fresh(_cases(self.second), suspects)
            left = [label for label in suspects if not gate.cleared(found.get(label, ()), label, rules)]
        self.unfair = self._unfair(self.second, rules.family_error)

    def _until(self, stage: Stage, into: list[Differences], labels: Sequence[str], pairs: int) -> None:
        """Take pairs until each case has so many. Without a case none is taken: controls alone decide nothing."""
        of = self.rules.decide_pairs if stage == "decide" else pairs
        while labels and self.complete and len(into) < math.ceil(SPARE * pairs):
            if _fewest(into, labels) >= pairs:
                return
            pair = self._take(stage, labels)
            if pair is None:
                self.complete = False
                return
            into.append(pair)
            if self._tell is not None:
                self._tell(_progress(stage, into, labels, of))

    def _unfair(self, pairs: Sequence[Differences], error: float) -> tuple[str, ...]:
        return gate.invalid_controls(gate.by_label([pair.controls for pair in pairs]), self.rules, error)


def cases_of(suspects: Sequence[str], labels: Sequence[str]) -> list[str]:
    """What has to be measured to decide on these suspects: their cases; all of them for the suite."""
    named = {label.removesuffix(TAIL) for label in suspects}
    return [label for label in labels if label in named or SUITE in named]


def _widened(before: Screening, after: Screening) -> Screening:
    """With what more pairs made suspicious. A suspect stays one; the suite is that of the cases that are not."""
    cases = [label for label in before.suspects if label != SUITE]
    new = [label for label in after.suspects if label not in cases]
    return Screening(suspects=(*cases, *new), unresolved=before.unresolved)


def _progress(stage: Stage, pairs: Sequence[Differences], labels: Sequence[str], of: int) -> Progress:
    found = gate.by_label(_cases(pairs))
    ratios = {label: math.exp(hodges_lehmann(found[label])) for label in labels if label in found}
    return Progress(stage=stage, pair=_fewest(pairs, labels), pairs=of, ratios=ratios)


def _cases(pairs: Sequence[Differences]) -> Table:
    return [pair.cases for pair in pairs]


def _fewest(pairs: Sequence[Differences], labels: Sequence[str]) -> int:
    """Pairs of the case that has the fewest."""
    return min((sum(label in pair.cases for pair in pairs) for label in labels), default=0)
