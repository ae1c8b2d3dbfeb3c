"""The tables of a report's page: rows of values, which the page sorts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from yolo_perf import units
from yolo_perf.analysis.figures import utilization
from yolo_perf.analysis.layers import efficiency, lost_seconds, roof_dtype
from yolo_perf.analysis.roofline import bound
from yolo_perf.analysis.rounds import low_quantile
from yolo_perf.analysis.stages import stage_figures
from yolo_perf.analysis.work import works_of
from yolo_perf.archive.saved_pairs import SavedPairs
from yolo_perf.escape import printable
from yolo_perf.records import STAGES, LayerProfile, Run
from yolo_perf.report import tables
from yolo_perf.report.accuracy import against_eager, unknowns
from yolo_perf.report.story import Story
from yolo_perf.verdict.accuracy import lost
from yolo_perf.verdict.compare import Column, column
from yolo_perf.verdict.compare import rows as compared_rows
from yolo_perf.verdict.gate import TAIL, Decision

MOST_ROWS = 2000
"""Rows of one table: a page of more is no page. What is left out is said."""

Cell = str | int | float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table that sorts: a number is shown with the digits that it deserves and sorted by its value."""

    name: str
    title: str
    heading: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    folded: bool = True
    marks: Mapping[int, str] = field(default_factory=dict)  # row -> verdict, which colours it

    @property
    def shown(self) -> tuple[tuple[tuple[str, str], ...], ...]:
        """Text and sorting key of every cell."""
        return tuple(tuple((_shown(cell), _key(cell)) for cell in row) for row in self.rows[:MOST_ROWS])

    @property
    def left_out(self) -> int:
        """How many rows are not shown."""
        return max(0, len(self.rows) - MOST_ROWS)


def verdict_tables(story: Story) -> tuple[Table, ...]:
    """The tables that belong to the verdict: every pair's decisions, else every comparison."""
    pairs = tuple(_decisions(each, number) for number, each in enumerate(story.pairs, 1))
    if not story.comparisons:
        return pairs
    found = sorted(story.comparisons, key=lambda c: list(tables.STYLES).index(c.verdict))
    return (
        *pairs,
        Table(
            name="comparisons",
            title=f"{tables.tally(story.comparisons)}",
            heading=("case", "metric", "change %", "sees %", "verdict", "why"),
            rows=tuple(
                (c.label, c.metric, _change(c.ratio), _per_cent(c.detectable), c.verdict.upper(), c.reason)
                for c in found
            ),
            marks={number: c.verdict for number, c in enumerate(found)},
            note=story.basis,
            folded=False,
        ),
    )


def _decisions(pairs: SavedPairs, number: int) -> Table:
    def row(each: Decision) -> tuple[Cell, ...]:
        batch = pairs.setup.batches.get(each.label.removesuffix(TAIL), 1)
        ratio = each.ratio
        times = tuple(None if s is None else 1e3 * s / batch for s in (each.base_s, each.head_s))
        interval = (
            (None, None, None)
            if ratio is None
            else (_change(ratio.point), _change(ratio.low), _change(ratio.high))
        )
        return (
            each.label,
            *times,
            *interval,
            _per_cent(each.detectable),
            each.pairs,
            each.verdict.upper(),
            each.reason,
        )

    heading = ("case", "base ms", "head ms", "change %", "from %", "to %", "sees %", "pairs", "verdict", "why")
    commits = [
        f"{side.name}{f' ({side.commit[:10]})' if side.commit else ''}" for side in (pairs.base, pairs.head)
    ]
    return Table(
        name=f"pairs-{number}",
        title=f"Base {commits[0]}, head {commits[1]}",
        heading=heading,
        rows=tuple(row(each) for each in pairs.decisions),
        marks={position: each.verdict for position, each in enumerate(pairs.decisions)},
        note=(
            "Pairs of fresh processes on one machine, the idle one stopped; ms per image. From and to: the "
            "interval of the change. Sees: the smallest slow-down that these pairs could have shown."
        ),
        folded=False,
    )


def figure_tables(story: Story) -> tuple[Table, ...]:
    """The tables of figures, those without rows left out."""
    run = story.subject
    found: list[Table] = []
    if run is not None:
        found = [
            _results(run),
            _stages(run),
            *(_layers(profile) for profile in run.layers),
            _throughput(run),
            _memory(run),
        ]
    beside = [*([run] if run is not None and run.measurements else []), *story.others]
    if story.others:
        found.append(_machines([column(each, works_of) for each in beside]))
    if len(story.history) > 1:
        found.append(_history(story.history))
    return tuple(table for table in found if table.rows)


def _results(run: Run) -> Table:
    judged = {each.case.id: each for each in run.accuracy}
    rows: list[tuple[Cell, ...]] = []
    for m in run.measurements:
        own = judged.get(m.case.id)
        rows.append(
            (
                m.case.size,
                m.case.backend,
                m.case.batch,
                1e3 * m.latency_s,
                1e3 * low_quantile(m.round_seconds) / m.case.batch,
                m.images_per_s,
                m.achieved_flops_per_s / 1e9,
                100 * utilization(m, run.peaks),
                m.work.operational_intensity,
                bound(m.work, run.peaks, m.case.dtype),
                own.map50_95 if own else None,
                lost(own) if own else None,
                100 * (own.box_agreement if own else m.parity.box_agreement),
                against_eager(own) if own else None,
                len(m.round_seconds),
                m.weights.source,
            )
        )
    heading = (
        "size", "optimisation", "batch", "ms/image", "low quantile ms", "images/s", "GFLOP/s", "utilisation %",
        "FLOP/B", "bound", "mAP50-95", "mAP lost", "boxes agree %", "against eager", "rounds", "weights",
    )  # fmt: skip
    return Table(
        name="results",
        title="Every measured case",
        heading=heading,
        rows=tuple(rows),
        note=" ".join(unknowns(run.accuracy)),
        folded=False,
    )


