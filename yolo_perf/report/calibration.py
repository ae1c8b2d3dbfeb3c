"""The table of a machine's calibration."""

from pathlib import Path

from yolo_perf import units
from yolo_perf.escape import printable
from yolo_perf.proof.calibration import CAP, Calibration
from yolo_perf.report.tables import columns, render, wrapped


def calibration(found: Calibration, path: Path, *, width: int = 80, color: bool = False) -> str:
    """A row for each case: what sessions and pairs of the same code differ by."""
    table = columns("case, in %", ("session sd", "session floor", "paired sd", "paired floor"), "")
    for label, noise in found.cases.items():
        table.add_row(
            printable(label),
            *map(_percent, (noise.session_sd, noise.session_floor, noise.paired_sd, noise.paired_floor)),
            "" if noise.gateable else f"beyond {CAP:.0%}",
        )
    notes = (
        f"{found.pairs} pairs of processes of the same code. A paired floor above 1 % widens the margin of "
        "`yolo-perf ab`; the session sd is the noise that --benchmark-compare reckons with.",
        f"Kept in {path}",
    )
    return "\n".join(
        [render(table, width=width, color=color), "", *(wrapped(line, width, "  ") for line in notes)]
    )


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else units.percent(fraction)
