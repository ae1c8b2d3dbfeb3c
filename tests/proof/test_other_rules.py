import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_benchmark.stats import Stats
from pytest_benchmark.utils import parse_compare_fail
from scipy import stats

from yolo_perf.proof.other_rules import RIVALS, Rule, criterion, mann_whitney, rate_interval, welch

SECONDS = st.floats(0.001, 1.0)
ROUNDS = st.lists(SECONDS, min_size=1, max_size=25)
FIELDS = ("mean", "min", "median")

every_rule = pytest.mark.parametrize("rule", RIVALS.values(), ids=RIVALS.keys())


def rounds(count: int, *, seconds: float = 0.04, spread: float = 0.02, seed: int = 1) -> list[float]:
    """Rounds of one session: a normal spread about `seconds`."""
    return [float(s) for s in seconds * np.random.default_rng(seed).normal(1.0, spread, count)]


def answers(base: Sequence[float], head: Sequence[float]) -> list[bool]:
    return [rule(base, head) for rule in RIVALS.values()]


def test_the_rules_in_table_order() -> None:
    assert list(RIVALS) == ["mean:5%", "min:5%", "median:5%", "Mann-Whitney .05", "Welch's t .05", "criterion"]


# What holds for all


@every_rule
def test_a_gross_slow_down_is_found_and_a_gross_speed_up_is_no_regression(rule: Rule) -> None:
    slow, fast = rounds(20, seconds=0.08), rounds(20, seed=2)
    assert rule(fast, slow)
    assert not rule(slow, fast)


@every_rule
@settings(max_examples=30)
@given(sample=ROUNDS)
def test_identical_samples_never_differ(rule: Rule, sample: list[float]) -> None:
    assert not rule(sample, sample)


@every_rule
@settings(max_examples=30)
@given(base=ROUNDS, head=ROUNDS)
def test_not_both_sides_can_have_regressed(rule: Rule, base: list[float], head: list[float]) -> None:
    assert not (rule(base, head) and rule(head, base))


@settings(max_examples=30)
@given(base=ROUNDS, head=ROUNDS, power=st.integers(-20, 20))
def test_the_unit_of_time_changes_nothing(base: list[float], head: list[float], power: int) -> None:
    """By powers of two, which round nothing."""
    scaled = [s * 2.0**power for s in base], [s * 2.0**power for s in head]
    assert answers(*scaled) == answers(base, head)


def test_arrays_are_sequences_too() -> None:
    base, head = np.array(rounds(20)), np.array(rounds(20, seconds=0.08))
    for rule in RIVALS.values():
        assert rule(base, head) is True  # type: ignore[arg-type]
        assert rule(head, base) is False  # type: ignore[arg-type]


@every_rule
@pytest.mark.parametrize("wrong", [math.nan, math.inf, 0.0, -0.1])
def test_rounds_that_are_no_times_are_refused(rule: Rule, wrong: float) -> None:
    with pytest.raises(ValueError, match=f"positive, finite seconds, got {wrong} in the base"):
        rule([0.1, wrong], [0.1])
    with pytest.raises(ValueError, match=f"positive, finite seconds, got {wrong} in the head"):
        rule([0.1], [0.1, wrong])


@every_rule
def test_a_side_without_rounds_is_refused(rule: Rule) -> None:
    with pytest.raises(ValueError, match="at least one round of the base"):
        rule([], [0.1])
    with pytest.raises(ValueError, match="at least one round of the head"):
        rule([0.1], [])


@pytest.mark.parametrize(
    ("base", "head", "expected"),
    [
        ([0.1], [0.2], [True, True, True, False, False, False]),  # one round has a size and no spread
        ([0.1], [0.2] * 20, [True, True, True, True, False, False]),  # ties: p by the normal limit
        ([0.1] * 3, [0.1] * 7, [False] * 6),
        ([0.1] * 3, [0.2] * 3, [True] * 6),
        ([0.1] * 9, [0.2] * 9, [True] * 6),
        ([0.2] * 9, [0.1] * 9, [False] * 6),
        ([0.1] * 9, [0.1001] * 9, [False, False, False, True, True, False]),  # significant, and negligible
    ],
)
def test_samples_without_a_spread(base: list[float], head: list[float], expected: list[bool]) -> None:
    assert answers(base, head) == expected


# pytest-benchmark


