"""The figures of a measurement, by name, in SI units: what pytest-benchmark's `extra_info` holds."""

from collections.abc import Iterable

from yolo_perf.analysis.conditions import other_work_share, page_faults_per_image, switches_per_round
from yolo_perf.analysis.roofline import attainable_flops_per_s, bound
from yolo_perf.records import Measurement, Peaks


def fastest_of_sizes(measurements: Iterable[Measurement]) -> dict[str, Measurement]:
    """The measurement with the least latency an image of each size, sizes in the order in which they come."""
    found: dict[str, Measurement] = {}
    for each in measurements:
        best = found.get(each.case.size)
        if best is None or each.latency_s < best.latency_s:
            found[each.case.size] = each
    return found


def figures(measurement: Measurement, peaks: Peaks) -> dict[str, object]:
    """Flat figures of one case; latency is per image, seconds; rates per second; shares as fractions."""
    case, work, weights = measurement.case, measurement.work, measurement.weights
    return {
        "latency_s": measurement.latency_s,
        "images_per_s": measurement.images_per_s,
        "achieved_flops_per_s": measurement.achieved_flops_per_s,
        "attainable_flops_per_s": attainable_flops_per_s(work, peaks, case.dtype),
        "utilization": utilization(measurement, peaks),
        "bound": bound(work, peaks, case.dtype),
        "macs": work.macs,
        "flops": work.flops,
        "weight_bytes": work.weight_bytes,
        "compulsory_bytes": work.compulsory_bytes,
        "operational_intensity": work.operational_intensity,
        "parameters": weights.parameters,
        "weights": weights.source,
        "parity_sqnr_db": measurement.parity.sqnr_db,
        "parity_box_agreement": measurement.parity.box_agreement,
        "threads": case.threads,
        "batch": case.batch,
        "image_size": case.image_size,
        "dtype": case.dtype,
        "allocator": measurement.allocator,
        "page_faults_per_image": page_faults_per_image(measurement),
        "involuntary_switches_per_round": switches_per_round(measurement),
        "other_work_share": other_work_share(measurement),
    }


def utilization(measurement: Measurement, peaks: Peaks, latency_s: float | None = None) -> float:
    """Achieved FLOP/s over the measured peak of the case's dtype, at `latency_s` or the median latency.

    Above 1 it is not clipped: the roof was then measured in a worse moment than the case.
    """
    latency = measurement.latency_s if latency_s is None else latency_s
    return measurement.work.flops / latency / peaks.flops_per_s[measurement.case.dtype]
