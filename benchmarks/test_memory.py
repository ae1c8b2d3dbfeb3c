"""How much memory does a case hold above its process's base; measured apart from any timing.

Sizes and optimisations are chosen with --perf-memory-sizes and --perf-analysis-optimizations.
"""

from yolo_perf.plugin import MeasureMemory


def test_memory(size: str, optimization: str, measure_memory: MeasureMemory) -> None:
    """Resident bytes at most while inferring, beside weights and activations as expected."""
    found = measure_memory(size, optimization)
    assert found.peak_bytes > found.weight_bytes
