"""Many saved runs, read thinly: of each file only what a history needs, thousands in seconds.

    file -> `read_session` -> Session, or Absence that says why there is none

`read_folder` keeps what it read in an index in the cache folder, by path, time of change and size: a second call
reads what is new. Files are hostile until parsed, as in `baselines`: typed, or refused with one sentence.
"""

import gc
import hashlib
import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from yolo_perf import files
from yolo_perf.analysis.rounds import low_quantile
from yolo_perf.archive.saved_run import BLOCK, decoded
from yolo_perf.backends.artefacts import DAMAGE, cache_folder
from yolo_perf.errors import BaselineError
from yolo_perf.machine.naming import describe, slug
from yolo_perf.records import SCHEMA, Case, Commit, Count, Dtype, Machine, Positive, Seconds
from yolo_perf.verdict.chronology import FIRST_YEAR, LAST_YEAR, utc
from yolo_perf.verdict.history import Session, Subject

log = logging.getLogger(__name__)

INDEXED_FROM = 50
"""Fewer files are read sooner than an index is worth."""
SHARED_FROM = 1000
"""So many unread files are worth the start of other processes."""
CHUNK = 250
MOST_PROCESSES = 4
"""Of a session: what lies outside is no time that every zone can say."""

Kind = Literal["damaged", "interrupted", "slowed", "empty", "foreign"]
WHY: dict[Kind, str] = {
    "damaged": "damaged",
    "interrupted": "interrupted",
    "slowed": "slowed down on purpose",
    "empty": "without any measurement of inference",
    "foreign": "no saved run",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """Why a file gives no session."""

    kind: Kind
    reason: str  # a sentence that names the file


Reading = Session | Absence


# The thin view of a file. Structs out of the garbage collector's sight are decoded faster than dataclasses, and
# what is not named here is skipped: the larger half of a file is pytest-benchmark's own.
class _Weights(msgspec.Struct, gc=False):
    digest: str
    source: str


class _Work(msgspec.Struct, gc=False):
    macs: Count
    other_flops: Count


class _Case(msgspec.Struct, gc=False):
    size: str
    backend: str
    batch: Positive
    image_size: Positive
    threads: Positive
    dtype: Dtype = "fp32"


class _Measurement(msgspec.Struct, gc=False):
    case: _Case
    weights: _Weights
    work: _Work
    round_seconds: Annotated[list[Seconds], msgspec.Meta(min_length=1)]


class _Peaks(msgspec.Struct):
    flops_per_s: dict[Dtype, Annotated[float, msgspec.Meta(ge=1, lt=1e20)]]


class _Run(msgspec.Struct):
    schema: Annotated[int, msgspec.Meta(ge=1)]
    created: datetime
    machine: Machine
    peaks: _Peaks
    measurements: list[_Measurement]
    peaks_after: _Peaks | None = None
    commit: Commit = Commit()
    complete: bool = True
    configuration: dict[str, str | int | float | None] = {}  # msgspec copies it for each


class _File(msgspec.Struct):
    yolo_perf: _Run | None = None


class _Entry(msgspec.Struct, array_like=True, gc=False):
    """What one file gave, in an index: a session, or why there is none."""

    modified_ns: int
    size: int
    absence: tuple[Kind, str] | None = None
    created: datetime | None = None
    commit: tuple[str | None, str | None, bool] = (None, None, False)
    machine: int = 0  # in the index's machines
    subjects: int = 0  # in the index's subjects
    seconds: tuple[float, ...] = ()
    utilizations: tuple[float, ...] = ()


class _Index(msgspec.Struct, array_like=True):
    machines: list[tuple[str, str]] = []
    subjects: list[tuple[Subject, ...]] = []
    entries: dict[str, _Entry] = {}


_decoder = msgspec.json.Decoder(_File)
_known_subjects: dict[tuple[tuple[object, ...], ...], tuple[Subject, ...]] = {}


def read_session(path: Path) -> Reading:
    """The session of one file that yolo-perf saved. The one way from a file to a session."""
    try:
        run = _decoded(path)
    except BaselineError as error:
        return Absence(kind="damaged", reason=str(error))
    if run is None:
        return Absence(kind="foreign", reason=f"{path} has no `{BLOCK}` block of a session.")
    if kind := _unfit(run):
        return Absence(kind=kind, reason=f"{path} holds a session that is {WHY[kind]}.")
    return _session(path, run)


def read_files(paths: Sequence[Path], while_reading: Callable[[], object] = lambda: None) -> tuple[Reading, ...]:
    """The reading of each file, in order; many are shared out to processes, and `while_reading` is called then."""
    if len(paths) < SHARED_FROM or (os.cpu_count() or 1) < 2:
        return tuple(map(read_session, paths))
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    processes = min(os.cpu_count() or 1, MOST_PROCESSES)
    chunks = [paths[i : i + CHUNK] for i in range(0, len(paths), CHUNK)]
    # Nothing that is made there has cycles, and the collector's search for them takes a third of the time.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=gc.disable) as pool:
        found = pool.map(_read_chunk, chunks)
        while_reading()
        return tuple(reading for chunk in found for reading in chunk)


def read_folder(folder: Path, while_reading: Callable[[], object] = lambda: None) -> tuple[Reading, ...]:
    """The readings of all *.json below a folder, by path. Raises BaselineError where it cannot be listed.

    What no run of this suite was saved into is left out without a word: other JSON lies in such folders.
    """
    listed = sorted(_files(folder))
    if len(listed) < INDEXED_FROM:
        found: Iterable[Reading] = read_files([path for path, _, _ in listed])
    else:
        found = _through_index(folder, listed, while_reading)
    return tuple(each for each in found if isinstance(each, Session) or each.kind != "foreign")


def _files(folder: Path) -> Iterator[tuple[Path, int, int]]:
    """Regular *.json files below a folder, hidden ones left out: path, time of change in ns, bytes."""

    def refuse(error: OSError) -> None:
        raise BaselineError(f"Cannot list {error.filename}: {error.strerror or error}.") from error

    for where, _, names in os.walk(folder, onerror=refuse):
        for name in names:
            if not name.endswith(".json") or name.startswith("."):
                continue
            path = Path(where, name)
            try:
                found = path.stat()
            except OSError:  # a link to nothing, or gone since: `read_session` says so
                yield path, 0, 0
                continue
            if stat.S_ISREG(found.st_mode):
                yield path, found.st_mtime_ns, found.st_size


def _decoded(path: Path) -> _Run | None:
    """The thin view of a file, None where it has no block of ours. Raises BaselineError where it is damaged."""
    try:
        content = files.read(path)
        try:
            run = _decoder.decode(content).yolo_perf
        except msgspec.DecodeError:
            run = decoded(content, _File).yolo_perf
    except OSError as error:
        raise BaselineError(f"Cannot read {path}: {error.strerror or error}.") from error
    except DAMAGE as error:
        raise BaselineError(f"{path} is damaged or not a saved run: {error}.") from error
    if run is not None and run.schema > SCHEMA:
        raise BaselineError(
            f"{path} has schema {run.schema}, this yolo-perf reads up to {SCHEMA}. Upgrade yolo-perf."
        )
    if run is not None and (flaw := _flaw(run)):
        raise BaselineError(f"{path} has {flaw}: it is damaged, or not a saved run.")
    return run


def _unfit(run: _Run) -> Kind | None:
    """Why a sound run is no observation of its commit, as `baselines.require_baseline` has it."""
    if not run.complete:
        return "interrupted"
    if run.configuration.get("slow_down"):
        return "slowed"
    return None if run.measurements else "empty"


def _flaw(run: _Run) -> str:
    """What the types allow and no session has; "" where there is nothing."""
    unknown = {each.case.dtype for each in run.measurements} - set(run.peaks.flops_per_s)
    if unknown:
        return f"no peak of {', '.join(sorted(unknown))}"
    if not FIRST_YEAR <= run.created.year < LAST_YEAR:
        return f"a date in the year {run.created.year}"
    idle = any(each.work.macs + each.work.other_flops == 0 for each in run.measurements)
    return "a case without work" if idle else ""


def _session(path: Path, run: _Run) -> Session:
    seconds = tuple([low_quantile(each.round_seconds) / each.case.batch for each in run.measurements])
    peaks = {dtype: _host_peak(run, dtype) for dtype in {each.case.dtype for each in run.measurements}}
    utilizations = [
        (2 * each.work.macs + each.work.other_flops) / latency / peaks[each.case.dtype]
        for each, latency in zip(run.measurements, seconds, strict=True)
    ]
    return Session(
        name=path.name,
        folder=str(path.parent),
        created=utc(run.created),
        commit=run.commit,
        machine=slug(run.machine),
        described=describe(run.machine),
        subjects=_subjects(run.measurements),
        seconds=seconds,
        utilizations=tuple(utilizations),
    )


def _host_peak(run: _Run, dtype: Dtype) -> float:
    """FLOP/s of the session, as `Run.host_peaks`: the geometric mean of before and after."""
    before = run.peaks.flops_per_s[dtype]
    after = run.peaks_after.flops_per_s.get(dtype, before) if run.peaks_after else before
    return float((before * after) ** 0.5)


def _subjects(measurements: Sequence[_Measurement]) -> tuple[Subject, ...]:
    """What was measured, one and the same tuple for all sessions that measured the same."""
    key = tuple(
        [
            (c.size, c.backend, c.batch, c.image_size, c.threads, c.dtype, w.digest, w.source)
            for c, w in [(each.case, each.weights) for each in measurements]
        ]
    )
    found = _known_subjects.get(key)
    if found is None:
        found = tuple(
            Subject(
                case=msgspec.convert(msgspec.to_builtins(each.case), Case),
                digest=each.weights.digest,
                source=each.weights.source,
            )
            for each in measurements
        )
        _known_subjects[key] = found
    return found


def _read_chunk(paths: Sequence[Path]) -> list[Reading]:
    return [read_session(path) for path in paths]


def _through_index(
    folder: Path, listed: Sequence[tuple[Path, int, int]], while_reading: Callable[[], object]
) -> list[Reading]:
    """The readings by path: those of unchanged files from the index, which is then brought up to date."""
    place = _index_path(folder)
    index = _load(place)
    known: dict[Path, Reading] = {}
    for path, modified, size in listed:
        entry = index.entries.get(str(path.relative_to(folder)))
        if entry is not None and (entry.modified_ns, entry.size) == (modified, size):
            known[path] = _restored(path, entry, index)
    unread = [path for path, _, _ in listed if path not in known]
    known.update(zip(unread, read_files(unread, while_reading), strict=True))
    if unread or len(index.entries) != len(listed):
        _keep(place, folder, listed, known)
    return [known[path] for path, _, _ in listed]


def _index_path(folder: Path) -> Path:
    """One index for each folder and each way of reading: other sources make another file."""
    way = hashlib.sha256(Path(__file__).read_bytes() + os.fsencode(folder.resolve())).hexdigest()[:20]
    return cache_folder() / f"history-{way}.msgpack"


def _load(place: Path) -> _Index:
    """The index, an empty one where there is none or it is damaged."""
    try:
        index = msgspec.msgpack.decode(files.read(place), type=_Index)
    except (OSError, *DAMAGE):
        return _Index()
    last_machine, last_subjects = len(index.machines) - 1, len(index.subjects) - 1
    sound = all(
        each.absence is not None
        or (
            each.created is not None
            and 0 <= each.machine <= last_machine
            and 0 <= each.subjects <= last_subjects
            and len(index.subjects[each.subjects]) == len(each.seconds) == len(each.utilizations)
        )
        for each in index.entries.values()
    )
    return index if sound else _Index()


def _restored(path: Path, entry: _Entry, index: _Index) -> Reading:
    if entry.absence is not None or entry.created is None:
        kind, reason = entry.absence or ("damaged", f"{path} is damaged.")
        return Absence(kind=kind, reason=reason)
    identity, branch, dirty = entry.commit
    machine, described = index.machines[entry.machine]
    return Session(
        name=path.name,
        folder=str(path.parent),
        created=entry.created,
        commit=Commit(id=identity, branch=branch, dirty=dirty),
        machine=machine,
        described=described,
        subjects=index.subjects[entry.subjects],
        seconds=entry.seconds,
        utilizations=entry.utilizations,
    )


def _keep(
    place: Path, folder: Path, listed: Sequence[tuple[Path, int, int]], readings: dict[Path, Reading]
) -> None:
    """Write the index in one step. Where that cannot be, only the next call is slower."""
    machines: dict[tuple[str, str], int] = {}
    subjects: dict[tuple[Subject, ...], int] = {}
    places: dict[int, int] = {}  # by id(): a tuple of subjects takes long to hash
    entries = {}
    for path, modified, size in listed:
        reading = readings[path]
        entry = _Entry(modified_ns=modified, size=size)
        if isinstance(reading, Absence):
            entry.absence = (reading.kind, reading.reason)
        else:
            entry.created = reading.created
            entry.commit = (reading.commit.id, reading.commit.branch, reading.commit.dirty)
            entry.machine = machines.setdefault((reading.machine, reading.described), len(machines))
            if id(reading.subjects) not in places:
                places[id(reading.subjects)] = subjects.setdefault(reading.subjects, len(subjects))
            entry.subjects = places[id(reading.subjects)]
            entry.seconds, entry.utilizations = reading.seconds, reading.utilizations
        entries[str(path.relative_to(folder))] = entry
    index = _Index(machines=list(machines), subjects=list(subjects), entries=entries)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        files.write(place, msgspec.msgpack.encode(index))
    except OSError as error:
        log.info("What was read could not be kept: %s.", error)
