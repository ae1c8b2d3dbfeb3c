import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from tests.proof import recorded
from yolo_perf.errors import BaselineError
from yolo_perf.pairing.paired import compare_sides
from yolo_perf.proof.dealing import Pool, Task, pool, simulate
from yolo_perf.proof.proof import Proof, prove, spreads
from yolo_perf.proof.rows import Row
from yolo_perf.records import Pair, Turn
from yolo_perf.verdict.gate import Rules

RULES = Rules(screen_pairs=6, decide_pairs=16)
ENOUGH = 40


def task(rows: Sequence[Row], **changes: object) -> Task:
    return replace(Task(pool=pool(rows), rules=RULES, suites=20, seed=(0,)), **changes)  # type: ignore[arg-type]


def test_identical_sides_raise_no_false_alarm() -> None:
    tally = simulate(task(recorded.rows(ENOUGH)))
    assert (tally.failed, tally.suspected, tally.inconclusive, tally.unfair, tally.reused) == (0, 0, 0, 0, 0)
    assert tally.seconds == pytest.approx(RULES.screen_pairs * 8.0)


def test_a_constant_slow_down_is_always_found() -> None:
    tally = simulate(task(recorded.rows(ENOUGH, lambda: 1.1), swap=False))
    assert (tally.failed, tally.complete) == (20, 20)
    assert tally.found == dict.fromkeys(recorded.CASES, (20, 20))


def test_one_case_at_a_time_is_slower() -> None:
    tally = simulate(task(recorded.rows(ENOUGH), amount=0.1, one=True, suites=6))
    assert (tally.failed, tally.complete) == (6, 6)
    assert tally.found == dict.fromkeys(recorded.CASES, (2, 2))


def test_a_slow_down_within_the_margin_is_not_found() -> None:
    assert simulate(task(recorded.rows(ENOUGH), amount=0.004)).failed == 0


def test_sides_that_differ_are_turned_round_where_they_are_held_for_identical() -> None:
    rows = recorded.rows(ENOUGH, lambda: 1.1)
    assert simulate(task(rows)).failed < simulate(task(rows, swap=False)).failed == 20


def test_few_pairs_are_dealt_again() -> None:
    tally = simulate(task(recorded.rows(8), amount=0.1))
    assert (tally.reused, tally.failed) == (20, 20)


def test_the_time_of_a_decision_is_that_of_its_cases() -> None:
    """Six pairs of three cases, then sixteen of one: 5 of 8 s are rounds of the two others and their warm-up."""
    rows = recorded.rows(ENOUGH)
    assert pool(rows).case_s["n-onnx"] == pytest.approx(2 * 0.04 * (5 + 2))
    tally = simulate(task(rows, amount=0.1, one=True))
    assert tally.seconds == pytest.approx(6 * 8.0 + 16 * (8.0 - 2 * 0.56))


def test_controls_that_differ_twice_are_an_unfair_host() -> None:
    rows = [replace(row, pair=unfair(row.pair)) for row in recorded.rows(ENOUGH, lambda: 1.1)]
    tally = simulate(task(rows, swap=False))
    assert (tally.unfair, tally.failed, tally.inconclusive) == (20, 0, 20)
    assert tally.seconds == pytest.approx(2 * RULES.screen_pairs * 8.0)


def unfair(pair: Pair) -> Pair:
    return Pair(turns=tuple(replace(t, head=recorded.side(0.02, 3)) if t.control else t for t in pair.turns))


def test_a_turn_that_the_host_disturbed_is_left_out_and_replaced() -> None:
    rows = list(recorded.rows(ENOUGH))
    first, *others = rows[0].pair.turns
    stolen = replace(first, base=recorded.side(0.04, 5, steal_s=0.1))
    rows[0] = replace(rows[0], pair=Pair(turns=(stolen, *others)))
    found = pool(rows)
    missing = [found.columns[column] for row, column in zip(*map(list, nonfinite(found)), strict=True) if row == 0]
    assert missing == ["n-eager", "n-eager p90"]
    tally = simulate(Task(pool=found, rules=RULES, suites=30, seed=(0,)))
    assert tally.failed == 0
    assert 48.0 < tally.seconds < 56.0  # in some suites a seventh pair is taken


def nonfinite(found: Pool) -> tuple[Sequence[int], Sequence[int]]:
    rows, columns = (~(found.differences == found.differences)).nonzero()
    return rows.tolist(), columns.tolist()


@pytest.mark.parametrize("seed", range(15))
def test_the_course_is_that_of_the_command(seed: int) -> None:
    """Dealt in the same order, every suite comes to what `compare_sides` makes of the same pairs."""
    spread, slower = [0.004, 0.012, 0.03][seed % 3], [0.0, 0.006, 0.015, 0.03, 0.1][seed % 5]
    generator = random.Random(seed)
    rows = recorded.rows(ENOUGH, lambda: math.exp(generator.gauss(slower, spread)))
    host = _Host(rows, seed)
    outcome = compare_sides(host, recorded.CASES, RULES)
    tally = simulate(Task(pool=pool(rows), rules=RULES, suites=1, seed=(seed,), swap=False))
    assert tally.seconds == pytest.approx(host.seconds)
    verdicts = [decision.verdict for decision in outcome.decisions]
    assert tally.failed == ("regressed" in verdicts)
    assert tally.inconclusive == ("inconclusive" in verdicts)
    assert tally.suspected == bool(outcome.screening.suspects)
    regressed = {d.label.removesuffix(" p90") for d in outcome.decisions if d.verdict == "regressed"}
    assert {label for label, (hits, _) in tally.found.items() if hits} == regressed - {"(suite)"}


