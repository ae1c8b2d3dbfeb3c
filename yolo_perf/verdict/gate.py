"""The decision on paired measurements: pure, from differences to verdicts.

The unit is the pair of fresh processes, never the round: rounds of one process share its layout, its placement
and its neighbours. A pair gives one difference d for each case: the Hodges-Lehmann location
of ln(head) - ln(base) over rounds that ran next to each other.

Two stages keep false alarms rare and decisions quick. The screen looks at every case with few pairs and fails
none. What it suspects is measured again in fresh processes, and only that second data decides (Holm 1979 over
the suspects). Nothing is measured a third time.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from yolo_perf.errors import UsageError
from yolo_perf.records import Interval, Pair, SideRounds, Turn, Verdict
from yolo_perf.units import signed_percent
from yolo_perf.verdict.stats import (
    equivalent,
    hodges_lehmann,
    holm,
    pairs_needed,
    signed_rank_interval,
    signed_rank_p,
)

SUITE = "(suite)"
"""The label of the mean over the cases that nothing suspects alone: a broad small slow-down shows here first."""
TAIL = " p90"
"""What a case's label ends in where its 90th percentile is meant: a slow-down of some calls shows here alone."""
EQUIVALENCE_CONFIDENCE = 0.90
CONTROLS = 3
"""As many controls as a pair has at most."""
SHOWN = 0.5
"""A regression is surely beyond this share of its margin. With the whole of it a change of twice the margin was
found half as often, and false alarms are as rare (docs/gate.md)."""
Samples = Mapping[str, Sequence[float]]  # label -> one difference a pair, on the scale of natural logarithms
Table = Sequence[Mapping[str, float]]
"""The same pair by pair, a mapping for each: a pair need not hold every case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is asked of a decision. Margins and floors are fractions: 0.01 is one per cent."""

    margin: float = 0.01  # an estimate up to this is no regression
    equivalence: float = 0.03  # a change surely within this is none at all
    floors: Mapping[str, float] = field(default_factory=dict)  # calibrated, by label: what identical code shows
    screen_pairs: int = 6
    decide_pairs: int = 36
    suspect_p: float = 0.05
    suspect_change: float = 0.0075
    family_error: float = 0.02  # that any of the suspects is called regressed, or improved, in error
    confidence: float = 0.95  # of the interval that is shown
    suite_margin: float = 0.005
    tail_margin: float = 0.25  # of the 90th percentile, which varies far more
    control_margin: float = 0.01
    control_error: float = 0.10  # that any control of a fair host differs in the screen; 6 pairs reach no less

    def margin_of(self, label: str) -> float:
        """The case's margin: the general one, or its calibrated floor where that is larger."""
        if label.endswith(TAIL):
            return self.tail_margin
        return max(self.suite_margin if label == SUITE else self.margin, self.floors.get(label, 0.0))

    def shown_of(self, label: str) -> float:
        """What a regression of the case surely exceeds: half of its margin, or its calibrated floor."""
        if label.endswith(TAIL):
            return self.tail_margin
        return max(SHOWN * (self.suite_margin if label == SUITE else self.margin), self.floors.get(label, 0.0))

    def equivalence_of(self, label: str) -> float:
        """The case's equivalence margin: at least twice its margin."""
        return max(self.equivalence, 2 * self.margin_of(label))

    @property
    def looks(self) -> tuple[int, ...]:
        """After how many fresh pairs a suspect is looked at: what is cleared by then is not measured further."""
        return (*range(self.screen_pairs, self.decide_pairs, self.screen_pairs), self.decide_pairs)

    def with_pairs(self, pairs: int | None) -> "Rules":
        """These rules with so many pairs in the screen, and as many times more to decide as before."""
        if not pairs:
            return self
        return replace(self, screen_pairs=pairs, decide_pairs=pairs * self.decide_pairs // self.screen_pairs)

    def check(self, cases: int) -> None:
        """Raise UsageError where so few pairs could never decide, or never find the host unfair."""
        decide = pairs_needed(self.family_error / max(1, cases))
        screen = max(
            pairs_needed((1 - EQUIVALENCE_CONFIDENCE) / 2), pairs_needed(self.control_error / (2 * CONTROLS))
        )
        if self.decide_pairs < decide or self.screen_pairs < screen:
            raise UsageError(
                f"Too few pairs: an error of {self.family_error:.0%} over {cases} cases needs at least {screen} "
                f"to screen and {decide} to decide, not {self.screen_pairs} and {self.decide_pairs}. "
                "Raise --pairs."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The verdict on one case. `ratio` is head over base with its interval; times are seconds an image."""

    label: str
    verdict: Verdict
    reason: str
    ratio: Interval | None = None
    base_s: float | None = None
    head_s: float | None = None
    detectable: float | None = None  # the smallest slow-down that these pairs could have shown, as a fraction
    pairs: int = 0
    confirmed: bool = False  # rests on the second stage's data

    @property
    def fails(self) -> bool:
        """Whether this verdict alone fails the comparison."""
        return self.verdict in ("regressed", "missing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Screening:
    """What the first stage says: who has to be measured anew, and who needs more pairs to be resolved."""

    suspects: tuple[str, ...]
    unresolved: tuple[str, ...]


def difference(turn: Turn) -> float:
    """The centre of ln(head) - ln(base) over the rounds, each with its neighbour of the other side.

    Raises ValueError for unequal numbers of rounds. On a host with slow spells of half a second this varies half
    as much from pair to pair as the difference of low quantiles does (docs/gate.md), as neighbours share a spell.
    """
    base, head = turn.base.round_seconds, turn.head.round_seconds
    if len(base) != len(head):
        raise ValueError(f"{turn.label}: {len(base)} and {len(head)} rounds in one pair.")
    return hodges_lehmann([math.log(later / earlier) for earlier, later in zip(base, head, strict=True)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """What one pair says: a difference for each case, for each case's 90th percentile (TAIL), for each control."""

    cases: Mapping[str, float]
    controls: Mapping[str, float]


def differences(pair: Pair) -> Differences:
    """The differences of a pair."""
    cases = [turn for turn in pair.turns if not turn.control]
    return Differences(
        cases={turn.label: difference(turn) for turn in cases}
        | {turn.label + TAIL: math.log(_p90(turn.head) / _p90(turn.base)) for turn in cases},
        controls={turn.label: difference(turn) for turn in pair.turns if turn.control},
    )


def by_label(table: Table) -> dict[str, list[float]]:
    """The same differences case by case, in the order of the pairs."""
    found: dict[str, list[float]] = {}
    for pair in table:
        for label, value in pair.items():
            found.setdefault(label, []).append(value)
    return found


def suite(table: Table, without: Sequence[str] = ()) -> list[float]:
    """The mean difference over all cases but those named, of each pair that holds them all.

    Nothing for fewer than two cases: one is its own mean.
    """
    left_out = {*without, SUITE}
    labels = [label for label in by_label(table) if label not in left_out and not label.endswith(TAIL)]
    if len(labels) < 2:
        return []
    return [math.fsum(pair[each] for each in labels) / len(labels) for pair in table if pair.keys() >= set(labels)]


def screen(table: Table, rules: Rules) -> Screening:
    """Sort the cases. The suite's mean, of those that are not suspects themselves, is one more of them."""
    states = {label: _screen(values, label, rules) for label, values in by_label(table).items()}
    suspects = [label for label, state in states.items() if state == "suspect"]
    rest = suite(table, suspects)
    if rest and _screen(rest, SUITE, rules) == "suspect":
        suspects.append(SUITE)
    return Screening(
        suspects=tuple(suspects),
        unresolved=tuple(label for label, state in states.items() if state == "unresolved"),
    )


def _screen(values: Sequence[float], label: str, rules: Rules) -> Literal["suspect", "unresolved", "settled"]:
    """A slow-down is suspected early, a speed-up only where it would pass for one: it fails nobody."""
    centre = hodges_lehmann(values)
    if label.endswith(TAIL):
        beyond = centre > _log_margin(label, rules) and signed_rank_p(values) <= rules.suspect_p
        return "suspect" if beyond else "settled"
    slower = centre > math.log1p(rules.suspect_change) and signed_rank_p(values) <= rules.suspect_p
    faster = centre < -math.log1p(rules.margin_of(label)) and _p_below(values) <= rules.suspect_p
    if slower or faster:
        return "suspect"
    return "settled" if _equal(values, label, rules) else "unresolved"


def fresh(second: Table, suspects: Sequence[str]) -> dict[str, list[float]]:
    """The second stage's differences; the suite's from the cases that are not suspects themselves."""
    found = by_label(second)
    return {**found, SUITE: suite(second, suspects)} if SUITE in suspects else found


def decide(first: Table, second: Table, suspects: Sequence[str], rules: Rules) -> tuple[Decision, ...]:
    """A decision for each case of the first stage, and for the suite, in that order.

    `second` holds the suspects' fresh differences. A suspect that it lacks, or of which it holds less than
    was planned, is inconclusive, unless they cleared it. A cleared one stays in the family as a p of 1.
    """
    found = fresh(second, suspects)
    ready = [label for label in suspects if len(found.get(label, ())) >= rules.decide_pairs]
    slower = dict.fromkeys(suspects, 1.0) | {
        label: signed_rank_p(found[label], math.log1p(rules.shown_of(label))) for label in ready
    }
    faster = dict.fromkeys(suspects, 1.0) | {
        label: _p_below(found[label], math.log1p(rules.shown_of(label))) for label in ready
    }
    slower, faster = _adjusted(slower), _adjusted(faster)
    rest = suite(first, [label for label in suspects if label != SUITE])
    every: dict[str, Sequence[float]] = {**by_label(first), **({SUITE: rest} if rest else {})}
    decisions = []
    for label, values in every.items():
        if label not in suspects:
            if not label.endswith(TAIL):  # of a tail only what is wrong with it is told
                decisions.append(_unsuspected(label, values, rules))
        elif label not in ready and not cleared(found.get(label, ()), label, rules):
            decisions.append(_unconfirmed(label, values, len(found.get(label, ())), rules))
        else:
            decisions.append(_confirmed(label, found[label], slower[label], faster[label], rules))
    return tuple(decisions)


def cleared(values: Sequence[float], label: str, rules: Rules) -> bool:
    """Whether a suspect's fresh pairs show by now that it is equal, and no slower or surely within the margin.

    Then no more are measured. That ends in UNCHANGED alone, so however often it is asked it raises no false alarm.
    """
    if len(values) < rules.looks[0] or not _equal(values, label, rules):
        return False
    margin = _log_margin(label, rules)
    if -margin <= hodges_lehmann(values) <= 0:
        return True
    return signed_rank_p([-value for value in values], -margin) <= (1 - EQUIVALENCE_CONFIDENCE) / 2


def invalid_controls(found: Samples, rules: Rules, error: float) -> tuple[str, ...]:
    """The controls that differ between the sides by more than their margin: then the host is not fair.

    Two-sided, Holm over the controls, at that error in all. Too few pairs to tell find nothing.
    """
    margin = math.log1p(rules.control_margin)
    ps = {
        label: min(1.0, 2 * min(signed_rank_p(values, margin), _p_below(values, margin)))
        for label, values in found.items()
        if values
    }
    return tuple(label for label, p in _adjusted(ps).items() if p <= error)


def _confirmed(label: str, values: Sequence[float], slower: float, faster: float, rules: Rules) -> Decision:
    """The second stage's word on a suspect: sure of a part of the margin, and beyond it in the estimate."""
    margin, centre = 1 + rules.margin_of(label), math.exp(hodges_lehmann(values))
    shown = 1 + rules.shown_of(label)
    verdict: Verdict = "inconclusive"
    reason = "suspected, neither confirmed nor cleared"
    if slower <= rules.family_error and centre > margin:
        verdict, reason = "regressed", f"surely more than {signed_percent(shown)} (p {slower:.2g})"
    elif faster <= rules.family_error and 1 / centre > margin:
        verdict, reason = "improved", f"surely more than {signed_percent(1 / shown)} (p {faster:.2g})"
    elif _equal(values, label, rules):
        verdict = "unchanged"
        reason = f"suspected, not confirmed; surely within {_percent(rules.equivalence_of(label))}"
    return _decision(label, verdict, reason, values, rules, confirmed=True)


def _unsuspected(label: str, values: Sequence[float], rules: Rules) -> Decision:
    """The first stage's word on a case: never a failure."""
    if _equal(values, label, rules):
        reason = f"surely within {_percent(rules.equivalence_of(label))}"
        return _decision(label, "unchanged", reason, values, rules)
    return _decision(label, "inconclusive", "too noisy for so few pairs", values, rules)


def _unconfirmed(label: str, values: Sequence[float], pairs: int, rules: Rules) -> Decision:
    reason = f"suspected; {pairs} of {rules.decide_pairs} pairs to decide on were measured"
    return _decision(label, "inconclusive", reason, values, rules)


def _decision(
    label: str,
    verdict: Verdict,
    reason: str,
    values: Sequence[float],
    rules: Rules,
    *,
    confirmed: bool = False,
) -> Decision:
    interval = signed_rank_interval(values, rules.confidence)
    reach = interval.point - interval.low
    return Decision(
        label=label,
        verdict=verdict,
        reason=reason,
        ratio=Interval(
            point=math.exp(interval.point),
            low=math.exp(interval.low),
            high=math.exp(interval.high) if interval.high < math.inf else math.inf,
            confidence=interval.confidence,
        ),
        detectable=_detectable(label, reach, rules) if reach < math.inf else None,
        pairs=len(values),
        confirmed=confirmed,
    )


def _detectable(label: str, reach: float, rules: Rules) -> float:
    """The smallest slow-down that both halves of the rule would have let through."""
    return max(rules.margin_of(label), math.expm1(math.log1p(rules.shown_of(label)) + reach))


def _equal(values: Sequence[float], label: str, rules: Rules) -> bool:
    return equivalent(values, math.log1p(rules.equivalence_of(label)), EQUIVALENCE_CONFIDENCE)


def _p_below(values: Sequence[float], margin: float = 0.0) -> float:
    """One-sided p of "the centre is at least -margin"."""
    return signed_rank_p([-value for value in values], margin)


def _log_margin(label: str, rules: Rules) -> float:
    return math.log1p(rules.margin_of(label))


def _adjusted(ps: Mapping[str, float]) -> dict[str, float]:
    """Holm's adjusted p by label."""
    return dict(zip(ps, holm(tuple(ps.values())), strict=True)) if ps else {}


def _p90(side: SideRounds) -> float:
    """The ceil(0.9 n)-th smallest of a side's rounds."""
    return sorted(side.round_seconds)[math.ceil(0.9 * len(side.round_seconds)) - 1]


def _percent(fraction: float) -> str:
    return f"{100 * fraction:g} %"