@pytest.mark.parametrize("name", [f"{field}:5%" for field in FIELDS])
@pytest.mark.parametrize(
    ("seconds", "regressed"),
    [(1.04, False), (1.05, False), (math.nextafter(1.05, 2), True), (1.06, True), (0.5, False)],
)
def test_five_per_cent_is_not_yet_too_much(name: str, seconds: float, regressed: bool) -> None:
    assert RIVALS[name]([1.0], [seconds]) is regressed


@pytest.mark.parametrize(
    ("head", "regressed"),
    [
        ((1.0, 2.0, 3.0), (False, False, False)),
        ((1.0, 2.0, 3.36), (True, False, False)),  # the mean 2 -> 2.12
        ((1.06, 2.0, 3.0), (False, True, False)),
        ((1.0, 2.11, 2.89), (False, False, True)),
        ((1.0, 2.0, 2.2, 3.0), (False, False, False)),  # medians of even counts lie between: 2 -> 2.1
        ((1.0, 2.0, 2.22, 3.0), (False, False, True)),
    ],
)
def test_each_field_sees_its_own_statistic(head: tuple[float, ...], regressed: tuple[bool, ...]) -> None:
    base = (1.0, 2.0, 3.0)
    assert tuple(RIVALS[f"{field}:5%"](base, head) for field in FIELDS) == regressed


@given(base=ROUNDS, head=ROUNDS, ratio=st.none() | st.floats(1.049, 1.051))
def test_pytest_benchmark_itself_agrees(base: list[float], head: list[float], ratio: float | None) -> None:
    """The option parsed, its check made and the statistics taken by pytest-benchmark's own code."""
    if ratio is not None:
        head = [seconds * ratio for seconds in base]
    old, new = Stats(), Stats()
    old.data, new.data = base, head
    for field in FIELDS:
        failure = parse_compare_fail(f"{field}:5%").fails(new.as_dict(), old.as_dict())
        assert RIVALS[f"{field}:5%"](base, head) is (failure is not None)


# Tests of significance


@pytest.mark.parametrize(
    ("base", "head", "regressed"),
    [
        ((1, 2, 3), (4, 5, 6), False),  # no overlap: p = 2 / C(6, 3) = .1
        ((1, 2, 3, 4), (5, 6, 7, 8), True),  # p = 2 / C(8, 4) = .029
        ((5, 6, 7, 8), (1, 2, 3, 4), False),
        ((1, 2, 3, 5), (4, 6, 7, 8), False),  # one pair out of order: p = 2 * 2 / 70 = .057
        ((1, 2, 3, 4, 6), (5, 7, 8, 9, 10), True),  # likewise of five: 2 * 2 / 252 = .016
    ],
)
def test_mann_whitney_by_counting(base: tuple[float, ...], head: tuple[float, ...], regressed: bool) -> None:
    assert mann_whitney(base, head) is regressed


@pytest.mark.parametrize(
    ("base", "head", "regressed"),
    [
        ((1, 2, 3), (4, 5, 6), True),  # t = 3 / sqrt(2 / 3) = 3.67, beyond t(.975, 4) = 2.78
        ((4, 5, 6), (1, 2, 3), False),
        ((1, 2, 3), (3, 4, 5), False),  # t = 2.45
        ((1, 1, 1), (2, 3, 4), False),  # t = 2 / sqrt(1 / 3) = 3.46, short of t(.975, 2) = 4.30
        ((1, 1, 1), (3, 4, 5), True),  # t = 3 / sqrt(1 / 3) = 5.20
    ],
)
def test_welch_by_hand(base: tuple[float, ...], head: tuple[float, ...], regressed: bool) -> None:
    assert welch(base, head) is regressed


def test_welch_is_scipys() -> None:
    seen = []
    for seed in range(40):
        base, head = rounds(5 + seed % 7, seed=seed), rounds(8, seconds=0.0408, spread=0.03, seed=seed + 100)
        test = stats.ttest_ind(head, base, equal_var=False)
        seen.append(welch(base, head))
        assert seen[-1] is bool(test.pvalue < 0.05 and test.statistic > 0)
    assert {True, False} == set(seen)


def test_welch_of_nearly_equal_rounds_loses_no_digits() -> None:
    """Where SciPy's own would warn of cancellation: spreads of a few units in the last place."""
    up = math.nextafter(0.1, 1)
    assert not welch([0.1] * 9 + [up], [up] + [0.1] * 9)
    assert welch([0.1] * 9 + [up], [up] * 10)


# criterion


