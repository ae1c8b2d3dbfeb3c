"""Which layers take the time, and how far is each from its own roof.

Layers are timed in turn with the same case without instruments. Sizes and optimisations are chosen with
--perf-layers-sizes and --perf-analysis-optimizations. One case in full: yolo-perf layers SIZE --backend NAME.
"""

from yolo_perf.plugin import MeasureLayers


def test_layers(size: str, optimization: str, measure_layers: MeasureLayers) -> None:
    """Every layer's seconds; the table shows which loses the most, `yolo-perf report` all of them."""
    measure_layers(size, optimization)
