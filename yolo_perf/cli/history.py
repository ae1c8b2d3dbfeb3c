"""`yolo-perf history`."""

import gc
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from yolo_perf import settings as parse
from yolo_perf.cli.common import baselines_option, checked
from yolo_perf.cli.output import Output, output_options
from yolo_perf.cli.terminal import say
from yolo_perf.errors import BaselineError, UsageError

if TYPE_CHECKING:
    from yolo_perf.archive.thin import Absence
    from yolo_perf.verdict.history import Session

DAMAGED_EXIT = REGRESSED_EXIT = 1


def read_date(text: str) -> datetime:
    """The moment that a date or a time names, in UTC where it names no zone. Raises UsageError."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"The date must be such as 2026-01-31 or 2026-01-31T12:00, got {text!r}.") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


@click.command(short_help="Look back over saved runs: trends and change points.")
@click.argument("saved", nargs=-1)
@click.option(
    "--runs",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="A folder of saved runs to add, searched for *.json.",
)
@baselines_option
@click.option("--case", "cases", multiple=True, metavar="PATTERN", help="Cases such as n-onnx or n-*; repeat.")
@click.option("--since", default=None, metavar="DATE", callback=checked(read_date), help="Sessions from then on.")
@click.option(
    "--last",
    default=None,
    metavar="N",
    callback=checked(parse.parse_count, "The number of sessions"),
    help="The newest sessions of each machine.",
)
@click.option(
    "--fail-on-regression",
    is_flag=True,
    help="Exit with 1 where a case became slower and stayed so, at once or creeping.",
)
@output_options()
def history(
    saved: tuple[str, ...],
    *,
    runs: Path | None,
    baselines: Path,
    cases: tuple[str, ...],
    since: datetime | None,
    last: int | None,
    fail_on_regression: bool,
    output: Output,
) -> None:
    """Look back over saved runs: trends, change points, and what creeps, with their commits.

    SAVED are files, folders that are searched for *.json, or names of machines in the folder of baselines;
    without any, the baselines of this machine. A file that cannot be used is named, and the exit code is then 1.
    """
    from yolo_perf.report import history as report
    from yolo_perf.verdict import history as verdict

    with _uncollected():
        sessions, absences = _read(_places(saved, runs, baselines))
        found = verdict.history(sessions, verdict.Selection(cases=cases, since=since, last=last))
    if sessions and not found.machines:
        raise BaselineError(
            f"None of the {len(sessions)} sessions there has what --case, --since and --last ask for."
        )
    found = replace(found, left_out=(*_left_out(absences), *found.left_out))
    blocks = report.BLOCKS if _can_show(report.BLOCKS, output) else report.ASCII
    output.show(
        lambda **style: report.history(found, blocks=blocks, **style),
        lambda: report.document(found),  # every point of every case: not for nothing
        lambda: report.rows(found),
    )
    damaged = [each.reason for each in absences if each.kind in ("damaged", "foreign")]
    for reason in damaged:
        say(f"Not usable: {reason}", err=True)
    if damaged:
        sys.exit(DAMAGED_EXIT)
    if fail_on_regression and found.regressed:
        sys.exit(REGRESSED_EXIT)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without garbage collection: of thousands of sessions there are a million records, none in a cycle."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _places(saved: Sequence[str], runs: Path | None, baselines: Path) -> list[Path]:
    """The files and folders to read. Raises BaselineError where a name is none of them."""
    places = []
    for name in saved:
        path = Path(name)
        if not path.exists() and (baselines / name).is_dir():
            path = baselines / name
        places.append(path)
    if not saved:
        places += _own(baselines, required=runs is None)
    if runs is not None:
        places.append(runs)
    for path in places:
        if not path.exists():
            raise BaselineError(f"No saved run, and no folder of them: {path}.")
    return places


def _own(baselines: Path, *, required: bool) -> list[Path]:
    """This machine's folder, where there is one."""
    from yolo_perf.machine.identity import identify
    from yolo_perf.machine.naming import describe, slug

    machine = identify(with_torch=False)
    folder = baselines / slug(machine)
    if folder.is_dir():
        return [folder]
    if not required:
        return []
    raise BaselineError(
        f"No baseline for this machine ({describe(machine)}) in {baselines}. Record one: pytest benchmarks/ "
        "--perf-save; or name saved runs: yolo-perf history FOLDER"
    )


def _read(places: Sequence[Path]) -> "tuple[list[Session], list[Absence]]":
    """What lies in all places, a file that several of them hold read twice: `verdict.history` counts it once."""
    from yolo_perf.archive.thin import read_folder, read_session
    from yolo_perf.verdict.history import Session, load_engine

    sessions: list[Session] = []
    absences: list[Absence] = []
    for place in dict.fromkeys(path.resolve() for path in places):
        found = read_folder(place, load_engine) if place.is_dir() else [read_session(place)]
        for each in found:
            if isinstance(each, Session):
                sessions.append(each)
            else:
                absences.append(each)
    return sessions, absences


def _left_out(absences: "Sequence[Absence]") -> tuple[tuple[str, int], ...]:
    """Why files gave no session, and how many; what is damaged is named elsewhere, and counted too."""
    from yolo_perf.archive.thin import WHY

    return tuple(Counter(WHY[each.kind] for each in absences).items())


def _can_show(text: str, output: Output) -> bool:
    """Whether the terminal's encoding has these characters; a file is written as UTF-8."""
    if output.path is not None:
        return True
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
