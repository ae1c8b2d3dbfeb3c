"""The tables of throughput over batches and threads, and of memory."""

from collections.abc import Sequence

from yolo_perf import units
from yolo_perf.analysis.throughput import parallel_efficiency, saturation_batch
from yolo_perf.records import Memory, Timed
from yolo_perf.report.tables import columns, render, wrapped


def throughput(points: Sequence[Timed], *, width: int = 80, color: bool = False) -> str:
    """One row a point; the batch from which on throughput no longer grows is marked."""
    table = columns("throughput", ("threads", "batch", "ms/image", "images/s", "par. eff. %"), "")
    before = ""
    for point in points:
        case, efficiency = point.case, parallel_efficiency(points, point)
        table.add_row(
            case.label if case.label != before else "",
            str(case.threads),
            str(case.batch),
            units.milliseconds(point.latency_s),
            units.rate(point.images_per_s),
            "-" if efficiency is None else units.percent(efficiency),
            "saturates" if case.batch == saturation_batch(points, point) else "",
        )
        before = case.label
    note = "par. eff.: images/s over one thread's times the threads; saturates: within 5 % of the best batch."
    return f"{render(table, width=width, color=color)}\n{wrapped(note, width)}"


def memory(rows: Sequence[Memory], *, width: int = 80, color: bool = False) -> str:
    """One row a case, in MiB: what shapes ask for, and what a process of its own held above its base."""
    table = columns("memory, MiB", ("base", "loaded", "peak", "expected", "weights", "activations"))
    for row in rows:
        case = row.case
        name = f"{case.label} x{case.batch}" if case.batch > 1 else case.label
        figures = (
            row.base_bytes,
            row.loaded_bytes,
            row.peak_bytes,
            row.expected_bytes,
            row.weight_bytes,
            row.activation_bytes,
        )
        table.add_row(name, *(f"{figure / units.MEBI:.0f}" for figure in figures))
    note = "Loaded and peak: above the base, a process that has imported its engine; measured apart from timing."
    return f"{render(table, width=width, color=color)}\n{wrapped(note, width)}"
