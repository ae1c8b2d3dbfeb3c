"""Other tools' rules, scored on the recorded rounds that the gate is scored on."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from types import MappingProxyType

from yolo_perf.proof.other_rules import RIVALS, rate_interval
from yolo_perf.proof.rows import Row
from yolo_perf.records import Interval

Rounds = tuple[Sequence[float], Sequence[float]]
"""Base and head, seconds."""
Comparison = Mapping[str, Rounds]
"""Every case of two sessions, by label."""
Judge = Callable[[Sequence[float], Sequence[float], float], bool]
"""Base rounds, head rounds, and by how much the head's are made longer -> whether it is called regressed."""
SUITE_ERROR = 0.01
"""The rate of false alarms of whole suites at which rules with a threshold are compared."""
MATCHED: Mapping[str, Callable[[Sequence[float]], float]] = MappingProxyType(
    {"mean": statistics.mean, "min": min, "median": statistics.median}
)
"""The statistics whose threshold can be moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RivalScore:
    """How a rule did. Rates are fractions; powers go by the amount of a slow-down."""

    rule: str
    design: str  # how the rounds were taken: "block" or "interleaved"
    comparisons: int  # of one case
    false_alarms: Interval  # of one case
    suites: int
    suite_false_alarms: Interval  # of all cases together: any of them
    one: Mapping[float, float]  # found, one case being slower: median over the cases
    every: Mapping[float, float]  # any found, all cases being slower
    threshold: float | None = None  # where it was moved to match, as a fraction


def blocks(rows: Sequence[Row]) -> list[Comparison]:
    """The base rounds of each recording against the head rounds of the next in time: sessions in turn.

    Only those of the same disturbance are neighbours.
    """
    found: list[Comparison] = []
    for kind in dict.fromkeys(row.disturb for row in rows):
        same = sorted((row for row in rows if row.disturb == kind), key=lambda row: row.at)
        found += [_comparison(earlier, later) for earlier, later in pairwise(same)]
    return [comparison for comparison in found if comparison]


def interleaved(rows: Sequence[Row]) -> list[Comparison]:
    """The rounds of each pair, which were taken in turns."""
    return [_comparison(row, row) for row in rows]


DESIGNS: Mapping[str, Callable[[Sequence[Row]], list[Comparison]]] = MappingProxyType(
    {"block": blocks, "interleaved": interleaved}
)


def score_rivals(rows: Sequence[Row], amounts: Sequence[float]) -> tuple[RivalScore, ...]:
    """Every rule in every design on rows of identical sides, then those with a moved threshold.

    A slow-down is one that makes all of the head's rounds longer by the amount.
    """
    found = []
    for design, comparisons_of in DESIGNS.items():
        comparisons = comparisons_of(rows)
        if not comparisons:
            continue
        for name, rule in RIVALS.items():
            found.append(_score((name, design), comparisons, amounts, partial(_judged, rule)))
        for name, statistic in MATCHED.items():
            threshold = matched_threshold(statistic, comparisons)
            judge = partial(_exceeds, statistic, threshold)
            found.append(_score((name, design), comparisons, amounts, judge, threshold=threshold))
    return tuple(found)


def matched_threshold(statistic: Callable[[Sequence[float]], float], comparisons: Sequence[Comparison]) -> float:
    """The least relative growth that at most 1 % of these suites exceed in any case; as a fraction.

    With fewer than a hundred suites it is the largest that was seen.
    """
    largest = sorted(
        (
            max(statistic(head) / statistic(base) - 1 for base, head in comparison.values())
            for comparison in comparisons
        ),
        reverse=True,
    )
    return max(0.0, largest[int(SUITE_ERROR * len(largest))])


def _score(
    named: tuple[str, str],
    comparisons: Sequence[Comparison],
    amounts: Sequence[float],
    judge: Judge,
    *,
    threshold: float | None = None,
) -> RivalScore:
    verdicts = {amount: _verdicts(comparisons, amount, judge) for amount in (0.0, *amounts)}
    alarms = [alarm for suite in verdicts[0.0] for alarm in suite.values()]
    return RivalScore(
        rule=named[0],
        design=named[1],
        comparisons=len(alarms),
        false_alarms=rate_interval(sum(alarms), len(alarms)),
        suites=len(comparisons),
        suite_false_alarms=rate_interval(sum(any(s.values()) for s in verdicts[0.0]), len(comparisons)),
        one={amount: _median_case(verdicts[amount]) for amount in amounts},
        every={amount: statistics.fmean(any(s.values()) for s in verdicts[amount]) for amount in amounts},
        threshold=threshold,
    )


def _verdicts(
    comparisons: Sequence[Comparison],
    amount: float,
    judge: Judge,
) -> list[dict[str, bool]]:
    return [
        {label: judge(base, head, amount) for label, (base, head) in comparison.items()}
        for comparison in comparisons
    ]


def _judged(
    rule: Callable[[Sequence[float], Sequence[float]], bool],
    base: Sequence[float],
    head: Sequence[float],
    amount: float,
) -> bool:
    return rule(base, [seconds * (1 + amount) for seconds in head])


def _exceeds(
    statistic: Callable[[Sequence[float]], float],
    threshold: float,
    base: Sequence[float],
    head: Sequence[float],
    amount: float,
) -> bool:
    growth = statistic(head) / statistic(base) - 1
    return (1 + growth) * (1 + amount) - 1 > threshold if amount else growth > threshold


def _median_case(suites: Sequence[Mapping[str, bool]]) -> float:
    """The share of suites in which a case is found, for the case in the middle."""
    labels = dict.fromkeys(label for suite in suites for label in suite)
    return statistics.median(
        statistics.fmean(suite[label] for suite in suites if label in suite) for label in labels
    )


def _comparison(base: Row, head: Row) -> Comparison:
    """Base rounds of one row, head rounds of another, for the cases that both have."""
    heads = {turn.label: turn.head.round_seconds for turn in head.pair.turns if not turn.control}
    return {
        turn.label: (turn.base.round_seconds, heads[turn.label])
        for turn in base.pair.turns
        if not turn.control and turn.label in heads
    }
