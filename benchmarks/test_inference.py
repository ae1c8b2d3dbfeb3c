"""How fast is an inference: every model size under every optimisation.

Sizes and optimisations are chosen with --perf-sizes and --perf-optimizations.
"""

from yolo_perf.plugin import MeasureInference


def test_inference(size: str, optimization: str, measure_inference: MeasureInference) -> None:
    """Latency per image of one size under one optimisation; it fails where the output is not eager's."""
    measure_inference(size, optimization)
