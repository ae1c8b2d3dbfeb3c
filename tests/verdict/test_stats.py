import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from yolo_perf.records import Interval
from yolo_perf.verdict.stats import (
    EXACT_PAIRS,
    equivalent,
    hodges_lehmann,
    holm,
    pairs_needed,
    prediction_bounds,
    shrunk_sd,
    signed_rank_interval,
    signed_rank_p,
    smallest_p,
)

BEFORE = (1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30)
AFTER = (0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29)
DEPRESSION = tuple(after - before for before, after in zip(BEFORE, AFTER, strict=True))
"""Hamilton scale of nine patients: Hollander and Wolfe, Nonparametric Statistical Methods, example 3.1."""
SLEEP = (1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4)
"""Extra hours of sleep, Student 1908: a tie and a zero."""

GRID = 2**20
"""Multiples of 2**-20 up to 10: their sums, halves and shifts are exact, so no property fails by rounding."""


def on_grid(steps: list[int]) -> tuple[float, ...]:
    return tuple(step / GRID for step in steps)


fine = st.integers(-10 * GRID, 10 * GRID)
coarse = st.integers(-3, 3).map(lambda step: step * GRID)  # full of ties and zeros
samples = st.one_of(st.lists(fine, min_size=1, max_size=12), st.lists(coarse, min_size=1, max_size=12)).map(
    on_grid
)
places = st.one_of(fine, coarse, coarse.map(lambda step: step // 2)).map(lambda step: step / GRID)
confidences = st.floats(0.01, 0.999)
powers_of_two = st.integers(-6, 6).map(lambda exponent: 2.0**exponent)
fractions = st.floats(1e-6, 1.0)


def shift(d: Sequence[float], by: float) -> tuple[float, ...]:
    return tuple(x + by for x in d)


def negated(d: Sequence[float]) -> tuple[float, ...]:
    return tuple(-x for x in d)


def bounds(interval: Interval) -> tuple[float, float, float]:
    return interval.low, interval.point, interval.high


def sign_vectors(n: int) -> Iterator[tuple[int, ...]]:
    return itertools.product((-1, 1), repeat=n)


def rank_sum(d: Sequence[float]) -> int:
    """By its definition: magnitudes ranked, those of positive differences added. No ties."""
    return sum(rank for rank, x in enumerate(sorted(d, key=abs), 1) if x > 0)


def null_tail(n: int, least: int) -> Fraction:
    """P(T >= least), by counting sign vectors."""
    return Fraction(
        sum(rank_sum([s * r for r, s in enumerate(signs, 1)]) >= least for signs in sign_vectors(n)), 2**n
    )


# Known answers


def test_the_centre_and_the_interval_of_the_depression_scale() -> None:
    """As published: -0.46, and (-0.786, -0.010) at 96.1 %, which is 1 - 2 * 10/512."""
    assert hodges_lehmann(DEPRESSION) == pytest.approx(-0.46)
    interval = signed_rank_interval(DEPRESSION, 1 - 2 * 10 / 512)
    assert bounds(interval) == pytest.approx((-0.786, -0.46, -0.010))
    assert interval.confidence == 1 - 2 * 10 / 512


def test_the_next_surer_level_is_taken_where_the_asked_one_does_not_exist() -> None:
    """97.3 %, of 7/512 in each tail, comes after 96.1 %."""
    assert bounds(signed_rank_interval(DEPRESSION, 0.961)) == pytest.approx((-0.806, -0.46, 0.035))
    assert bounds(signed_rank_interval(DEPRESSION, 0.95)) == pytest.approx((-0.786, -0.46, -0.010))


def test_the_p_of_the_depression_scale() -> None:
    """As published: a rank sum of 40, P = 0.020."""
    assert signed_rank_p(negated(DEPRESSION)) == 10 / 512
    assert signed_rank_p(DEPRESSION) == float(null_tail(9, 5))


@pytest.mark.parametrize(
    ("n", "critical"),
    [(6, 0), (7, 2), (8, 3), (9, 5), (10, 8), (12, 13), (15, 25), (16, 29), (20, 52), (25, 89)],
)
def test_the_tables_of_critical_values(n: int, critical: int) -> None:
    """Two-sided 5 %: a rank sum up to the table's value rejects, so the bounds are the next Walsh averages."""
    d = [2.0**exponent for exponent in range(n)]
    averages = sorted((a + b) / 2 for a, b in itertools.combinations_with_replacement(d, 2))
    interval = signed_rank_interval(d, 0.95)
    assert (interval.low, interval.high) == (averages[critical], averages[-critical - 1])


def test_a_zero_and_a_tie_count_against() -> None:
    """Nine positive differences and a zero: the zero takes the lowest rank, as if it were negative."""
    assert signed_rank_p(SLEEP) == float(null_tail(10, 54)) == 2 / 2**10
    assert hodges_lehmann(SLEEP) == pytest.approx(1.3)


@pytest.mark.parametrize(
    ("ps", "adjusted"),
    [
        ((0.01, 0.02, 0.03, 0.04, 0.05), (0.05, 0.08, 0.09, 0.09, 0.09)),
        ((0.04, 0.001, 0.03), (0.06, 0.003, 0.06)),
        ((0.5, 0.9), (1.0, 1.0)),
        ((0.2,), (0.2,)),
        ((), ()),
    ],
)
def test_holm(ps: tuple[float, ...], adjusted: tuple[float, ...]) -> None:
    assert holm(ps) == pytest.approx(adjusted)


def test_a_standard_deviation_is_shrunk_by_degrees_of_freedom() -> None:
    assert shrunk_sd(2.0, 3, 1.0, 6) == pytest.approx(math.sqrt(2))
    assert shrunk_sd(0.5, 0, 0.03, 7.5) == 0.03
    assert shrunk_sd(0.03, 4, 0.5, 0) == 0.03


def test_bounds_after_one_session_are_those_of_the_prior() -> None:
    """t(4, 0.975) = 2.776 from the tables; the difference of two sessions has twice the variance of one."""
    found = prediction_bounds([-3.0], prior_sd=0.1, prior_df=4, alpha=0.025)
    half = 2.776445 * 0.1 * math.sqrt(2)
    assert bounds(found) == pytest.approx((-3 - half, -3.0, -3 + half))
    assert found.confidence == 0.95


def test_bounds_after_three_sessions() -> None:
    """s^2 = (2 * 1 + 2 * 4) / 4, t(4, 0.95) = 2.131847 from the tables, centre the median."""
    found = prediction_bounds([3.0, 1.0, 2.0], prior_sd=2.0, prior_df=2, alpha=0.05)
    half = 2.131847 * math.sqrt(2.5) * math.sqrt(4 / 3)
    assert bounds(found) == pytest.approx((2 - half, 2.0, 2 + half))


@pytest.mark.parametrize("alpha", [0.2, 0.05, 1e-3, 1e-9])
@pytest.mark.parametrize("prior_df", [0.5, 3.0, 40.0])
def test_the_quantile_is_students(alpha: float, prior_df: float) -> None:
    found = prediction_bounds([0.0], prior_sd=math.sqrt(0.5), prior_df=prior_df, alpha=alpha)
    assert found.high == pytest.approx(float(scipy_stats.t.isf(alpha, prior_df)), rel=1e-9)


# The null distribution


@pytest.mark.parametrize("n", range(1, 6))
def test_p_is_the_share_of_sign_vectors(n: int) -> None:
    magnitudes = (0.3, 0.01, 2.5, 0.75, 0.02)[:n]
    for signs in sign_vectors(n):
        d = [s * m for s, m in zip(signs, magnitudes, strict=True)]
        assert signed_rank_p(d) == float(null_tail(n, rank_sum(d)))


@pytest.mark.parametrize(
    "magnitudes", [(1, 1, 1, 1), (1, 1, 2, 2, 3), (0, 1, 1, 2, 4), (0, 0, 1), (1, 2, 2, 2, 5, 5)]
)
def test_with_ties_and_zeros_false_alarms_stay_below_every_level(magnitudes: tuple[int, ...]) -> None:
    """Under the null every sign vector of the same magnitudes is as likely."""
    n = len(magnitudes)
    ps = [signed_rank_p([s * m for s, m in zip(signs, magnitudes, strict=True)]) for signs in sign_vectors(n)]
    for alpha in set(ps):
        assert sum(p <= alpha for p in ps) <= alpha * len(ps)


@given(
    st.lists(st.integers(-4, 4), min_size=1, max_size=10).flatmap(
        lambda steps: st.tuples(
            st.just(steps), st.lists(st.floats(-0.249, 0.249), min_size=len(steps), max_size=len(steps))
        )
    )
)
def test_no_way_of_breaking_ties_gives_a_larger_p(tied: tuple[list[int], list[float]]) -> None:
    d, nudges = tied
    assert signed_rank_p(d) >= signed_rank_p([x + by for x, by in zip(d, nudges, strict=True)])


@pytest.mark.parametrize("n", [53, 120, EXACT_PAIRS])
def test_the_distribution_of_many_pairs_is_exact(n: int) -> None:
    """Against whole numbers of sign vectors, in the far tail, at the usual levels and in the middle."""
    counts = [1]
    for rank in range(1, n + 1):
        longer = counts + [0] * rank
        counts = [a + b for a, b in zip(longer, [0] * rank + counts, strict=True)]
    ranks = np.arange(1.0, n + 1)
    for positives in (n, n - 1, 7 * n // 10, n // 2):
        d = np.where(ranks <= positives, ranks, -ranks).tolist()
        exact = float(Fraction(sum(counts[rank_sum(d) :]), 2**n))
        assert signed_rank_p(d) == pytest.approx(exact, rel=0 if n == 53 else 1e-11, abs=0)


@pytest.mark.parametrize("n", [1, 2, 8, 16, 50, EXACT_PAIRS])
@pytest.mark.parametrize("centre", [-0.3, 0.0, 0.2])
def test_p_is_scipys(n: int, centre: float) -> None:
    d = np.random.default_rng(n).standard_t(3, n) + centre
    expected = scipy_stats.wilcoxon(d - 0.1, alternative="greater", method="exact").pvalue
    assert signed_rank_p(d.tolist(), above=0.1) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("centre", [-0.1, 0.0, 0.1])
def test_beyond_the_exact_range_p_is_nearly_exact(centre: float) -> None:
    d = np.random.default_rng(1).normal(centre, 1, EXACT_PAIRS + 1)
    expected = scipy_stats.wilcoxon(d, alternative="greater", method="exact").pvalue
    assert signed_rank_p(d.tolist()) == pytest.approx(expected, abs=5e-4)


# What few pairs can show


@pytest.mark.parametrize("n", [1, 2, 5, 16, 60, EXACT_PAIRS])
def test_the_smallest_p_is_that_of_pairs_all_above(n: int) -> None:
    assert signed_rank_p([1.0 + index for index in range(n)]) == smallest_p(n) == 2.0**-n


@pytest.mark.parametrize(
    ("alpha", "pairs"),
    [(0.9, 1), (0.5, 1), (0.49, 2), (0.25, 2), (0.10, 4), (0.05, 5), (0.025, 6), (0.02, 6), (0.01, 7), (1e-3, 10)],
)
def test_pairs_needed(alpha: float, pairs: int) -> None:
    assert pairs_needed(alpha) == pairs


@given(st.floats(1e-300, 1, exclude_max=True))
def test_with_fewer_pairs_no_p_is_small_enough(alpha: float) -> None:
    n = pairs_needed(alpha)
    assert smallest_p(n) <= alpha
    assert n == 1 or smallest_p(n - 1) > alpha


def test_one_pair_bounds_nothing() -> None:
    assert bounds(signed_rank_interval([0.3], 0.5)) == (-math.inf, 0.3, math.inf)
    assert signed_rank_p([0.3]) == 0.5
    assert signed_rank_p([0.3], above=0.3) == 1.0
    assert not equivalent([0.0], 10.0)


def test_two_pairs_bound_at_one_half_each_other() -> None:
    """1/4 in each tail is the surest that two pairs can be: then the bounds are the pairs themselves."""
    assert bounds(signed_rank_interval([1.0, 2.0], 0.5)) == (1.0, 1.5, 2.0)
    assert bounds(signed_rank_interval([1.0, 2.0], 0.51)) == (-math.inf, 1.5, math.inf)


@given(samples, confidences)
def test_bounds_are_infinite_exactly_where_pairs_are_too_few(d: tuple[float, ...], confidence: float) -> None:
    interval = signed_rank_interval(d, confidence)
    enough = len(d) >= pairs_needed((1 - confidence) / 2)
    assert math.isfinite(interval.low) == math.isfinite(interval.high) == enough


# Refusals


def history_bounds(history: Sequence[float]) -> Interval:
    return prediction_bounds(history, prior_sd=0.1, prior_df=3, alpha=0.05)


def interval_90(d: Sequence[float]) -> Interval:
    return signed_rank_interval(d, 0.90)


def equivalent_at_one(d: Sequence[float]) -> bool:
    return equivalent(d, 1.0)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (hodges_lehmann, "d"),
        (interval_90, "d"),
        (signed_rank_p, "d"),
        (equivalent_at_one, "d"),
        (history_bounds, "history"),
    ],
)
def test_what_is_not_a_row_of_finite_numbers_is_refused(
    call: Callable[[Sequence[float]], object], name: str
) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must be a row of at least one number"):
        call([])
    for odd in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match=rf"^{name}\[1\] must be finite, got {odd}"):
            call([0.1, odd, 0.2])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: signed_rank_interval([0.1], 0.0), "confidence must lie between 0 and 1, got 0.0"),
        (lambda: signed_rank_interval([0.1], 1.0), "confidence must lie between 0 and 1, got 1.0"),
        (lambda: signed_rank_interval([0.1], math.nan), "confidence must lie between 0 and 1, got nan"),
        (lambda: equivalent([0.1], 1.0, 95), "confidence must lie between 0 and 1, got 95"),
        (lambda: equivalent([0.1], 0.0), "margin must be finite and above 0, got 0.0"),
        (lambda: equivalent([0.1], math.nan), "margin must be finite and above 0, got nan"),
        (lambda: equivalent([0.1], math.inf), "margin must be finite and above 0, got inf"),
        (lambda: signed_rank_p([0.1], math.nan), "above must be finite, got nan"),
        (lambda: smallest_p(0), "n must be at least 1, got 0"),
        (lambda: pairs_needed(0.0), "alpha must lie between 0 and 1, got 0.0"),
        (lambda: pairs_needed(1.0), "alpha must lie between 0 and 1, got 1.0"),
        (lambda: holm([0.1, math.nan]), r"ps\[1\] must lie within 0 and 1, got nan"),
        (lambda: holm([-0.1]), r"ps\[0\] must lie within 0 and 1, got -0.1"),
        (lambda: holm([1.1]), r"ps\[0\] must lie within 0 and 1, got 1.1"),
        (lambda: shrunk_sd(-0.1, 1, 0.1, 1), "sd must be finite and not negative, got -0.1"),
        (lambda: shrunk_sd(0.1, -1, 0.1, 1), "df must be finite and not negative, got -1"),
        (lambda: shrunk_sd(0.1, 1, math.nan, 1), "prior_sd must be finite and not negative, got nan"),
        (lambda: shrunk_sd(0.1, 1, 0.1, math.inf), "prior_df must be finite and not negative, got inf"),
        (lambda: shrunk_sd(0.1, 0, 0.1, 0), "df and prior_df must not both be 0"),
        (lambda: prediction_bounds([0.1], prior_sd=-1, prior_df=3, alpha=0.1), "prior_sd must be finite and not"),
        (lambda: prediction_bounds([0.1], prior_sd=1, prior_df=0, alpha=0.1), "prior_df must be above 0, got 0"),
        (lambda: prediction_bounds([0.1], prior_sd=1, prior_df=3, alpha=0.5), "alpha must lie between 0 and 0.5"),
        (lambda: prediction_bounds([0.1], prior_sd=1, prior_df=3, alpha=math.nan), "alpha must lie between 0 and"),
    ],
)
def test_bad_input_is_refused_by_name(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        call()
