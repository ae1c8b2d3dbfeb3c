"""The gate's own test: how often it fails identical sides, and how often it finds a slow-down of known size.

Recorded pairs are dealt anew into many suite comparisons, each of which is judged by the functions of the command.
Only the dealing is simulated: every difference was measured. In a pair of identical sides either could have been
the base, so each dealt one is turned round with probability 1/2, all of its cases together.

Dealing makes no information. How sure the rate of false alarms is, the recording says: its pairs are resampled,
and the upper bound is the 95 % percentile of the rates that such recordings give.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from yolo_perf.errors import BaselineError
from yolo_perf.proof.dealing import FloatArray, Pool, Tally, Task, labels_of, pool, simulate
from yolo_perf.proof.other_rules import rate_interval
from yolo_perf.proof.rivals import RivalScore, score_rivals
from yolo_perf.proof.rows import Header, Row, Rows
from yolo_perf.verdict import gate
from yolo_perf.verdict.gate import TAIL, Rules
from yolo_perf.verdict.stats import signed_rank_interval

AMOUNTS = (0.01, 0.02, 0.03, 0.05, 0.10)
UNDISTURBED, DISTURBED = "none", "any"
SUITES = 2_000
POWER_SUITES = 400
"""At most so many for each amount: a share of 400 is sure to 5 %."""
RESAMPLES, RESAMPLED_SUITES = 100, 200
FEWEST_PAIRS = 12
"""Of fewer nothing is scored but their spread; of fewer than a comparison takes, some are dealt twice."""
UPPER = 0.95
CONFIDENCE = 0.95
MAD_TO_SD = 1.4826  # of a normal distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """How often a slow-down is found, as shares of suites."""

    amount: float
    one: float  # one case slower, that one found: median over the cases
    any: float  # all cases slower, any found
    every: float  # all cases slower, all found
    cases: Mapping[str, float]  # one case slower, that one found


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A slow-down that was really put in: what was measured of it in one case, and how often it is found."""

    inject: str
    disturb: str
    label: str
    pairs: int
    change: float  # head over base - 1, the centre of the pairs
    low: float | None  # its 95 % interval; None with too few pairs for a bound
    high: float | None
    tail: float  # the same of the 90th percentile
    found: float | None  # the share of suites of such pairs in which the case is called regressed


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How far identical sides lie apart in one case: standard deviations of logarithms."""

    disturb: str
    label: str
    pairs: int
    paired: float  # of the difference of a pair
    paired_robust: float  # 1.4826 times the median absolute deviation
    median: float  # of a session's median, from session to session
    minimum: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """The proof under one disturbance, or under "any" of them."""

    disturb: str
    pairs: int
    pair_s: float
    alarms: Tally
    alarms_upper: float | None  # of the rate of failed suites, where it was resampled
    powers: tuple[Power, ...]
    rivals: tuple[RivalScore, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """All that one recording says of the rules."""

    rules: Rules
    seed: int
    suites: int
    recording: Header
    conditions: tuple[Condition, ...]  # of which there are enough pairs
    spreads: tuple[Spread, ...]
    recorded: tuple[Recorded, ...]


Mapper = Callable[[Callable[[Task], Tally], Sequence[Task]], Iterable[Tally]]
"""`map`, or that of a pool of processes: tallies in the order of the tasks."""


def prove(
    recording: Rows,
    rules: Rules,
    *,
    suites: int = SUITES,
    seed: int = 0,
    resamples: int | None = None,
    mapper: Mapper = map,
) -> Proof:
    """What a recording says of the rules: undisturbed, under any disturbance, then under each.

    The recording is resampled RESAMPLES times unless told otherwise. The same seed gives the same proof. Raises
    BaselineError where too few pairs are of identical sides, UsageError where the rules ask for too few to decide
    anything.
    """
    rules.check(len(labels_of(recording.rows, control=False)))
    groups = _groups([row for row in recording.rows if not row.inject])
    if not any(len(rows) >= FEWEST_PAIRS for rows in groups.values()):
        most = max(map(len, groups.values()), default=0)
        raise BaselineError(
            f"{most} recorded pairs of identical sides are too few to say anything: {FEWEST_PAIRS} are needed. "
            "Record more: yolo-perf prove-gate --record FILE"
        )
    conditions = []
    for number, (name, rows) in enumerate(groups.items()):
        if len(rows) >= FEWEST_PAIRS:
            task = Task(pool=pool(rows), rules=rules, suites=suites, seed=(seed, number))
            conditions.append(_condition(name, rows, task, resamples, mapper))
    return Proof(
        rules=rules,
        seed=seed,
        suites=suites,
        recording=recording.header,
        conditions=tuple(conditions),
        spreads=tuple(each for name, rows in groups.items() for each in spreads(rows, name) if name != DISTURBED),
        recorded=_recorded(recording.rows, rules, (seed, 1000), min(suites, POWER_SUITES), mapper),
    )


def _condition(name: str, rows: Sequence[Row], task: Task, resamples: int | None, mapper: Mapper) -> Condition:
    """The proof under one condition; each single disturbance in fewer suites, and without what takes longest."""
    main = name in (UNDISTURBED, DISTURBED)
    if not main:
        task = replace(task, suites=min(task.suites, POWER_SUITES))
    alarms, powers = _alarms(task, mapper)
    return Condition(
        disturb=name,
        pairs=len(rows),
        pair_s=task.pool.pair_s,
        alarms_upper=_upper_rate(task, alarms, resamples or RESAMPLES, mapper) if main else None,
        rivals=score_rivals(rows, AMOUNTS) if main else (),
        alarms=alarms,
        powers=powers,
    )


def _groups(same: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each condition that has any."""
    kinds = [kind for kind in dict.fromkeys(row.disturb for row in same) if kind != UNDISTURBED]
    groups = {UNDISTURBED: [row for row in same if row.disturb == UNDISTURBED]}
    if len(kinds) > 1:
        groups[DISTURBED] = [row for row in same if row.disturb != UNDISTURBED]
    groups |= {kind: [row for row in same if row.disturb == kind] for kind in kinds}
    return {name: rows for name, rows in groups.items() if rows}


