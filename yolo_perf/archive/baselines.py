"""The folder of baselines, one folder a machine: found, promoted, removed.

baselines/<machine>/NNNN_baseline.json
"""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from yolo_perf import files
from yolo_perf.analysis.conditions import doubts
from yolo_perf.archive.saved_run import (
    as_run,
    content_of,
    encoded,
    identity,
    parsed,
    read_run,
    read_saved,
    require_baseline,
)
from yolo_perf.errors import BaselineError
from yolo_perf.machine.naming import slug
from yolo_perf.records import Machine, Reference, Run
from yolo_perf.verdict.chronology import NUMBERED

REFERENCES = "reference"
SHIPPED = Path(__file__).parent.parent / REFERENCES
"""Published machines that come with this package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """What one machine's folder holds, or the file of one published machine."""

    name: str
    runs: tuple[tuple[Path, Run], ...] = ()  # oldest first
    reference: Reference | None = None
    damaged: tuple[str, ...] = ()  # what is wrong with each file that cannot be read, or is no baseline


def find_baseline(folder: Path, machine: Machine, number: str = "") -> Path | None:
    """This machine's newest baseline, of those whose name starts as given; None where there is none."""
    found = [path for path in numbered_in(folder / slug(machine)) if path.name.startswith(number)]
    return found[-1] if found else None


def locate_saved(name: str, folder: Path) -> Path:
    """The file of a path, of a reference's name ("ryzen-7-6800hs"), or of a machine folder's newest baseline.

    Raises BaselineError naming what there is.
    """
    try:
        if Path(name).is_file():
            return Path(name)
        if Path(name).exists() and not Path(name).is_dir():
            content_of(Path(name))  # which says what it is instead
    except OSError as error:  # a name that no file system takes
        raise BaselineError(f"No saved run {name[:40]!r}...: {error.strerror}.") from error
    published = next((path for path in _references(folder) if path.stem == name), None)
    if published is not None:
        return published
    if own := numbered_in(folder / name):
        return own[-1]
    known = ", ".join(names_in(folder)) or "none"
    raise BaselineError(f"No saved run {name!r}. Give a file, or one of those in {folder}: {known}.")


def names_in(folder: Path) -> tuple[str, ...]:
    """Names that `locate_saved` finds in a folder of baselines: of published machines, and of measured ones."""
    return (*(path.stem for path in _references(folder)), *machines_in(folder))


def machines_in(folder: Path) -> tuple[str, ...]:
    """Names of the machine folders that hold a baseline."""
    if not folder.is_dir():
        return ()
    return tuple(sorted(p.name for p in folder.iterdir() if p.name != REFERENCES and any(_numbered(p))))


def inventory(folder: Path) -> tuple[Shelf, ...]:
    """Every machine of a folder of baselines, then every published one. A damaged file is named, not raised."""
    machines = (_shelf(name, numbered_in(folder / name)) for name in machines_in(folder))
    return (*machines, *map(_published, sorted((folder / REFERENCES).glob("*.json"))))


def lost_by(folder: Path, run: Run) -> tuple[str, ...]:
    """Labels of the cases that the gate would no longer see if a run became its machine's baseline.

    Raises BaselineError where the newest baseline cannot be read.
    """
    newest = find_baseline(folder, run.machine)
    if newest is None:
        return ()
    before = {measurement.case.label for measurement in read_run(newest).measurements}
    return tuple(sorted(before - {measurement.case.label for measurement in run.measurements}))


def promote(path: Path, folder: Path, *, shrink: bool = False, anyway: bool = False) -> Path:
    """Copy a saved run's file, byte for byte, as the next baseline of the machine that it names; its new path.

    Raises BaselineError for what is no baseline or is one already, and for a run that has fewer cases than the
    newest one, unless it may `shrink`, or was measured beside other work, unless it is wanted `anyway`.
    """
    content = content_of(path)  # once: what is checked is what is copied
    run = as_run(path, parsed(path, content))
    require_baseline(path, run)
    target = folder / slug(run.machine)
    doubt = "" if anyway else doubts(run.measurements)
    if doubt:
        raise BaselineError(f"{path}: {doubt}, or give --anyway.")
    lost = () if shrink else lost_by(folder, run)
    if lost:
        raise BaselineError(
            f"{path} lacks {', '.join(lost)}, which {find_baseline(folder, run.machine)} has: the gate would no "
            "longer see them. Promote a run that has these too, or give --shrink."
        )
    with _one_at_a_time(target):  # else several that promote the same session at once would all find none
        shelf = _shelf(target.name, numbered_in(target)).runs
        twin = next((kept for kept, other in shelf if identity(other) == identity(run)), None)
        if twin is not None:
            raise BaselineError(f"{path} is a baseline already: {twin} holds the same session.")
        return _place(content, target)


