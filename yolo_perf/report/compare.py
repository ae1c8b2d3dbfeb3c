"""The table of machines side by side."""

from collections.abc import Sequence

from yolo_perf import units
from yolo_perf.escape import printable
from yolo_perf.report.tables import columns, render, wrapped
from yolo_perf.verdict.compare import BEST, EFFICIENCY_MARGIN, Cell, Column, efficiency_changes, rows

MOST_CHANGES = 10


def machines(found: Sequence[Column], *, width: int = 80, color: bool = False) -> str:
    """Roofs and cases of every machine; "x" is how many times as fast as the first one it is."""
    table = columns("", [heading for number in range(len(found)) for heading in _headings(number)])
    for size, optimization in rows(found):
        cells = [each.cells.get((size, optimization)) for each in found]
        figures = [text for number, cell in enumerate(cells) for text in _figures(number, cell, cells[0])]
        table.add_row(printable(f"{size}-{optimization}"), *figures)
    lines = [
        wrapped(line, width, "    ") for number, each in enumerate(found, 1) for line in _machine(number, each)
    ]
    remarks = [wrapped(line, width, "    ") for line in (*_remarks(found), *_changes(found))]
    return "\n".join([*lines, "", render(table, width=width, color=color), *remarks])


def _headings(number: int) -> list[str]:
    first = f"[{number + 1}] ms"
    return [f" {first}", "util %", "eff %", "x"] if number else [first, "util %", "eff %"]


def _figures(number: int, cell: Cell | None, first: Cell | None) -> list[str]:
    """A case's texts under a machine's headings."""
    if cell is None:
        return ["-"] * len(_headings(number))
    texts = [
        units.milliseconds(cell.latency_s),
        units.percent(cell.utilization),
        "-" if cell.efficiency is None else units.percent(cell.efficiency),
    ]
    if number:
        texts.append(f"{first.latency_s / cell.latency_s:.2f}" if first else "-")
    return texts


def _machine(number: int, each: Column) -> list[str]:
    kind = "published" if each.published else "measured"
    return [
        f"[{number}] {each.name}, {kind}: {units.giga_rate(each.flops_per_s)} GFLOP/s fp32, "
        f"{units.giga_rate(each.bytes_per_s)} GB/s, ridge point {each.flops_per_s / each.bytes_per_s:.1f} FLOP/B",
        f"    roofs: {each.method}",
        *(f"    {note}" for note in each.notes),
    ]


def _remarks(found: Sequence[Column]) -> list[str]:
    lines = [
        "util %: achieved FLOP/s over the machine's roof; a multiply-accumulate is two FLOP everywhere.",
        "eff %: the least time under the roofs, layer by layer, over the low quantile of the latency.",
    ]
    for number, each in enumerate(found, 1):
        best = {size: each.cells[size, name].of for size, name in rows([each]) if name == BEST}
        if any(best.values()):
            lines.append(f"best of [{number}]: {', '.join(f'{size} {of}' for size, of in best.items())}")
    return lines


def _changes(found: Sequence[Column]) -> list[str]:
    """A line a case whose efficiency differs by more than the margin, and how many more there are."""
    beyond: dict[str, list[str]] = {}
    for change in efficiency_changes(found):
        if change.verdict != "inconclusive":
            beyond.setdefault(change.label, []).append(change.reason)
    if not beyond:
        return []
    lines = [f"{label}: {'; '.join(reasons)}" for label, reasons in beyond.items()]
    more = [f"and {len(lines) - MOST_CHANGES} more"] if len(lines) > MOST_CHANGES else []
    heading = f"Efficiency apart by more than {100 * EFFICIENCY_MARGIN:.0f} % (informs, decides nothing):"
    return [heading, *(f"  {line}" for line in (*lines[:MOST_CHANGES], *more))]
