"""The rules by which other tools call a benchmark regressed, to be scored on the rounds that our own gate judges.

Each takes the rounds of one base and of one head session, the way its users run it: a block of the one, then a
block of the other. All but pytest-benchmark's take rounds for independent observations, which those of one process
are not.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from yolo_perf.records import Interval

Rule = Callable[[Sequence[float], Sequence[float]], bool]
"""Base rounds and head rounds, in seconds -> whether the rule would fail the comparison. A speed-up never fails.

Raises ValueError where a side has no rounds, or one that is not a positive, finite number of seconds.
"""

COMPARE_FAIL_PERCENT = 5
SIGNIFICANCE = 0.05
NOISE_THRESHOLD = 0.01  # criterion's default
CONFIDENCE = 0.95  # criterion's default
RESAMPLES = 2_000
_SEED = 0


def compare_fail(statistic: Callable[[Sequence[float]], float]) -> Rule:
    """Whether the statistic grew by more than 5 %: pytest-benchmark's `--benchmark-compare-fail=FIELD:5%`.

    Strictly more, and in its order of operations, so that it agrees at the edge to the last bit. Source:
    `PercentageRegressionCheck` in utils.py of pytest-benchmark 5.3.1, over `Stats` in its stats.py, whose min,
    mean and median are those of Python and its statistics module.
    """

    def rule(base: Sequence[float], head: Sequence[float]) -> bool:
        _check(base, head)
        return bool(statistic(head) / statistic(base) * 100 - 100 > COMPARE_FAIL_PERCENT)

    return rule


def mann_whitney(base: Sequence[float], head: Sequence[float]) -> bool:
    """Whether a two-sided Mann-Whitney U test of the rounds has p < .05 and the head's median is above the base's.

    Pooling rounds is wrong: those of one process share its memory layout, its place on the cores and its
    neighbours' load, so a thousand of them are one observation of all that. The test believes in a thousand, and
    the more rounds there are, the surer it finds a difference between two processes of the same code
    (Kalibera & Jones 2013: repeat at the level that varies).

    The p is SciPy's by default: exact where a side has at most eight rounds and none tie, so that three against
    three never fail; else from the normal limit, corrected for ties. Rounds that are all equal never fail.
    """
    _check(base, head)
    if statistics.median(head) <= statistics.median(base):
        return False
    return bool(stats.mannwhitneyu(head, base, alternative="two-sided").pvalue < SIGNIFICANCE)


def welch(base: Sequence[float], head: Sequence[float]) -> bool:
    """Whether a two-sided Welch's t test of the rounds has p < .05 and the head's mean is above the base's.

    It is `scipy.stats.ttest_ind(equal_var=False)`, from means and deviations of exact sums, so that rounds that
    are nearly all equal lose no digits. Where neither side varies, any difference is significant; a side of one
    round has no variance and no test, and never fails. Rounds are pooled, as wrongly as in `mann_whitney`.
    """
    _check(base, head)
    base_mean, head_mean = statistics.mean(base), statistics.mean(head)
    if head_mean <= base_mean or min(len(base), len(head)) < 2:
        return False
    base_deviation, head_deviation = statistics.stdev(base), statistics.stdev(head)
    if base_deviation == head_deviation == 0:
        return True
    test = stats.ttest_ind_from_stats(
        head_mean, head_deviation, len(head), base_mean, base_deviation, len(base), equal_var=False
    )
    return bool(test.pvalue < SIGNIFICANCE)


def criterion(base: Sequence[float], head: Sequence[float]) -> bool:
    """Whether criterion.rs says "Performance has regressed", by its default settings.

    That is where a two-sided t test by bootstrap of the pooled rounds has p < .05, and the 95 % percentile
    interval of mean(head) / mean(base) - 1 lies wholly above the noise threshold of 1 %. Source, in criterion.rs
    0.5: `t_test` and `estimates` in src/analysis/compare.rs, `compare_to_threshold` in src/report.rs, `p_value`
    and `confidence_interval` in src/stats/mod.rs.

    Two things differ. There are 2 000 resamples from a fixed seed, not 100 000. And each change is that of a fresh
    resample of either side, where criterion sets one of the head's against 317 of the base's: the distribution
    is the same. A side of one round never fails: criterion refuses it. Rounds are taken for independent, as
    wrongly as in `mann_whitney`.
    """
    _check(base, head)
    if min(len(base), len(head)) < 2:
        return False
    generator = np.random.default_rng(_SEED)
    bases, heads = np.asarray(base, np.float64), np.asarray(head, np.float64)
    changes = _resampled(heads, generator).mean(axis=1) / _resampled(bases, generator).mean(axis=1) - 1
    if np.quantile(changes, (1 - CONFIDENCE) / 2) <= NOISE_THRESHOLD:  # the upper bound is never below the lower
        return False
    pooled = _resampled(np.concatenate((heads, bases)), generator)
    nulls = _welch_t(pooled[:, : len(heads)], pooled[:, len(heads) :])
    nulls = nulls[np.isfinite(nulls)]  # some always are: rounds that were all equal have returned above
    below = int(np.count_nonzero(nulls < _welch_t(heads, bases)))
    return 2 * min(below, len(nulls) - below) / len(nulls) < SIGNIFICANCE


RIVALS: Mapping[str, Rule] = MappingProxyType(
    {
        "mean:5%": compare_fail(statistics.mean),
        "min:5%": compare_fail(min),
        "median:5%": compare_fail(statistics.median),
        "Mann-Whitney .05": mann_whitney,
        "Welch's t .05": welch,
        "criterion": criterion,
    }
)
"""The rules by name, in the order of the table that shows them."""


def rate_interval(events: int, trials: int, confidence: float = 0.95) -> Interval:
    """The rate events / trials with its exact two-sided interval (Clopper & Pearson 1934), as fractions.

    Raises ValueError where the events are not among the trials, or there is no trial.
    """
    if trials < 1 or not 0 <= events <= trials:
        raise ValueError(f"need at least one trial, and events from 0 to all of them, got {events} of {trials}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    bounds = stats.binomtest(events, trials).proportion_ci(confidence, method="exact")
    return Interval(point=events / trials, low=float(bounds.low), high=float(bounds.high), confidence=confidence)


def _check(base: Sequence[float], head: Sequence[float]) -> None:
    for side, rounds in (("base", base), ("head", head)):
        if len(rounds) == 0:
            raise ValueError(f"need at least one round of the {side}, got none")
        wrong = next((seconds for seconds in rounds if not 0 < seconds < math.inf), None)
        if wrong is not None:
            raise ValueError(f"rounds must be positive, finite seconds, got {wrong} in the {side}")


def _resampled(rounds: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.float64]:
    """(RESAMPLES, rounds): each row as many rounds as there are, drawn with replacement."""
    return generator.choice(rounds, (RESAMPLES, len(rounds)))


def _welch_t(heads: NDArray[np.float64], bases: NDArray[np.float64]) -> NDArray[np.float64]:
    """Welch's t statistic over the last axis. Infinite or NaN where neither side varies."""
    variance = heads.var(axis=-1, ddof=1) / heads.shape[-1] + bases.var(axis=-1, ddof=1) / bases.shape[-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        t: NDArray[np.float64] = (heads.mean(axis=-1) - bases.mean(axis=-1)) / np.sqrt(variance)
    return t
