"""Statistics of few, noisy numbers, pure: of paired differences, of a family of tests, of a short history.

`d` are differences of natural logarithms, ln(head) - ln(base), one for each pair of processes. What is said of
them rests on Wilcoxon's signed-rank test: no shape is assumed but that identical sides are as likely to differ
by x as by -x, and a few wild pairs do little harm. Where rounding, ties or too few pairs leave a choice, it
falls on the side of claiming less.

Everything here raises ValueError that names the argument for what is empty, not finite or out of range.
"""

import math
import statistics
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, stdtrit  # not scipy.stats, which takes a second to import

from yolo_perf.records import Interval

FloatArray = npt.NDArray[np.float64]
EXACT_PAIRS = 200
"""Up to so many pairs the signed-rank distribution is exact; beyond them normal, off by less than 0.0005 in p."""


def hodges_lehmann(d: Sequence[float]) -> float:
    """The centre of `d`, on its scale: the median of its n(n+1)/2 Walsh averages (Hodges and Lehmann 1963)."""
    return float(np.median(_walsh_averages(d)))


def signed_rank_interval(d: Sequence[float], confidence: float) -> Interval:
    """The centre of `d` between the bounds that Wilcoxon's signed-rank test does not reject, on the scale of `d`.

    Each bound alone is one-sided at (1 + confidence) / 2. That is a minimum: the test has few levels, and the
    next surer one is taken. With too few pairs for any (`pairs_needed`) the bounds are infinite. They are the
    t-th largest and the t-th smallest Walsh average, t the least rank sum with P(T >= t) <= (1 - confidence) / 2
    (Tukey 1949; Hollander and Wolfe, Nonparametric Statistical Methods, section 3.3).
    """
    _check_fraction("confidence", confidence)
    averages = np.sort(_walsh_averages(d))
    rejected_from = int(np.count_nonzero(_upper_tail(len(d)) > (1 - confidence) / 2))
    reached = rejected_from <= len(averages)
    return Interval(
        point=float(np.median(averages)),
        low=float(averages[-rejected_from]) if reached else -math.inf,
        high=float(averages[rejected_from - 1]) if reached else math.inf,
        confidence=confidence,
    )


def signed_rank_p(d: Sequence[float], above: float = 0.0) -> float:
    """One-sided p of "the centre of `d` is at most `above`" by Wilcoxon's signed-rank test: small is above.

    The statistic is the number of Walsh averages greater than `above`, which is the rank sum of the differences
    greater than it (Tukey 1949). One that equals `above` counts against: with ties or zeros p is the largest
    that any way of breaking them could give. So p <= alpha exactly where the lower bound of `signed_rank_interval`
    at confidence 1 - 2 * alpha is greater than `above`; a bound that lies on `above` does not reject.

    For "the centre is at least -m" negate: `signed_rank_p([-x for x in d], m)`.
    """
    if not math.isfinite(above):
        raise ValueError(f"above must be finite, got {above}")
    rank_sum = int(np.count_nonzero(_walsh_averages(d) > above))
    return float(_upper_tail(len(d))[rank_sum])


def smallest_p(n: int) -> float:
    """The least p that `signed_rank_p` of n pairs can reach: 2**-n, where every one of them is above."""
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    return 2.0**-n


def pairs_needed(alpha: float) -> int:
    """The fewest pairs with which p <= alpha can be reached at all."""
    _check_fraction("alpha", alpha)
    _, exponent = math.frexp(alpha)  # 2**(exponent - 1) <= alpha < 2**exponent, exactly
    return 1 - exponent


def holm(ps: Sequence[float]) -> tuple[float, ...]:
    """Adjusted p-values in the order given, at most 1: those <= alpha reject at a family-wise error of alpha.

    The k-th smallest of m is multiplied by m - k + 1, and is never below a smaller one's (Holm 1979). Of no
    p-values there are none adjusted.
    """
    for index, p in enumerate(ps):
        if not 0 <= p <= 1:
            raise ValueError(f"ps[{index}] must lie within 0 and 1, got {p}")
    adjusted = [0.0] * len(ps)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        highest = max(highest, min(1.0, (len(ps) - rank) * float(ps[index])))
        adjusted[index] = highest
    return tuple(adjusted)


def equivalent(d: Sequence[float], margin: float, confidence: float = 0.90) -> bool:
    """Whether the signed-rank interval lies wholly between -margin and margin, which are on the scale of `d`.

    At a confidence of 1 - 2 * alpha these are two one-sided tests at alpha (TOST, Schuirmann 1987). With too few
    pairs for a bound nothing is equivalent.
    """
    if not 0 < margin < math.inf:
        raise ValueError(f"margin must be finite and above 0, got {margin}")
    interval = signed_rank_interval(d, confidence)
    return -margin < interval.low and interval.high < margin