def _alarms(task: Task, mapper: Mapper) -> tuple[Tally, tuple[Power, ...]]:
    """What comes of identical sides, and of each slow-down in one case and in all."""
    slower = replace(task, suites=min(task.suites, POWER_SUITES))
    tasks = [replace(task, seed=(*task.seed, 0))]
    for number, amount in enumerate(AMOUNTS, start=1):
        for one in (True, False):
            tasks.append(replace(slower, amount=amount, one=one, seed=(*task.seed, number, int(one))))
    alarms, *found = mapper(simulate, tasks)
    powers = zip(AMOUNTS, found[::2], found[1::2], strict=True)
    return alarms, tuple(_power(amount, one, every) for amount, one, every in powers)


def _power(amount: float, one: Tally, every: Tally) -> Power:
    cases = {label: hits / trials for label, (hits, trials) in one.found.items() if trials}
    return Power(
        amount=amount,
        one=statistics.median(cases.values()) if cases else 0.0,
        any=every.failure_rate,
        every=every.complete / every.suites,
        cases=cases,
    )


def _upper_rate(task: Task, alarms: Tally, resamples: int, mapper: Mapper) -> float:
    """The 95 % percentile of the rate of failed suites over recordings drawn from the recorded pairs.

    Never below what the simulated suites alone leave open.
    """
    generator = np.random.default_rng((*task.seed, 99))
    tasks = []
    for number in range(resamples):
        drawn = generator.integers(task.pool.pairs, size=task.pool.pairs)
        tasks.append(
            replace(
                task,
                pool=replace(task.pool, differences=task.pool.differences[drawn]),
                suites=min(task.suites, RESAMPLED_SUITES),
                seed=(*task.seed, 100 + number),
                failures_only=True,
            )
        )
    rates = [tally.failure_rate for tally in mapper(simulate, tasks)]
    simulated = rate_interval(alarms.failed, alarms.suites, 2 * UPPER - 1).high
    return max(simulated, float(np.quantile(rates, UPPER, method="higher")))


def _recorded(
    rows: Sequence[Row], rules: Rules, seed: tuple[int, ...], suites: int, mapper: Mapper
) -> tuple[Recorded, ...]:
    """Every recorded injection, case by case; simulated where there are enough pairs."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.inject:
            groups.setdefault((row.inject, row.disturb), []).append(row)
    tasks = {
        key: Task(pool=pool(group), rules=rules, suites=suites, seed=(*seed, number), swap=False)
        for number, (key, group) in enumerate(groups.items())
    }
    enough = [key for key, task in tasks.items() if task.pool.pairs >= FEWEST_PAIRS]
    tallies = dict(zip(enough, mapper(simulate, [tasks[key] for key in enough]), strict=True))
    found = []
    for key, task in tasks.items():
        injection = groups[key][0].injection
        for label in task.pool.cases:
            if injection is not None and injection.case in ("", label):
                found += _recorded_case(key, task.pool, label, tallies.get(key))
    return tuple(found)


def _recorded_case(key: tuple[str, str], pool: Pool, label: str, tally: Tally | None) -> list[Recorded]:
    """What was measured of an injection in one case; nothing where none of its turns counts."""
    values = _present(pool.differences[:, pool.columns.index(label)])
    if not values:
        return []
    interval = signed_rank_interval(values, CONFIDENCE)
    tails = _present(pool.differences[:, pool.columns.index(label + TAIL)])
    return [
        Recorded(
            inject=key[0],
            disturb=key[1],
            label=label,
            pairs=len(values),
            change=math.expm1(interval.point),
            low=math.expm1(interval.low) if interval.low > -math.inf else None,
            high=math.expm1(interval.high) if interval.high < math.inf else None,
            tail=math.expm1(statistics.median(tails)),
            found=tally.found[label][0] / tally.suites if tally else None,
        )
    ]


def spreads(rows: Sequence[Row], disturb: str) -> tuple[Spread, ...]:
    """Of each case: how far pairs lie apart, and how far sessions do, a session being one side's rounds."""
    found = []
    for label in labels_of(rows, control=False):
        turns = [turn for row in rows for turn in row.pair.turns if turn.label == label]
        if len(turns) < 2:
            continue
        d = [gate.difference(turn) for turn in turns]
        middle = statistics.median(d)
        sessions = [turn.base.round_seconds for turn in turns]
        found.append(
            Spread(
                disturb=disturb,
                label=label,
                pairs=len(turns),
                paired=statistics.stdev(d),
                paired_robust=MAD_TO_SD * statistics.median(abs(value - middle) for value in d),
                median=statistics.stdev(math.log(statistics.median(rounds)) for rounds in sessions),
                minimum=statistics.stdev(math.log(min(rounds)) for rounds in sessions),
            )
        )
    return tuple(found)


def _present(column: FloatArray) -> list[float]:
    """The values that there are."""
    kept: list[float] = column[~np.isnan(column)].tolist()
    return kept