class _Host:
    """Gives recorded pairs in the order in which they are dealt."""

    def __init__(self, rows: Sequence[Row], seed: int) -> None:
        import numpy as np

        self._rows, self._pool = rows, pool(rows)
        self.seconds = 0.0
        self._left = np.random.default_rng((seed,)).permutation(len(rows)).tolist()

    def __call__(self, labels: Sequence[str]) -> Pair:
        turns = self._rows[self._left.pop()].pair.turns
        self.seconds += 8.0 - sum(self._pool.case_s[label] for label in set(recorded.CASES) - set(labels))
        return Pair(turns=tuple(turn for turn in turns if turn.control or turn.label in labels))


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Criterion's bootstrap is nearly all of the time that rivals take."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("yolo_perf.proof.other_rules.RESAMPLES", 20)
        yield


@pytest.fixture(scope="module")
def proof() -> Proof:
    rows = recorded.recording(
        recorded.rows(24, recorded.noisy(0.005)),
        recorded.rows(16, recorded.noisy(0.01, 1), disturb="memory", at=1000),
        recorded.rows(3, recorded.noisy(0.01, 2), disturb="cpu-1s", at=2000),
        recorded.rows(16, lambda: 1.1, inject="spin=10%", at=3000),
        recorded.rows(2, lambda: 1.05, inject="spin=5%@n-onnx", at=4000),
    )
    return prove(rows, RULES, suites=6, resamples=4)


@pytest.mark.slow
def test_every_condition_with_enough_pairs_is_scored(proof: Proof) -> None:
    assert [(each.disturb, each.pairs) for each in proof.conditions] == [("none", 24), ("any", 19), ("memory", 16)]
    quiet, mixed, memory = proof.conditions
    assert quiet.rivals
    assert mixed.rivals
    assert not memory.rivals
    assert (quiet.alarms.failed, memory.alarms_upper) == (0, None)
    assert quiet.alarms_upper == pytest.approx(1 - 0.05 ** (1 / 6))  # none of six, and of no resampled six
    assert quiet.powers[-1].one == quiet.powers[-1].any == quiet.powers[-1].every == 1.0
    assert [power.amount for power in quiet.powers] == [0.01, 0.02, 0.03, 0.05, 0.1]


def test_recorded_slow_downs_are_measured_and_found(proof: Proof) -> None:
    found = [(each.inject, each.label, each.pairs, round(each.change, 6), each.found) for each in proof.recorded]
    assert found == [
        *(("spin=10%", label, 16, 0.1, 1.0) for label in recorded.CASES),
        ("spin=5%@n-onnx", "n-onnx", 2, 0.05, None),
    ]
    few = proof.recorded[-1]
    assert (few.low, few.high) == (None, None)
    assert few.tail == pytest.approx(0.05)


def test_spreads_are_told_for_each_disturbance(proof: Proof) -> None:
    kinds = dict.fromkeys((each.disturb, each.pairs) for each in proof.spreads)
    assert list(kinds) == [("none", 24), ("memory", 16), ("cpu-1s", 3)]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_proof() -> None:
    rows = recorded.recording(recorded.rows(20, recorded.noisy(0.02)))
    one, again, other = (prove(rows, RULES, suites=5, seed=seed, resamples=2) for seed in (1, 1, 2))
    assert one == again
    assert one.conditions[0].alarms != other.conditions[0].alarms


def test_a_spread_is_that_of_logarithms() -> None:
    turns = [
        Turn(label="n-onnx", base=recorded.side(math.exp(base), 4), head=recorded.side(math.exp(base + d), 4))
        for base, d in ((0.0, -0.01), (0.1, 0.0), (0.2, 0.01))
    ]
    rows = [Row(at=0, took=1, pair=Pair(turns=(turn,))) for turn in turns]
    (spread,) = spreads(rows, "none")
    assert spread.paired == pytest.approx(0.01)
    assert spread.paired_robust == pytest.approx(1.4826 * 0.01)
    assert spread.median == pytest.approx(0.1)
    assert spread.minimum == pytest.approx(0.1)


def test_too_few_identical_pairs_are_refused() -> None:
    with pytest.raises(BaselineError, match="11 recorded pairs of identical sides are too few"):
        prove(recorded.recording(recorded.rows(11), recorded.rows(20, inject="spin=3%")), RULES)
    with pytest.raises(BaselineError, match="0 recorded pairs"):
        prove(recorded.recording(recorded.rows(20, inject="spin=3%")), RULES)