def shrunk_sd(sd: float, df: float, prior_sd: float, prior_df: float) -> float:
    """A standard deviation on the scale of both: sqrt((df sd^2 + prior_df prior_sd^2) / (df + prior_df)).

    The empirical-Bayes posterior variance of Smyth 2004 (limma): a prior worth `prior_df` degrees of freedom.
    With df = 0 it is `prior_sd`, whatever `sd` is.
    """
    named = {"sd": sd, "df": df, "prior_sd": prior_sd, "prior_df": prior_df}
    for name, value in named.items():
        if not 0 <= value < math.inf:
            raise ValueError(f"{name} must be finite and not negative, got {value}")
    total = df + prior_df
    if total == 0:
        raise ValueError("df and prior_df must not both be 0")
    return math.hypot(sd * math.sqrt(df / total), prior_sd * math.sqrt(prior_df / total))


def prediction_bounds(history: Sequence[float], *, prior_sd: float, prior_df: float, alpha: float) -> Interval:
    """Bounds for one new observation, given K >= 1 earlier ones; all logarithmic, as `prior_sd` is.

    Half width t(df, 1 - alpha) s sqrt(1 + 1/K) about the median of the history, with df = K - 1 + prior_df and
    s = `shrunk_sd`: the prediction interval of a normal sample, whose noise is partly known beforehand. Each bound
    alone is passed with probability alpha (< 0.5), so the interval's confidence is 1 - 2 * alpha. The median for
    the mean shrugs off one odd session, at a small cost: it wanders more, so from three sessions on a bound of
    5 % is passed in up to 5.7 %, and one of 1 % in up to 1.3 % (simulated, normal noise).
    """
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha must lie between 0 and 0.5, got {alpha}")
    if not prior_df > 0:
        raise ValueError(f"prior_df must be above 0, got {prior_df}")
    values = _numbers("history", history).tolist()
    count = len(values)
    sample_sd = statistics.stdev(values) if count > 1 else 0.0
    spread = shrunk_sd(sample_sd, count - 1, prior_sd, prior_df) * math.sqrt(1 + 1 / count)
    half_width = -float(stdtrit(count - 1 + prior_df, alpha)) * spread
    middle = statistics.median(values)
    return Interval(point=middle, low=middle - half_width, high=middle + half_width, confidence=1 - 2 * alpha)


def _walsh_averages(d: Sequence[float]) -> FloatArray:
    """(d[i] + d[j]) / 2 for every i <= j, unsorted, shape (n(n+1)/2,).

    Rounding is monotone: it may make two averages equal, or one equal to a bound, but never swaps them.
    """
    values = _numbers("d", d)
    first, second = _pairs(len(values))
    averages: FloatArray = (values[first] + values[second]) / 2
    return averages


@lru_cache(maxsize=32)
def _pairs(n: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Indices of every i <= j below n."""
    first, second = np.triu_indices(n)
    return first, second


@lru_cache(maxsize=32)
def _upper_tail(n: int) -> FloatArray:
    """P(T >= t) for t = 0 .. n(n+1)/2 under the null, T the sum of those ranks 1 .. n whose coin shows heads.

    Read-only, shape (n(n+1)/2 + 1,). Up to n = 53 every value is exact: none of the sums needs more bits.
    """
    top = n * (n + 1) // 2
    if n > EXACT_PAIRS:
        sd = math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
        tail: FloatArray = ndtr((top / 2 + 0.5 - np.arange(top + 1)) / sd)
    else:
        mass = np.zeros(top + 1)
        mass[0] = 1.0
        for rank in range(1, n + 1):
            with_rank = np.zeros_like(mass)
            with_rank[rank:] = mass[:-rank]
            mass = (mass + with_rank) / 2
        tail = np.minimum(np.cumsum(mass[::-1])[::-1], 1.0)
    tail.setflags(write=False)
    return tail


def _numbers(name: str, values: Sequence[float]) -> FloatArray:
    """The values, shape (n,), n >= 1. ValueError where there are none, or one is not finite."""
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or not numbers.size:
        raise ValueError(f"{name} must be a row of at least one number, got shape {numbers.shape}")
    odd = np.flatnonzero(~np.isfinite(numbers))
    if odd.size:
        raise ValueError(f"{name}[{odd[0]}] must be finite, got {numbers[odd[0]]}")
    return numbers


def _check_fraction(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie between 0 and 1, got {value}")
