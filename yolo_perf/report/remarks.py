"""What a reader has to know of how cases were timed: a line for each kind of disturbance there was."""

from collections.abc import Callable, Iterator, Sequence

from yolo_perf import units
from yolo_perf.analysis import conditions
from yolo_perf.analysis.conditions import Watched
from yolo_perf.machine.allocator import SYSTEM
from yolo_perf.records import LayerProfile, Measurement, Run, StageRun

MOST = 6
"""Cases that a line names."""


def remarks(run: Run) -> list[str]:
    """The lines about a run's timed cases. Each names its cases, the worst first."""
    timed: tuple[Watched, ...] = (*run.measurements, *run.throughput, *run.stages, *run.layers)
    return [*remarks_of(timed), *_allocator(run, timed)]


def remarks_of(timed: Sequence[Watched]) -> list[str]:
    """The lines about timed cases alone."""
    lasting = [each for each in timed if conditions.seconds_of(each) > 0]  # a file may hold rounds of nothing
    return [line for kind in (_other_work, _page_faults, _stolen) for line in kind(lasting)]


def _allocator(run: Run, timed: Sequence[Watched]) -> Iterator[str]:
    asked = run.configuration.get("allocator")
    others = dict.fromkeys(each.allocator for each in timed if asked and each.allocator != asked)
    if others:
        why = " (keeping freed memory needs glibc)" if SYSTEM in others else ""
        yield f"Allocator: {', '.join(others)}, where {asked} was asked for{why}."


def _other_work(timed: Sequence[Watched]) -> Iterator[str]:
    found = _worst(timed, conditions.other_work_share, conditions.OTHER_WORK)
    if found:
        named = _named([f"{label} ({units.percent(share)} %)" for label, share, _ in found])
        yield f"Timed beside other work, so no evidence: {named} of their threads' CPU time."


def _page_faults(timed: Sequence[Watched]) -> Iterator[str]:
    found = _worst(timed, conditions.faults_share, conditions.NOTABLE_FAULTS)
    if found:
        named = _named([f"{label} {conditions.page_faults_per_image(each) or 0:,.0f}" for label, _, each in found])
        policies = ", ".join(dict.fromkeys(each.allocator for _, _, each in found))
        yield f"Page faults an image: {named}. Freed memory goes back to the system (allocator: {policies})."


def _stolen(timed: Sequence[Watched]) -> Iterator[str]:
    found = _worst(timed, conditions.steal_share, conditions.NOTABLE_STEAL)
    if found:
        named = _named([f"{label} {units.percent(share)} %" for label, share, _ in found])
        yield f"The machine's own host took time from: {named}."


def _worst(
    timed: Sequence[Watched], share: Callable[[Watched], float], above: float
) -> list[tuple[str, float, Watched]]:
    """Name, share and case of those above a limit, the worst first."""
    found = [(_name(each), share(each), each) for each in timed]
    return sorted((each for each in found if each[1] > above), key=lambda each: -each[1])


def _name(timed: Watched) -> str:
    case = timed.case
    if isinstance(timed, StageRun):
        return f"{case.label} (stages)"
    if isinstance(timed, LayerProfile):
        return f"{case.label} (layers)"
    return case.label if isinstance(timed, Measurement) else f"{case.label} (b{case.batch} t{case.threads})"


def _named(names: Sequence[str]) -> str:
    rest = len(names) - MOST
    return ", ".join(names[:MOST]) + (f" and {rest} more" if rest > 0 else "")
