"""Saved runs: pytest-benchmark's own JSON with a `yolo_perf` block, in one folder a machine.

    baselines/<machine>/NNNN_baseline.json

Files are hostile until parsed: the block is decoded into typed records or refused with one sentence.
"""

import contextlib
import json
import logging
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from pathlib import Path
from statistics import stdev
from typing import Annotated, Any, TypeVar

import msgspec

from yolo_perf import escape, files
from yolo_perf.analysis.conditions import doubts
from yolo_perf.analysis.rounds import low_quantile
from yolo_perf.errors import BaselineError
from yolo_perf.machine.naming import fingerprint, slug
from yolo_perf.records import SCHEMA, Case, LayerProfile, Machine, Measurement, Reference, Run
from yolo_perf.verdict.chronology import utc
from yolo_perf.verdict.sessions import MOST_SESSIONS

log = logging.getLogger(__name__)

T = TypeVar("T")

BLOCK = "yolo_perf"
REFERENCES = "reference"
SHIPPED = Path(__file__).parent.parent / REFERENCES
"""Published machines that come with this package."""
_NUMBER = re.compile(r"(\d{4,})_.*\.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Versioned:
    schema: Annotated[int, msgspec.Meta(ge=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    yolo_perf: _Versioned | None = None
    yolo_perf_reference: _Versioned | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    yolo_perf: Run


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReferenceFile:
    yolo_perf_reference: Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """What one machine's folder holds, or the file of one published machine."""

    name: str
    runs: tuple[tuple[Path, Run], ...] = ()  # oldest first
    reference: Reference | None = None
    damaged: tuple[str, ...] = ()  # what is wrong with each file that cannot be read, or is no baseline


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How far a case's sessions lie apart."""

    sessions: int  # that measured this case, under the same settings and weights
    deviation: float | None  # relative; None below two sessions


def read_run(path: Path) -> Run:
    """The run that a file holds. Raises BaselineError naming the file and what is wrong with it."""
    return _as_run(path, read_saved(path))


def read_saved(path: Path) -> Run | Reference:
    """The run or the reference that a file holds. Raises BaselineError as `read_run` does."""
    return parsed(path, content_of(path))


def require_baseline(path: Path, run: Run) -> None:
    """Raise BaselineError where a run is none to compare with, though its file is sound."""
    if not run.complete:
        kind = "was interrupted"
    elif run.configuration.get("slow_down"):
        kind = "was slowed down on purpose"
    elif not run.measurements:
        kind = "measured no inference"
    else:
        return
    raise BaselineError(f"{path} holds a session that {kind}: it is no baseline.")


def block(run: Run) -> dict[str, Any]:
    """The run as plain values, for pytest-benchmark's JSON."""
    plain: dict[str, Any] = msgspec.to_builtins(run)
    return plain


def find_baseline(folder: Path, machine: Machine, number: str = "") -> Path | None:
    """This machine's newest baseline, of those whose name starts as given; None where there is none."""
    found = [path for path in _paths(folder / slug(machine)) if path.name.startswith(number)]
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
    if own := _paths(folder / name):
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
    machines = (_shelf(name, _paths(folder / name)) for name in machines_in(folder))
    return (*machines, *map(_published, sorted((folder / REFERENCES).glob("*.json"))))


def sessions(folder: Path, machine: Machine, *, most: int | None = None) -> tuple[tuple[Path, Run], ...]:
    """This machine's newest baselines, oldest first; all of them without `most`.

    Raises BaselineError naming one that is damaged or no baseline.
    """
    paths = _paths(folder / slug(machine))[-most if most else None :]
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
    run = _as_run(path, parsed(path, content))
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
        shelf = _shelf(target.name, _paths(target)).runs
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
    shelves = (_shelf(name, _paths(folder / name)) for name in names if machine in (None, name))
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
    return _place(_encoded(document), folder / slug(machine))


def write_document(document: Mapping[str, Any], path: Path) -> None:
    """Write a run's document to a path in one step, replacing what is there. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write(path, _encoded(document))


def decoded(content: bytes, kind: type[T]) -> T:
    """JSON as typed records. NaN and infinities, which Python's json writes and JSON has not, are read as null.

    Raises MsgspecError, RecursionError or UnicodeDecodeError.
    """
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        if b"NaN" not in content and b"Infinity" not in content:
            raise
        try:
            plain = json.loads(content, parse_constant=lambda _: None)
        except ValueError as error:
            raise msgspec.DecodeError(str(error)) from error
        return msgspec.convert(plain, kind)


def identity(run: Run) -> tuple[object, ...]:
    """What makes two saved runs the same session, however their files are written: when, where, each round."""
    rounds = tuple((m.case.id, m.nodeid, m.weights.digest, m.round_seconds) for m in run.measurements)
    return run.created, fingerprint(run.machine), rounds


def content_of(path: Path) -> bytes:
    """A saved file's bytes. Raises BaselineError where it cannot be read or is too large."""
    try:
        return files.read(path)
    except OSError as error:
        raise BaselineError(f"Cannot read {path}: {error.strerror or error}.") from error


def parsed(path: Path, content: bytes) -> Run | Reference:
    """The record in a file's content; BaselineError names the path that it came from."""
    try:
        heads = decoded(content, _Head)
        head = heads.yolo_perf or heads.yolo_perf_reference
        if head is None:
            raise BaselineError(
                f"{path} was not written by yolo-perf (it has no `{BLOCK}` block). "
                "Record a baseline: pytest benchmarks/ --perf-save"
            )
        if head.schema > SCHEMA:
            raise BaselineError(
                f"{path} has schema {head.schema}, this yolo-perf reads up to {SCHEMA}. "
                "Upgrade yolo-perf, or record a new baseline: pytest benchmarks/ --perf-save"
            )
        if heads.yolo_perf is None:
            return decoded(content, _ReferenceFile).yolo_perf_reference
        run = decoded(content, _File).yolo_perf
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BaselineError(
            f"{path} is damaged or not a saved run: {error}. Remove it, or restore it from git."
        ) from error
    try:
        # In one form, so that the order of texts is the order of moments.
        run = replace(run, created=utc(msgspec.convert(run.created, datetime)).isoformat())
    except (msgspec.ValidationError, ValueError) as error:
        raise BaselineError(f"{path} has no date: {run.created!r:.40}. It is damaged, or no saved run.") from error
    if flaw := _flaw(run):
        raise BaselineError(f"{path} has {flaw}: it is damaged, or not a saved run.")
    return run


def _flaw(run: Run) -> str:
    """What the types allow and no session has: figures that would be divided by; "" where there is nothing."""
    unknown = {"fp32", *(m.case.dtype for m in run.measurements)} - set(run.peaks.flops_per_s)
    if unknown:
        return f"no peak of {', '.join(sorted(unknown))}"
    if min(*run.peaks.flops_per_s.values(), run.peaks.bytes_per_s) < 1:
        return "a roof below one a second"
    for profile in run.layers:
        if flaw := _layer_flaw(profile):
            return f"{flaw} in the layers of {profile.case.label}"
    if any(times.total_s <= 0 for each in run.stages for times in each.times):
        return "stages that take no time"
    idle = [m.case.label for m in run.measurements if not (m.work.flops and m.work.compulsory_bytes)]
    return f"no work in {', '.join(idle)}" if idle else ""


def _layer_flaw(profile: LayerProfile) -> str:
    """What no timed layers have; "" where there is nothing."""
    rates = profile.peaks.flops_per_s
    if {"fp32", profile.case.dtype, *(layer.dtype for layer in profile.layers)} - set(rates):
        return "a number format without a peak"
    if min(*rates.values(), profile.peaks.bytes_per_s) < 1:
        return "a roof below one a second"
    if profile.layers_s <= 0 or any((layer.seconds or 0) < 0 for layer in profile.layers):
        return "no time"
    return "no bytes" if any(not layer.work.compulsory_bytes for layer in profile.layers) else ""


def _as_run(path: Path, saved: Run | Reference) -> Run:
    if isinstance(saved, Reference):
        raise BaselineError(
            f"{path} holds published figures of another machine, without raw rounds: it is no baseline. "
            f"To see them beside this machine: {escape.command('yolo-perf', 'compare', path)}"
        )
    return saved


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


def _encoded(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(_finite(document), indent=1, default=str, allow_nan=False) + "\n").encode()


def _finite(value: Any) -> Any:
    """Plain values without what JSON has no word for: a test may put anything into its `extra_info`."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value


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


def _paths(folder: Path) -> tuple[Path, ...]:
    """The baselines of one machine's folder, oldest first."""
    return tuple(path for _, path in _numbered(folder))


def _numbered(folder: Path) -> Iterator[tuple[int, Path]]:
    """The baselines of one machine's folder with their numbers, oldest first."""
    if not folder.is_dir():
        return
    matches = ((_NUMBER.fullmatch(path.name), path) for path in folder.iterdir())
    yield from sorted((int(match[1]), path) for match, path in matches if match)
