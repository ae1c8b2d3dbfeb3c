"""The baseline that a session is compared with, and how it becomes one itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from yolo_perf.errors import BaselineError, UsageError
from yolo_perf.guest import TOOK

if TYPE_CHECKING:
    from yolo_perf.proof.calibration import Calibration
    from yolo_perf.records import Comparison, Machine, Measurement, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The chosen baseline, and what is known of its machine."""

    path: Path
    run: "Run"
    history: "tuple[Run, ...]"  # its machine's sessions up to it, oldest first
    calibration: "Calibration | None"


def choose(asked: str | bool | None, folder: Path) -> Chosen:
    """Find and read the baseline before measuring: it is better to hear of a damaged one now.

    A bare --benchmark-compare means this machine's newest; with a value, a file or the start of a number.
    Raises UsageError or BaselineError.
    """
    from yolo_perf.archive.baselines import find_baseline, machines_in
    from yolo_perf.archive.histories import history_to
    from yolo_perf.archive.saved_run import read_run, require_baseline
    from yolo_perf.machine.identity import identify
    from yolo_perf.machine.naming import describe
    from yolo_perf.proof.calibration import read_calibration

    if asked == "":
        raise UsageError(TOOK.format(asked))
    path = Path(asked) if isinstance(asked, str) else None
    machine = identify(with_torch=False)
    if path is None or not path.is_file():
        path = find_baseline(folder, machine, asked if isinstance(asked, str) else "")
    if path is None:
        others = machines_in(folder)
        raise BaselineError(
            f"No baseline for this machine ({describe(machine)})"
            + (f" matches {asked!r}" if isinstance(asked, str) else "")
            + f" in {folder}"
            + (f"; there are some for {', '.join(others)}" if others else "")
            + ". Record one: pytest benchmarks/ --perf-save"
        )
    run = read_run(path)
    require_baseline(path, run)
    return Chosen(path=path, run=run, history=history_to(path, run), calibration=read_calibration(folder, machine))


def why_not(
    measurements: "Sequence[Measurement]",
    comparisons: "Sequence[Comparison]",
    folder: Path,
    machine: "Machine",
    *,
    anyway: bool,
) -> str:
    """Why a whole session that passed is no baseline nevertheless; "" where it may be one."""
    from yolo_perf.analysis.conditions import doubts

    suspects = sorted({each.label for each in comparisons if each.suspected and each.verdict == "inconclusive"})
    if suspects:
        return f"{', '.join(suspects)}: suspected and not cleared."
    doubt = doubts(measurements)
    if doubt and not anyway:
        return f"{doubt}, or ask again: --perf-save --perf-save-anyway."
    return _lost(measurements, folder, machine)


def _lost(measurements: "Sequence[Measurement]", folder: Path, machine: "Machine") -> str:
    """What the gate would no longer see if this session became the baseline; "" where nothing."""
    from yolo_perf.archive.baselines import find_baseline
    from yolo_perf.archive.saved_run import read_run
    from yolo_perf.session.terminal import relative

    path = find_baseline(folder, machine)
    if path is None:
        return ""
    try:
        before = {measurement.case.label for measurement in read_run(path).measurements}
    except BaselineError as error:
        return str(error)
    lost = sorted(before - {measurement.case.label for measurement in measurements})
    return f"{relative(path)} has {', '.join(lost)} too. Measure those as well, or remove it." if lost else ""
