"""Machines side by side: saved runs and published references in one form. Informs; decides nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from yolo_perf.analysis.figures import fastest_of_sizes, utilization
from yolo_perf.analysis.roofline import Works, roof_seconds
from yolo_perf.machine.naming import describe
from yolo_perf.records import Case, Comparison, Measurement, Peaks, PublishedResult, Reference, Run, Verdict, Work
from yolo_perf.units import clock_phrase, signed_percent
from yolo_perf.verdict.sessions import steady_latency_s
from yolo_perf.yolov5.sizes import SIZES

Roofs = Callable[[Case, int], float | None]
"""The least seconds an image of a case with so many classes."""
BEST = "best"
EFFICIENCY_MARGIN = 0.10
"""Wide: roofs are measured too, and what else sets two machines apart is not in them."""
PUBLISHED_CLASSES, PUBLISHED_IMAGE_SIZE = 80, 640


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One case on one machine."""

    latency_s: float
    images_per_s: float
    utilization: float
    efficiency: float | None = None  # least time under the roofs over the time taken; None for a foreign model
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


def column(saved: Run | Reference, works: Works) -> Column:
    """A run or a reference as a column, `works` telling of its models' layers.

    A run's fastest optimisation of each size stands under "best" too.
    """
    if isinstance(saved, Reference):
        return _published(saved, works)
    least = _roofs(saved.peaks, works)
    cells = {(m.case.size, m.case.backend): _cell(m, saved, least) for m in saved.measurements}
    for size, fastest in fastest_of_sizes(saved.measurements).items():
        cells[size, BEST] = _cell(fastest, saved, least, of=fastest.case.backend)
    return Column(
        name=describe(saved.machine),
        published=False,
        flops_per_s=saved.peaks.flops_per_s["fp32"],
        bytes_per_s=saved.peaks.bytes_per_s,
        method=f"{saved.peaks.method}{clock_phrase(saved.peaks.clock_hz_measured)}",
        cells=cells,
    )


def rows(columns: Sequence[Column]) -> list[tuple[str, str]]:
    """Every (size, optimisation) that any column has: sizes in order, the best one last."""
    found = {key: None for each in columns for key in each.cells}
    sizes = list(SIZES)
    return sorted(found, key=lambda key: (sizes.index(key[0]) if key[0] in sizes else len(sizes), key[1] == BEST))


def efficiency_changes(columns: Sequence[Column], margin: float = EFFICIENCY_MARGIN) -> tuple[Comparison, ...]:
    """Every case's efficiency on each later machine over that on the first, case by case; informs only.

    Efficiency is the least time under a machine's own roofs over the time taken, so it carries from one machine
    to another where a latency does not. Within the margin nothing is claimed. A machine is named by its place,
    from [1]. The best ones are left out: two may be of unlike optimisations, and of unlike number formats.
    """
    found: list[Comparison] = []
    for key in rows(columns):
        if key[1] == BEST:
            continue
        first = columns[0].cells.get(key)
        for number, each in enumerate(columns[1:], 2):
            cell = each.cells.get(key)
            if first is None or cell is None or first.efficiency is None or cell.efficiency is None:
                continue
            ratio = cell.efficiency / first.efficiency
            verdict, limit = _judge(ratio, margin)
            found.append(
                Comparison(
                    label="-".join(key),
                    metric="efficiency",
                    verdict=verdict,
                    reason=f"[{number}]/[1] {signed_percent(ratio)}, {limit}",
                    ratio=ratio,
                )
            )
    return tuple(found)


def _judge(ratio: float, margin: float) -> tuple[Verdict, str]:
    """The verdict on a ratio of efficiencies, and where it lies; turning the machines around turns it around."""
    if ratio > 1 + margin:
        return "improved", f"beyond {signed_percent(1 + margin)}"
    if ratio < 1 / (1 + margin):
        return "regressed", f"beyond {signed_percent(1 / (1 + margin))}"
    return "inconclusive", f"within {100 * margin:.0f} %"


def _published(reference: Reference, works: Works) -> Column:
    return Column(
        name=reference.name,
        published=True,
        flops_per_s=reference.flops_per_s,
        bytes_per_s=reference.bytes_per_s,
        method=reference.peaks_method,
        cells={
            (result.size, result.optimization): Cell(
                latency_s=result.latency_s,
                images_per_s=result.images_per_s,
                utilization=result.utilization,
                efficiency=_published_efficiency(result, reference, works),
            )
            for result in reference.results
        },
        notes=(
            f"Source: {reference.source}.",
            *reference.notes,
            f"Efficiency: for {PUBLISHED_CLASSES} classes, {PUBLISHED_IMAGE_SIZE} px, fp32 and one image a call, "
            "at the published mean latency, which a low quantile would undercut.",
        ),
    )


def _published_efficiency(result: PublishedResult, reference: Reference, works: Works) -> float | None:
    case = Case(
        size=result.size,
        backend=result.optimization,
        batch=1,
        image_size=PUBLISHED_IMAGE_SIZE,
        threads=reference.physical_cores,
    )
    peaks = Peaks(
        flops_per_s={"fp32": reference.flops_per_s},
        bytes_per_s=reference.bytes_per_s,
        threads=reference.physical_cores,
        method=reference.peaks_method,
    )
    least = _roof_s(works(case, PUBLISHED_CLASSES), case, peaks)
    return None if least is None else least / result.latency_s


def _cell(measurement: Measurement, run: Run, roofs: Roofs, of: str = "") -> Cell:
    least = roofs(measurement.case, measurement.weights.classes)
    return Cell(
        latency_s=measurement.latency_s,
        images_per_s=measurement.images_per_s,
        utilization=utilization(measurement, run.peaks),
        efficiency=None if least is None else least / steady_latency_s(measurement),
        of=of,
    )


def _roofs(peaks: Peaks, works: Works) -> Roofs:
    """`_roof_s` under these roofs, worked out once for cases that are the same to them."""
    known: dict[tuple[str, int, str, int, int], float | None] = {}

    def least(case: Case, classes: int) -> float | None:
        same = (case.size, case.image_size, case.dtype, case.batch, classes)
        if same not in known:
            known[same] = _roof_s(works(case, classes), case, peaks)
        return known[same]

    return least


def _roof_s(layers: Sequence[Work], case: Case, peaks: Peaks) -> float | None:
    """The least seconds an image: sum over layers of max(FLOP / peak FLOP/s, bytes / peak bytes/s).

    None where the layers are not known. The images of a batch share one reading of the weights.
    """
    if not layers:
        return None
    return sum(
        roof_seconds(replace(work, weight_bytes=work.weight_bytes // case.batch), peaks, case.dtype)
        for work in layers
    )