def flat(count: int, seconds: float) -> list[float]:
    return [seconds] * count


@pytest.mark.parametrize(("seconds", "regressed"), [(1.009, False), (1.011, True), (0.9, False)])
def test_criterion_without_a_spread_asks_for_more_than_the_noise_threshold(
    seconds: float, regressed: bool
) -> None:
    """Every resample has the same mean, so the interval is the change itself."""
    assert criterion(flat(10, 1.0), flat(10, seconds)) is regressed


def test_criterion_asks_for_the_whole_interval_above_the_noise() -> None:
    """A mean of 20 varies by 2 % / sqrt(20) = 0.45 %, and a change of two such means by +-1.96 sqrt(2) 0.45 %."""
    base = [0.98, 1.02] * 10
    assert not criterion(base, [s * 1.02 for s in base])  # significant, at 2.0 % +-1.25 %
    assert criterion(base, [s * 1.025 for s in base])


def test_criterion_asks_for_significance_as_well() -> None:
    """Two rounds a side differ by 1.05 / 1.02 at least, wholly above 1 %; yet by chance four often do: p = .10."""
    assert not criterion([1.0, 1.02], [1.05, 1.07])
    assert criterion(
        [1.0] * 3, [1.5] * 3
    )  # resamples without a spread have no t, and do not count: p = 0, not .09
    assert criterion([1.0, 1.02] * 5, [1.05, 1.07] * 5)


def test_criterion_resamples_the_same_way_every_time() -> None:
    """Forty changes about the edge, some of which would fall otherwise by other resamples."""
    base = [0.98, 1.02] * 10
    heads = [[s * (1.0205 + step / 10_000) for s in base] for step in range(40)]
    first = [criterion(base, head) for head in heads]
    np.random.seed(5)
    assert [criterion(base, head) for head in heads] == first
    assert set(first) == {True, False}


def test_criterion_agrees_with_its_normal_limit() -> None:
    """With many rounds the interval of the change is about change +- 1.96 sqrt(s2 / n (1 + ratio^2))."""
    base = rounds(400, seconds=1.0, spread=0.05)
    for change in (0.012, 0.016, 0.018, 0.025):
        head = [s * (1 + change) for s in base]
        half = 1.96 * float(np.std(base, ddof=1) / np.mean(base)) / 20 * math.sqrt(2) * (1 + change)
        assert criterion(base, head) is (change - half > 0.01)


# Rates


@pytest.mark.parametrize(
    ("events", "trials", "low", "high"),
    [
        (0, 300, 0.0, 1 - 0.025 ** (1 / 300)),  # 1.222 %
        (300, 300, 0.025 ** (1 / 300), 1.0),
        (0, 1, 0.0, 0.975),
        (1, 1, 0.025, 1.0),
        (5, 10, 0.1871, 0.8129),
        (2, 20, 0.0123, 0.3170),
    ],
)
def test_exact_intervals(events: int, trials: int, low: float, high: float) -> None:
    found = rate_interval(events, trials)
    assert (found.point, found.confidence) == (events / trials, 0.95)
    assert found.low == pytest.approx(low, abs=5e-5)
    assert found.high == pytest.approx(high, abs=5e-5)


def test_no_alarm_in_three_hundred_is_at_most_1_222_per_cent() -> None:
    assert rate_interval(0, 300).high == pytest.approx(0.012221, abs=5e-7)


@given(trials=st.integers(1, 5000), share=st.floats(0, 1), confidence=st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_exact_bounds_have_their_tail_probabilities(trials: int, share: float, confidence: float) -> None:
    """What the bounds are by definition: where the seen, or more extreme, has half of the rest."""
    events = round(share * trials)
    found = rate_interval(events, trials, confidence)
    assert 0 <= found.low <= found.point <= found.high <= 1
    tail = pytest.approx((1 - confidence) / 2, rel=1e-4)
    if events > 0:
        assert stats.binom.sf(events - 1, trials, found.low) == tail
    if events < trials:
        assert stats.binom.cdf(events, trials, found.high) == tail


@pytest.mark.parametrize(("events", "trials"), [(0, 0), (-1, 10), (11, 10), (1, -1)])
def test_events_that_are_not_among_the_trials_are_refused(events: int, trials: int) -> None:
    with pytest.raises(ValueError, match=f"got {events} of {trials}"):
        rate_interval(events, trials)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, math.nan])
def test_a_confidence_is_a_fraction(confidence: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        rate_interval(1, 10, confidence)
