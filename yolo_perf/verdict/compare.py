"""Machines side by side: saved runs and published references in one form. Informs; decides nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from yolo_perf.analysis.figures import utilization
from yolo_perf.machine.identity import describe
from yolo_perf.records import Measurement, Reference, Run
from yolo_perf.yolov5.sizes import SIZES

BEST = "best"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One case on one machine."""

    latency_s: float
    images_per_s: float
    utilization: float
    of: str = ""  # which optimisation a best one is


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One machine."""

    name: str
    published: bool
    flops_per_s: float  # fp32
    bytes_per_s: float
    method: str
    cells: dict[tuple[str, str], Cell]  # (size, optimisation)
    notes: tuple[str, ...] = ()


def column(saved: Run | Reference) -> Column:
    """A run or a reference as a column. A run's fastest optimisation of each size stands under "best" too."""
    if isinstance(saved, Reference):
        return Column(
            name=saved.name,
            published=True,
            flops_per_s=saved.flops_per_s,
            bytes_per_s=saved.bytes_per_s,
            method=saved.peaks_method,
            cells={
                (result.size, result.optimization): Cell(
                    latency_s=result.latency_s, images_per_s=result.images_per_s, utilization=result.utilization
                )
                for result in saved.results
            },
            notes=(f"Source: {saved.source}.", *saved.notes),
        )
    cells = {(m.case.size, m.case.backend): _cell(m, saved) for m in saved.measurements}
    for size in dict.fromkeys(size for size, _ in cells):
        fastest = min((m for m in saved.measurements if m.case.size == size), key=lambda m: m.latency_s)
        cells[size, BEST] = _cell(fastest, saved, of=fastest.case.backend)
    return Column(
        name=describe(saved.machine),
        published=False,
        flops_per_s=saved.peaks.flops_per_s["fp32"],
        bytes_per_s=saved.peaks.bytes_per_s,
        method=saved.peaks.method,
        cells=cells,
    )


def rows(columns: Sequence[Column]) -> list[tuple[str, str]]:
    """Every (size, optimisation) that any column has: sizes in order, the best one last."""
    found = {key: None for each in columns for key in each.cells}
    sizes = list(SIZES)
    return sorted(found, key=lambda key: (sizes.index(key[0]) if key[0] in sizes else len(sizes), key[1] == BEST))


def _cell(measurement: Measurement, run: Run, of: str = "") -> Cell:
    return Cell(
        latency_s=measurement.latency_s,
        images_per_s=measurement.images_per_s,
        utilization=utilization(measurement, run.peaks),
        of=of,
    )
