"""Suite comparisons simulated: recorded pairs are dealt anew, and judged by the functions of the command."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yolo_perf.pairing.arena import WARMUP
from yolo_perf.pairing.paired import too_disturbed
from yolo_perf.proof.rows import Row
from yolo_perf.records import Pair, Turn
from yolo_perf.verdict import gate
from yolo_perf.verdict.course import Course, Stage
from yolo_perf.verdict.gate import TAIL, Differences, Rules

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Recorded pairs as differences: (pairs, columns), NaN where a turn was dropped or not measured."""

    cases: tuple[str, ...]
    controls: tuple[str, ...]
    columns: tuple[str, ...]  # cases, then their tails, then controls
    differences: FloatArray
    pair_s: float  # median seconds of a pair of all cases
    case_s: Mapping[str, float]  # of that, what each case takes

    @property
    def pairs(self) -> int:
        """How many there are."""
        return len(self.differences)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Suite comparisons to simulate. Slower by `amount` are all cases, or one at a time in turn."""

    pool: Pool
    rules: Rules
    suites: int
    seed: tuple[int, ...]
    swap: bool = True  # the sides are identical
    amount: float = 0.0
    one: bool = False
    failures_only: bool = False  # what is not called regressed is not told apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What came of simulated suites. Counts are of suites."""

    suites: int
    failed: int  # any case, or the suite's mean, called regressed
    inconclusive: int  # any case
    suspected: int
    unfair: int  # the controls differed twice
    reused: int  # pairs were dealt a second time
    complete: int  # every case that was slower was called regressed
    seconds: float  # mean
    found: Mapping[str, tuple[int, int]]  # of each case: called regressed, of suites in which it was slower

    @property
    def failure_rate(self) -> float:
        """The share that failed."""
        return self.failed / self.suites


def pool(rows: Sequence[Row]) -> Pool:
    """Recorded pairs as a pool to deal from, without the turns that a comparison would drop."""
    pairs = [
        Pair(turns=tuple(turn for turn in row.pair.turns if turn.control or not too_disturbed(turn)))
        for row in rows
    ]
    cases = labels_of(rows, control=False)
    controls = labels_of(rows, control=True)
    columns = (*cases, *(label + TAIL for label in cases), *controls)
    place = {label: number for number, label in enumerate(columns)}
    differences = np.full((len(pairs), len(columns)), np.nan)
    for number, pair in enumerate(pairs):
        found = gate.differences(pair)
        for label, value in (*found.cases.items(), *found.controls.items()):
            differences[number, place[label]] = value
    timed: dict[str, list[float]] = {}
    for row in rows:
        for turn in row.pair.turns:
            timed.setdefault(turn.label, []).append(_turn_s(turn))
    return Pool(
        cases=cases,
        controls=controls,
        columns=columns,
        differences=differences,
        pair_s=statistics.median(row.took for row in rows),
        case_s={label: statistics.median(timed[label]) for label in cases},
    )


def labels_of(rows: Sequence[Row], *, control: bool) -> tuple[str, ...]:
    """The labels of all cases, or of all controls, in the order in which they come."""
    return tuple(dict.fromkeys(t.label for row in rows for t in row.pair.turns if t.control == control))


def _turn_s(turn: Turn) -> float:
    """About what a turn takes: both sides' rounds, and the warm-up calls ahead of each side's."""
    rounds = len(turn.base.round_seconds)
    return math.fsum((*turn.base.round_seconds, *turn.head.round_seconds)) * (1 + WARMUP / rounds)


def simulate(task: Task) -> Tally:
    """What comes of so many suite comparisons."""
    dealer = _Dealer(task)
    cases = task.pool.cases
    hits, trials = dict.fromkeys(cases, 0), dict.fromkeys(cases, 0)
    results, complete = [], 0
    for number in range(task.suites):
        slower = (cases[number % len(cases)],) if task.one else cases
        dealer.shuffle(slower)
        result = _compare(dealer, task)
        found = [label for label in slower if {label, label + TAIL} & result.regressed]
        complete += len(found) == len(slower)
        for label in slower:
            trials[label] += 1
            hits[label] += label in found
        results.append(result)
    return Tally(
        suites=task.suites,
        failed=sum(bool(result.regressed) for result in results),
        inconclusive=sum(result.inconclusive for result in results),
        suspected=sum(result.suspected for result in results),
        unfair=sum(result.unfair for result in results),
        reused=sum(result.reused for result in results),
        complete=complete,
        seconds=statistics.fmean(result.seconds for result in results),
        found={label: (hits[label], trials[label]) for label in cases},
    )


class _Dealer:
    """Deals pairs without laying any back, and shuffles anew when all have been dealt."""

    def __init__(self, task: Task) -> None:
        pool = task.pool
        self._pool, self._task = pool, task
        self._generator = np.random.default_rng(task.seed)
        self._pairs = [
            {label: value for label, value in zip(pool.columns, row, strict=True) if not math.isnan(value)}
            for row in pool.differences.tolist()
        ]
        self._slower: frozenset[str] = frozenset()
        self._left: list[int] = []
        self.seconds = 0.0
        self.reused = False

    def shuffle(self, slower: Sequence[str]) -> None:
        """All pairs at hand again; these cases are slower from now on."""
        self._slower = frozenset((*slower, *(label + TAIL for label in slower)))
        self._left = self._generator.permutation(self._pool.pairs).tolist()
        self.seconds, self.reused = 0.0, False

    def take(self, _: Stage, labels: Sequence[str]) -> Differences:
        """The next pair's differences of these cases, their tails, and all controls."""
        pool, growth = self._pool, math.log1p(self._task.amount)
        if not self._left:
            self._left = self._generator.permutation(pool.pairs).tolist()
            self.reused = True
        pair = self._pairs[self._left.pop()]
        sign = -1 if self._task.swap and self._generator.random() < 0.5 else 1
        self.seconds += pool.pair_s - math.fsum(pool.case_s[label] for label in pool.cases if label not in labels)
        named = [name for label in labels for name in (label, label + TAIL) if name in pair]
        return Differences(
            cases={name: sign * pair[name] + (growth if name in self._slower else 0.0) for name in named},
            controls={name: sign * pair[name] for name in pool.controls if name in pair},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    """What one simulated comparison came to."""

    regressed: frozenset[str]
    inconclusive: bool
    suspected: bool
    unfair: bool
    reused: bool
    seconds: float


def _compare(dealer: _Dealer, task: Task) -> _Result:
    """One comparison on dealt pairs."""
    course = Course(dealer.take, task.pool.cases, task.rules)
    course.compare()
    decided = () if task.failures_only and not course.second else course.decisions()
    fair = not course.unfair
    return _Result(
        regressed=frozenset(each.label for each in decided if fair and each.verdict == "regressed"),
        inconclusive=not fair or any(each.verdict == "inconclusive" for each in decided),
        suspected=bool(course.screening.suspects),
        unfair=not fair,
        reused=dealer.reused,
        seconds=dealer.seconds,
    )