def outdated(folder: Path, *, keep: int, machine: str | None = None) -> tuple[Path, ...]:
    """Every machine's, or one machine's, sound baselines but the newest `keep` (from 1); never a reference.

    A file that cannot be used is none of the `keep`, and stays: a newer yolo-perf may have written it.
    Raises BaselineError for a machine that has no baseline.
    """
    names = machines_in(folder)
    if machine is not None and machine not in names:
        raise BaselineError(
            f"No baselines of {machine!r} in {folder}. Machines there: {', '.join(names) or 'none'}."
        )
    shelves = (_shelf(name, numbered_in(folder / name)) for name in names if machine in (None, name))
    return tuple(path for shelf in shelves for path, _ in shelf.runs[:-keep])


def remove(path: Path) -> None:
    """Delete a baseline. Raises BaselineError where that cannot be done."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise BaselineError(f"Cannot delete {path}: {error.strerror or error}.") from error


def save_baseline(document: Mapping[str, Any], folder: Path, machine: Machine) -> Path:
    """Write a run's document as this machine's next baseline, whole or not at all; its path.

    Two sessions that save at once get two numbers. Raises BaselineError where the folder cannot be written.
    """
    return _place(encoded(document), folder / slug(machine))


def _references(folder: Path) -> tuple[Path, ...]:
    """The published machines: those of a folder of baselines, and the others that come with this package."""
    found = {path.stem: path for place in (SHIPPED, folder / REFERENCES) for path in place.glob("*.json")}
    return tuple(found[name] for name in sorted(found))


def _shelf(name: str, paths: Sequence[Path]) -> Shelf:
    """A machine's baselines; a file that is none is named."""
    runs: list[tuple[Path, Run]] = []
    damaged: list[str] = []
    for path in paths:
        try:
            run = read_run(path)
            require_baseline(path, run)
        except BaselineError as error:
            damaged.append(str(error))
        else:
            runs.append((path, run))
    return Shelf(name=name, runs=tuple(runs), damaged=tuple(damaged))


def _published(path: Path) -> Shelf:
    """A file of the folder of references, which may hold a whole run as well."""
    try:
        saved = read_saved(path)
    except BaselineError as error:
        return Shelf(name=path.stem, damaged=(str(error),))
    if isinstance(saved, Run):
        return Shelf(name=path.stem, runs=((path, saved),))
    return Shelf(name=path.stem, reference=saved)


@contextlib.contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Within, no other process of this machine is; where the system cannot lock a folder nothing is done."""
    try:
        import fcntl

        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):
        yield
        return
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _place(content: bytes, target: Path) -> Path:
    """Write a machine's next baseline, whole or not at all; its path."""
    try:
        target.mkdir(parents=True, exist_ok=True)
        newest = max((number for number, _ in _numbered(target)), default=0)
        return files.place(content, target, (f"{number:04d}_baseline.json" for number in count(newest + 1)))
    except OSError as error:
        raise BaselineError(
            f"Cannot save a baseline in {target}: {error.strerror or error}. Nothing was changed there."
        ) from error


def numbered_in(folder: Path) -> tuple[Path, ...]:
    """The baselines of one machine's folder, oldest first."""
    return tuple(path for _, path in _numbered(folder))


def _numbered(folder: Path) -> Iterator[tuple[int, Path]]:
    """The baselines of one machine's folder with their numbers, oldest first."""
    if not folder.is_dir():
        return
    matches = ((NUMBERED.fullmatch(path.name), path) for path in folder.iterdir())
    yield from sorted((int(match[1]), path) for match, path in matches if match)