def _stages(run: Run) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for each in run.stages:
        if not each.times:
            continue
        figures = stage_figures(each)
        rows.append(
            (
                each.case.label,
                *(1e3 * figures[stage]["median_s"] for stage in STAGES),
                1e3 * figures["total"]["median_s"],
                1e3 * figures["total"]["p90_s"],
                len(each.times),
            )
        )
    heading = ("case", *(f"{stage} ms" for stage in STAGES), "total ms", "total p90 ms", "rounds")
    return Table(name="stages", title="Stages, medians a picture", heading=heading, rows=tuple(rows))


def _layers(profile: LayerProfile) -> Table:
    case, peaks = profile.case, profile.peaks
    rows = tuple(
        (
            layer.name,
            layer.kind,
            1e3 * layer.seconds,
            1e3 * lost_seconds(layer, case, peaks),
            100 * layer.seconds / profile.layers_s,
            layer.work.macs / 1e9,
            layer.work.compulsory_bytes / 1e6,
            layer.work.operational_intensity,
            layer.work.flops / layer.seconds / 1e9,
            100 * (efficiency(layer, case, peaks) or 0.0),
            bound(layer.work, peaks, roof_dtype(layer, case)),
            layer.dtype,
        )
        for layer in profile.leaves
        if layer.seconds
    )
    heading = (
        "layer", "operators", "ms", "lost ms", "share %", "GMAC", "MB", "FLOP/B", "GFLOP/s", "efficiency %",
        "bound", "format",
    )  # fmt: skip
    return Table(
        name=f"layers-{case.label}",
        title=f"Layers of {case.label}",
        heading=heading,
        rows=rows,
        note="MB are compulsory bytes. Efficiency is the least time under the roofs over the time taken.",
    )


def _throughput(run: Run) -> Table:
    rows = tuple(
        (each.case.label, each.case.threads, each.case.batch, 1e3 * each.latency_s, each.images_per_s)
        for each in run.throughput
    )
    return Table(
        name="throughput",
        title="Threads and batches",
        heading=("case", "threads", "batch", "ms/image", "images/s"),
        rows=rows,
    )


def _memory(run: Run) -> Table:
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            each.case.label,
            *(
                size / units.MEBI
                for size in (each.base_bytes, each.loaded_bytes, each.peak_bytes, each.expected_bytes)
            ),
        )
        for each in run.memory
    )
    heading = ("case", "base MiB", "loaded MiB", "peak MiB", "expected MiB")
    return Table(name="memory", title="Memory above the process's base", heading=heading, rows=rows)


def _machines(columns: Sequence[Column]) -> Table:
    heading = ["case"]
    for number, _ in enumerate(columns, 1):
        heading += [f"[{number}] ms", f"[{number}] utilisation %", f"[{number}] efficiency %"]
    rows = []
    for key in compared_rows(columns):
        row: list[Cell] = ["-".join(key)]
        for each in columns:
            cell = each.cells.get(key)
            if cell is None:
                row += [None] * 3
            else:
                row += [1e3 * cell.latency_s, 100 * cell.utilization, _per_cent(cell.efficiency)]
        rows.append(tuple(row))
    names = "; ".join(
        f"[{number}] {each.name}, {'published' if each.published else 'measured'}, "
        f"{units.giga_rate(each.flops_per_s)} GFLOP/s fp32, {units.giga_rate(each.bytes_per_s)} GB/s"
        for number, each in enumerate(columns, 1)
    )
    return Table(
        name="machines", title="Machines side by side", heading=tuple(heading), rows=tuple(rows), note=names
    )


def _history(sessions: Sequence[Run]) -> Table:
    rows = tuple(
        (
            run.created,
            (run.commit.id or "")[:10],
            m.case.label,
            1e3 * low_quantile(m.round_seconds) / m.case.batch,
            len(m.round_seconds),
        )
        for run in sessions
        for m in run.measurements
    )
    heading = ("session", "commit", "case", "low quantile ms", "rounds")
    return Table(name="history", title="Sessions of this machine", heading=heading, rows=rows)


def _change(ratio: float | None) -> float | None:
    return None if ratio is None or not 0 < ratio < math.inf else 100 * (ratio - 1)


def _per_cent(fraction: float | None) -> float | None:
    return None if fraction is None else 100 * fraction


def _shown(cell: Cell) -> str:
    """A cell's text: numbers with three or four digits that say something."""
    if cell is None:
        return "–"
    if isinstance(cell, str):
        return printable(cell)
    if isinstance(cell, int):
        return str(cell)
    digits = 3 if abs(cell) < 1 else 2 if abs(cell) < 100 else 1 if abs(cell) < 1000 else 0
    return f"{cell + 0.0:.{digits}f}"


def _key(cell: Cell) -> str:
    """What a column is sorted by, where that is not its text."""
    return "" if cell is None or isinstance(cell, str) else repr(float(cell))
