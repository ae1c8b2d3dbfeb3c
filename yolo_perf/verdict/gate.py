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
from dataclasses import dataclass, field
from typing import Literal

from yolo_perf.errors import UsageError
from yolo_perf.records import Interval, Pair, Turn, Verdict
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
Samples = Mapping[str, Sequence[float]]  # label -> one difference a pair, on the scale of natural logarithms


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is asked of a decision. Margins and floors are fractions: 0.01 is one per cent."""

    margin: float = 0.01  # a change up to this is no regression
    equivalence: float = 0.03  # a change surely within this is none at all
    floors: Mapping[str, float] = field(default_factory=dict)  # calibrated, by label: what identical code shows
    screen_pairs: int = 6
    decide_pairs: int = 24
    suspect_p: float = 0.10
    suspect_change: float = 0.0075
    family_error: float = 0.02  # that any of the suspects is called regressed, or improved, in error
    confidence: float = 0.95  # of the interval that is shown
    suite_margin: float = 0.005
    tail_margin: float = 0.25  # of the 90th percentile, which varies far more
    control_margin: float = 0.01
    control_error: float = 0.10  # that any control of a fair host differs, once; 6 pairs of 3 reach no less

    def margin_of(self, label: str) -> float:
        """The case's margin: the general one, or its calibrated floor where that is larger."""
        if label.endswith(TAIL):
            return self.tail_margin
        return max(self.suite_margin if label == SUITE else self.margin, self.floors.get(label, 0.0))

    def equivalence_of(self, label: str) -> float:
        """The case's equivalence margin: at least twice its margin."""
        return max(self.equivalence, 2 * self.margin_of(label))

    def check(self, cases: int) -> None:
        """Raise UsageError where so few pairs could never decide, whatever they showed."""
        decide = pairs_needed(self.family_error / max(1, cases))
        screen = pairs_needed((1 - EQUIVALENCE_CONFIDENCE) / 2)
        if self.decide_pairs < decide or self.screen_pairs < screen:
            raise UsageError(
                f"Too few pairs: {cases} cases at an error of {self.family_error:.0%} need at least {screen} to "
                f"screen and {decide} to decide, not {self.screen_pairs} and {self.decide_pairs}. Raise --pairs."
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


def samples(pairs: Sequence[Pair], *, controls: bool = False) -> dict[str, list[float]]:
    """The differences of every case, or of every control, in the order of the pairs."""
    found: dict[str, list[float]] = {}
    for pair in pairs:
        for turn in pair.turns:
            if turn.control == controls:
                found.setdefault(turn.label, []).append(difference(turn))
    return found


def tails(pairs: Sequence[Pair]) -> dict[str, list[float]]:
    """The differences of every case's 90th percentile, under its label and TAIL."""
    found: dict[str, list[float]] = {}
    for pair in pairs:
        for turn in pair.turns:
            if not turn.control:
                ratio = _p90(turn.head.round_seconds) / _p90(turn.base.round_seconds)
                found.setdefault(turn.label + TAIL, []).append(math.log(ratio))
    return found


def suite(found: Samples, without: Sequence[str] = ()) -> list[float]:
    """The mean difference of each pair over all cases but those named; nothing for fewer than two cases.

    Over the pairs that all of them have, the first ones: what is extended has more.
    """
    columns = [
        list(values)
        for label, values in found.items()
        if label not in (*without, SUITE) and not label.endswith(TAIL)
    ]
    if len(columns) < 2:
        return []
    return [math.fsum(values) / len(values) for values in zip(*columns, strict=False)]


def screen(found: Samples, rules: Rules) -> Screening:
    """Sort the cases. The suite's mean, of those that are not suspects themselves, is one more of them."""
    states = {label: _screen(values, label, rules) for label, values in found.items()}
    suspects = [label for label, state in states.items() if state == "suspect"]
    rest = suite(found, suspects)
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


def decide(first: Samples, second: Samples, suspects: Sequence[str], rules: Rules) -> tuple[Decision, ...]:
    """A decision for each case of the first stage, and for the suite, in that order.

    `second` holds the suspects' fresh differences. A suspect that it lacks, or of which it holds less than
    was planned, is inconclusive, unless half of them cleared it. A cleared one stays in the family as a p of 1.
    """
    ready = [label for label in suspects if len(second.get(label, ())) >= rules.decide_pairs]
    slower = dict.fromkeys(suspects, 1.0) | {
        label: signed_rank_p(second[label], _log_margin(label, rules)) for label in ready
    }
    faster = dict.fromkeys(suspects, 1.0) | {
        label: _p_below(second[label], _log_margin(label, rules)) for label in ready
    }
    slower, faster = _adjusted(slower), _adjusted(faster)
    rest = suite(first, [label for label in suspects if label != SUITE])
    every: dict[str, Sequence[float]] = {**first, **({SUITE: rest} if rest else {})}
    found = []
    for label, values in every.items():
        if label not in suspects:
            if not label.endswith(TAIL):  # of a tail only what is wrong with it is told
                found.append(_unsuspected(label, values, rules))
        elif label not in ready and not cleared(second.get(label, ()), label, rules):
            found.append(_unconfirmed(label, values, len(second.get(label, ())), rules))
        else:
            found.append(_confirmed(label, second[label], slower[label], faster[label], rules))
    return tuple(found)


def cleared(values: Sequence[float], label: str, rules: Rules) -> bool:
    """Whether half of a suspect's fresh pairs show it equal, and surely not beyond the margin.

    Then the other half is not measured. That ends in UNCHANGED alone, so it can raise no false alarm.
    """
    if 2 * len(values) < rules.decide_pairs:
        return False
    below = signed_rank_p([-value for value in values], -_log_margin(label, rules))  # of "at least the margin"
    return below <= (1 - EQUIVALENCE_CONFIDENCE) / 2 and _equal(values, label, rules)


def invalid_controls(found: Samples, rules: Rules) -> tuple[str, ...]:
    """The controls that differ between the sides by more than their margin: then the host is not fair.

    Two-sided, Holm over the controls. Too few pairs to tell find nothing.
    """
    margin = math.log1p(rules.control_margin)
    ps = {
        label: min(1.0, 2 * min(signed_rank_p(values, margin), _p_below(values, margin)))
        for label, values in found.items()
        if values
    }
    return tuple(label for label, p in _adjusted(ps).items() if p <= rules.control_error)


def _confirmed(label: str, values: Sequence[float], slower: float, faster: float, rules: Rules) -> Decision:
    """The second stage's word on a suspect."""
    margin = signed_percent(1 + rules.margin_of(label))
    if slower <= rules.family_error:
        return _decision(
            label, "regressed", f"surely more than {margin} (p {slower:.2g})", values, rules, confirmed=True
        )
    if faster <= rules.family_error:
        limit = signed_percent(1 / (1 + rules.margin_of(label)))
        return _decision(
            label, "improved", f"surely more than {limit} (p {faster:.2g})", values, rules, confirmed=True
        )
    if _equal(values, label, rules):
        reason = f"suspected, not confirmed; surely within {_percent(rules.equivalence_of(label))}"
        return _decision(label, "unchanged", reason, values, rules, confirmed=True)
    return _decision(
        label, "inconclusive", "suspected, neither confirmed nor cleared", values, rules, confirmed=True
    )


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
        detectable=math.expm1(_log_margin(label, rules) + reach) if reach < math.inf else None,
        pairs=len(values),
        confirmed=confirmed,
    )


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


def _p90(seconds: Sequence[float]) -> float:
    """The ceil(0.9 n)-th smallest."""
    return sorted(seconds)[math.ceil(0.9 * len(seconds)) - 1]


def _percent(fraction: float) -> str:
    return f"{100 * fraction:g} %"
