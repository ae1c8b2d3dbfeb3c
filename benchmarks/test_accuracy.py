"""What does each optimisation still detect: average precision against labels, agreement with eager without them.

Nothing is timed, and what was judged once is read from the cache. Sizes: --perf-accuracy-sizes.
"""

from yolo_perf.plugin import MeasureAccuracy


def test_accuracy(size: str, optimization: str, measure_accuracy: MeasureAccuracy) -> None:
    """Judged here; the gate decides whether an optimisation lost more than it may."""
    measure_accuracy(size, optimization)
