"""Which cases tell the most, where a run has more of them than a reader takes in."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from yolo_perf.analysis.figures import fastest_of_sizes, utilization
from yolo_perf.records import Comparison, Measurement, Run, Verdict

MOST_CASES = 300
"""Of a chart, or of a table on a terminal. Data formats hold all."""
KINDS = {
    "measurements": "cases of inference",
    "throughput": "points of throughput",
    "stages": "cases of stages",
    "layers": "cases of layers",
    "memory": "cases of memory",
    "accuracy": "judged cases",
}
"""What a run holds, and what it is called."""
_FIRST: tuple[Verdict, ...] = (
    "regressed",
    "missing",
    "inconclusive",
    "incomparable",
    "new",
    "improved",
    "unchanged",
)


def telling(run: Run, comparisons: Iterable[Comparison] = (), most: int = MOST_CASES) -> Run:
    """The run with the `most` cases that tell the most, in its own order; the run itself where it has no more.

    The fastest of each size and the nearest to its roof are among them, as they are told by name. Verdicts come
    first, the worst before the others; then where the most seconds an image are lost to the roof.
    """
    if max(len(getattr(run, kind)) for kind in KINDS) <= most:
        return run
    worst: dict[tuple[str, str], int] = {}
    for each in comparisons:
        key, rank = (each.nodeid, each.label), _FIRST.index(each.verdict)
        worst[key] = min(rank, worst.get(key, rank))

    def order(measurement: Measurement) -> tuple[int, float]:
        rank = worst.get((measurement.nodeid, measurement.case.label), len(_FIRST))
        return rank, measurement.latency_s * (min(utilization(measurement, run.peaks), 1.0) - 1.0)

    first = _named(run)
    named = {id(each) for each in first}
    rest = sorted((each for each in run.measurements if id(each) not in named), key=order)
    chosen = {id(each) for each in (*first, *rest[: max(0, most - len(first))])}
    ids = {each.case.id for each in run.measurements if id(each) in chosen}
    return replace(
        run,
        measurements=tuple(each for each in run.measurements if id(each) in chosen),
        throughput=run.throughput[:most],
        stages=run.stages[:most],
        layers=run.layers[:most],
        memory=run.memory[:most],
        accuracy=tuple(each for each in run.accuracy if each.case.id in ids)[:most],
    )


def _named(run: Run) -> list[Measurement]:
    """The cases that a report names in words."""
    fastest = fastest_of_sizes(run.measurements)
    nearest = max(run.measurements, key=lambda each: utilization(each, run.peaks), default=None)
    found = {id(each): each for each in (*fastest.values(), nearest) if each is not None}
    return list(found.values())


def left_out(whole: Run, shown: Run, where: str = "--json and --csv have all") -> str:
    """What is not shown, and where it is; "" where everything is."""
    counts = {kind: len(getattr(whole, kind)) - len(getattr(shown, kind)) for kind in KINDS}
    parts = [f"{counts[kind]} {words}" for kind, words in KINDS.items() if counts[kind]]
    if not parts:
        return ""
    return (
        f"Not shown, as they tell less: {', '.join(parts)}. The {len(shown.measurements)} with the worst "
        f"verdicts, then those furthest from their roof, are; {where}."
    )


def first_of(rows: Sequence[object], most: int = MOST_CASES) -> str:
    """What a table of rows that are sorted by what they tell leaves out; "" where it holds all."""
    return (
        f"{len(rows) - most} of {len(rows)} are not shown: --json and --csv have all." if len(rows) > most else ""
    )
