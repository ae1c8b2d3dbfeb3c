"""The table of machines side by side."""

from collections.abc import Sequence

from yolo_perf import units
from yolo_perf.report.tables import columns, printable, render, wrapped
from yolo_perf.verdict.compare import BEST, Column, rows


def machines(found: Sequence[Column], *, width: int = 80, color: bool = False) -> str:
    """Roofs and cases of every machine; "x" is how many times as fast as the first one it is."""
    headings = [heading for number in range(len(found)) for heading in _headings(number)]
    table = columns("", headings)
    for size, optimization in rows(found):
        cells = [each.cells.get((size, optimization)) for each in found]
        texts: list[str] = []
        for number, cell in enumerate(cells):
            if cell is None:
                texts += ["-"] * len(_headings(number))
                continue
            texts += [units.milliseconds(cell.latency_s), units.percent(cell.utilization)]
            if number:
                texts.append(f"{cells[0].latency_s / cell.latency_s:.2f}" if cells[0] else "-")
        table.add_row(printable(f"{size}-{optimization}"), *texts)
    lines = [
        wrapped(line, width, "    ") for number, each in enumerate(found, 1) for line in _machine(number, each)
    ]
    remarks = [wrapped(line, width, "    ") for line in _remarks(found)]
    return "\n".join([*lines, "", render(table, width=width, color=color), *remarks])


def _headings(number: int) -> list[str]:
    mark = f"[{number + 1}]"
    return [f"{mark} ms", "util %", *(["x"] if number else [])]


def _machine(number: int, each: Column) -> list[str]:
    kind = "published" if each.published else "measured"
    return [
        f"[{number}] {each.name}, {kind}: {units.giga_rate(each.flops_per_s)} GFLOP/s fp32, "
        f"{units.giga_rate(each.bytes_per_s)} GB/s, ridge point {each.flops_per_s / each.bytes_per_s:.1f} FLOP/B",
        f"    roofs: {each.method}",
        *(f"    {note}" for note in each.notes),
    ]


def _remarks(found: Sequence[Column]) -> list[str]:
    lines = ["util %: achieved FLOP/s over the machine's roof; a multiply-accumulate is two FLOP everywhere."]
    for number, each in enumerate(found, 1):
        best = {size: each.cells[size, name].of for size, name in rows([each]) if name == BEST}
        if any(best.values()):
            lines.append(f"best of [{number}]: {', '.join(f'{size} {of}' for size, of in best.items())}")
    return lines
