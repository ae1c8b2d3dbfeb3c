"""A machine's saved sessions, one after the other, and how far they lie apart."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import stdev

from yolo_perf.analysis.rounds import low_quantile
from yolo_perf.archive.baselines import numbered_in
from yolo_perf.archive.saved_run import identity, read_run, require_baseline
from yolo_perf.machine.naming import slug
from yolo_perf.records import Case, Machine, Measurement, Run
from yolo_perf.verdict.sessions import MOST_SESSIONS

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How far a case's sessions lie apart."""

    sessions: int  # that measured this case, under the same settings and weights
    deviation: float | None  # relative; None below two sessions


def sessions(folder: Path, machine: Machine, *, most: int | None = None) -> tuple[tuple[Path, Run], ...]:
    """This machine's newest baselines, oldest first; all of them without `most`.

    Raises BaselineError naming one that is damaged or no baseline.
    """
    paths = numbered_in(folder / slug(machine))[-most if most else None :]
    found: dict[tuple[object, ...], tuple[Path, Run]] = {}
    for path in paths:
        run = read_run(path)
        require_baseline(path, run)
        first, _ = found.setdefault(identity(run), (path, run))
        if first != path:
            log.warning("%s holds the same session as %s: it counts once.", path, first)
    return tuple(found.values())


def history_to(path: Path, run: Run) -> tuple[Run, ...]:
    """The newest sessions up to a saved one, oldest first; it alone where it lies in no folder of its machine.

    Raises BaselineError naming an earlier one that is damaged or no baseline.
    """
    if path.resolve().parent.name != slug(run.machine):
        return (run,)
    found = sessions(path.resolve().parent.parent, run.machine)
    names = [each.name for each, _ in found]
    if path.name not in names:
        return (run,)
    end = names.index(path.name) + 1
    return tuple(each for _, each in found[max(0, end - MOST_SESSIONS) : end])


def spreads(runs: Sequence[Run], measurements: Sequence[Measurement]) -> list[Spread]:
    """Standard deviation of ln(low quantile) of each measurement's case over sessions: relative, of n - 1.

    The rounds of a session are one observation of it (Kalibera & Jones 2013), so they are never pooled. A case
    is the same under the same settings with the same weights.
    """
    logs: dict[tuple[Case, str], list[float]] = {}
    for run in runs:
        first = {(m.case, m.weights.digest): m for m in reversed(run.measurements)}
        for subject, m in first.items():
            logs.setdefault(subject, []).append(math.log(low_quantile(m.round_seconds)))
    found = (logs.get((m.case, m.weights.digest), []) for m in measurements)
    return [Spread(sessions=len(each), deviation=stdev(each) if len(each) > 1 else None) for each in found]
