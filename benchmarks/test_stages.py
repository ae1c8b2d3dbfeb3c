"""Where does a picture's time go, from its file to the boxes?

Sizes and optimisations are chosen with --perf-stages-sizes and --perf-analysis-optimizations.

A round is one picture, or one batch of them. Files are read through the operating system's cache, which is warm;
every picture is decoded anew, and its boxes come of the model's real output.
"""

from yolo_perf.plugin import MeasureStages


def test_stages(size: str, optimization: str, measure_stages: MeasureStages) -> None:
    """Seconds of a whole round; median, p90 and share of each stage are in `extra_info`."""
    measure_stages(size, optimization)
