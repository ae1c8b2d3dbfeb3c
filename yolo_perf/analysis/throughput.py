"""Images a second over batches and threads: what more threads bring, and from where on a batch brings no more."""

from collections.abc import Sequence

from yolo_perf.records import Timed

SATURATED = 0.95
"""A batch that reaches this part of the best throughput is as good as the best."""


def parallel_efficiency(points: Sequence[Timed], point: Timed) -> float | None:
    """Throughput over that of one thread times the threads, at the same batch; None without such a point."""
    case = point.case
    for other in points:
        if _series(other)[:2] == _series(point)[:2] and other.case.threads == 1 and other.case.batch == case.batch:
            return point.images_per_s / (other.images_per_s * case.threads)
    return None


def saturation_batch(points: Sequence[Timed], point: Timed) -> int:
    """The smallest batch of the point's size, backend and threads within 5 % of their best throughput."""
    series = [other for other in points if _series(other) == _series(point)]
    best = max(other.images_per_s for other in series)
    return min(other.case.batch for other in series if other.images_per_s >= SATURATED * best)


def _series(point: Timed) -> tuple[str, str, int]:
    return point.case.size, point.case.backend, point.case.threads
