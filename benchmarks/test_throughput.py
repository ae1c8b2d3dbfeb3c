"""How many images a second, over batches and threads; what do more threads bring; where does it saturate.

Chosen with --perf-throughput-sizes, --perf-analysis-optimizations, --perf-batches and --perf-thread-counts.
"""

from yolo_perf.plugin import MeasureThroughput


def test_throughput(
    size: str, optimization: str, threads: int, batch: int, measure_throughput: MeasureThroughput
) -> None:
    """Images a second of one batch on one number of threads."""
    measure_throughput(size, optimization, batch, threads)
