"""The roofline: which roof a piece of work meets first, and what may be reached below it."""

from collections.abc import Callable

from yolo_perf.records import Bound, Case, Dtype, Peaks, Work

Works = Callable[[Case, int], tuple[Work, ...]]
"""The work an image of each layer of a case with so many classes; () for a model whose layers are not known."""


def bound(work: Work, peaks: Peaks, dtype: Dtype = "fp32") -> Bound:
    """Which roof is met first: below the ridge point memory, at or above it compute."""
    return "compute" if work.operational_intensity >= peaks.ridge_point(dtype) else "memory"


def attainable_flops_per_s(work: Work, peaks: Peaks, dtype: Dtype = "fp32") -> float:
    """min(peak FLOP/s, operational intensity x peak bytes/s) (Williams, Waterman, Patterson 2009)."""
    return min(peaks.flops_per_s[dtype], work.operational_intensity * peaks.bytes_per_s)


def roof_seconds(work: Work, peaks: Peaks, dtype: Dtype = "fp32") -> float:
    """The least time this work can take under the roofs: max(FLOP / peak FLOP/s, bytes / peak bytes/s)."""
    return max(work.flops / peaks.flops_per_s[dtype], work.compulsory_bytes / peaks.bytes_per_s)
