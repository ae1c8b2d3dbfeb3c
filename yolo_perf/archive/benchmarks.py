"""Saved benchmarks in one light form, whoever measured them: yolo-perf, or plain pytest-benchmark.

A file with a `yolo_perf` block is read for that block. Any other file of pytest-benchmark's gives its benchmarks
by node id: from their raw rounds where it has them (--benchmark-json, --benchmark-save-data), else from the
statistics that it saved. Files are hostile until parsed.
"""

import hashlib
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import msgspec

from yolo_perf import escape
from yolo_perf.analysis.rounds import low_quantile
from yolo_perf.archive.saved_run import BLOCK, content_of, decoded, parsed
from yolo_perf.errors import BaselineError
from yolo_perf.escape import spelled
from yolo_perf.machine.naming import plain_model, slug
from yolo_perf.records import Commit, Measurement, Positive, Reference, Run, Seconds
from yolo_perf.verdict.chronology import utc

log = logging.getLogger(__name__)

REFERENCE_BLOCK = f"{BLOCK}_reference"
_NO_COMMIT = ("unversioned", "unknown")  # what pytest-benchmark writes outside of a repository
_NO_BRANCH = ("(unknown)", "(detached head)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One benchmark of a session. Seconds are an image's where yolo-perf measured them, else a call's.

    `low_s` and `high_s` are the first and the last decile of the rounds; where a file holds no rounds, they are
    the quartiles that it saved, or its extremes.
    """

    name: str  # the case's id, or pytest's node id; printable
    median_s: float
    min_s: float
    low_s: float
    high_s: float
    max_s: float
    rounds: int
    round_seconds: tuple[float, ...] = ()  # raw, of whole rounds; () where the file does not hold them
    measurement: Measurement | None = None  # what yolo-perf knows of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmarks:
    """One saved session: its benchmarks, when, on what, from which source. Texts are printable."""

    created: datetime  # UTC
    machine: str  # of a-z, 0-9 and "-"
    cpu_model: str
    commit: Commit
    benchmarks: tuple[Benchmark, ...]
    run: Run | None = None  # the whole record, where yolo-perf measured

    @property
    def caution(self) -> str:
        """What is to be known before these figures are used: "was interrupted"; "" where there is nothing."""
        if self.run is None:
            return ""
        if not self.run.complete:
            return "was interrupted"
        return "was slowed down on purpose" if self.run.configuration.get("slow_down") else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cpu:
    brand_raw: str = ""
    brand: str = ""  # its name in older files
    count: Positive | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _MachineInfo:
    machine: str = ""
    node: str = ""
    system: str = ""
    release: str = ""
    cpu: _Cpu | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _CommitInfo:
    id: str | None = None
    branch: str | None = None
    dirty: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stats:
    min: Seconds
    median: Seconds
    max: Seconds
    q1: Seconds | None = None
    q3: Seconds | None = None
    rounds: Positive
    data: tuple[Seconds, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    fullname: Annotated[str, msgspec.Meta(min_length=1)]
    stats: _Stats


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    benchmarks: tuple[Any, ...]  # each is read by itself: one that cannot be does not take the others with it
    datetime: datetime
    machine_info: _MachineInfo | None = None
    commit_info: _CommitInfo | None = None


def read_benchmarks(path: Path) -> Benchmarks:
    """The timed benchmarks that a file of yolo-perf's or of pytest-benchmark's holds; one at least.

    Raises BaselineError naming the file, and what is wrong with it.
    """
    content = content_of(path)
    found = _of_saved(path, parsed(path, content)) if _has_block(path, content) else _of_plain(path, content)
    if not found.benchmarks:
        raise BaselineError(f"{path} holds no timed benchmark. Give a file of a session that timed something.")
    return found


def _has_block(path: Path, content: bytes) -> bool:
    found: Mapping[str, object]
    try:
        try:
            raw = msgspec.json.decode(content, type=dict[str, msgspec.Raw])  # nothing is built for it
            found = {name: None if bytes(each) == b"null" else each for name, each in raw.items()}
        except msgspec.DecodeError:
            found = decoded(content, dict[str, Any])
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BaselineError(f"{path} is damaged or not a file of benchmarks: {error}.") from error
    return any(found.get(name) is not None for name in (BLOCK, REFERENCE_BLOCK))


def _of_saved(path: Path, saved: Run | Reference) -> Benchmarks:
    if isinstance(saved, Reference):
        raise BaselineError(
            f"{path} holds published figures of another machine: no benchmark was timed there. "
            f"To see them beside this machine: {escape.command('yolo-perf', 'compare', path)}"
        )
    return of_run(path, saved)


def of_run(path: Path, run: Run) -> Benchmarks:
    """A run's measurements in the light form. Raises BaselineError naming the path where it has no date."""
    return Benchmarks(
        created=_utc(path, datetime.fromisoformat(run.created)),
        machine=slug(run.machine),
        cpu_model=spelled(run.machine.cpu_model),
        commit=_commit(run.commit.id, run.commit.branch, dirty=run.commit.dirty),
        benchmarks=tuple(map(_measured, run.measurements)),
        run=run,
    )


def _measured(measurement: Measurement) -> Benchmark:
    """A measurement as a benchmark: rounds over their batch."""
    return _of_rounds(
        measurement.case.id,
        [seconds / measurement.case.batch for seconds in measurement.round_seconds],
        measurement.round_seconds,
        measurement,
    )


def _of_rounds(
    name: str, seconds: Sequence[float], raw: tuple[float, ...], measurement: Measurement | None = None
) -> Benchmark:
    return Benchmark(
        name=spelled(name),
        # Of a measurement its own: a median of quotients is not always, bit for bit, the quotient of a median.
        median_s=median(seconds) if measurement is None else measurement.latency_s,
        min_s=min(seconds),
        low_s=low_quantile(seconds),
        high_s=-low_quantile([-each for each in seconds]),
        max_s=max(seconds),
        rounds=len(seconds),
        round_seconds=raw,
        measurement=measurement,
    )


def _of_plain(path: Path, content: bytes) -> Benchmarks:
    """The benchmarks of a file without our block."""
    try:
        file = decoded(content, _File)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BaselineError(
            f"{path} has no `{BLOCK}` block, and is no sound file of pytest-benchmark's: {error}."
        ) from error
    info = file.machine_info or _MachineInfo()
    cpu = info.cpu or _Cpu()
    commit = file.commit_info or _CommitInfo()
    return Benchmarks(
        created=_utc(path, file.datetime),
        machine=_machine_name(info),
        cpu_model=spelled(cpu.brand_raw or cpu.brand),
        commit=_commit(commit.id, commit.branch, dirty=commit.dirty),
        benchmarks=_readable(path, file.benchmarks),
    )


def _readable(path: Path, entries: Iterable[Any]) -> tuple[Benchmark, ...]:
    """The benchmarks that can be read; each of the others is named and left out. BaselineError where none can."""
    found: list[Benchmark] = []
    reasons: list[str] = []
    for number, entry in enumerate(entries, 1):
        name = entry.get("fullname") if isinstance(entry, dict) else None
        shown = spelled(name)[:80] if isinstance(name, str) and name else f"number {number}"
        try:
            found.append(_plain(path, msgspec.convert(entry, _Entry)))
        except (msgspec.ValidationError, BaselineError) as error:
            reasons.append(f"{shown}: {error}")
    if reasons and not found:
        raise BaselineError(f"{path} holds no benchmark that can be read: {reasons[0]}")
    for reason in reasons:
        log.warning("%s: left out is benchmark %s", path, reason)
    return tuple(found)


def _plain(path: Path, entry: _Entry) -> Benchmark:
    """One benchmark, from its rounds where there are any."""
    stats = entry.stats
    if stats.data:
        return _of_rounds(entry.fullname, stats.data, stats.data)
    low, high = stats.q1 or stats.min, stats.q3 or stats.max
    if not stats.min <= low <= stats.median <= high <= stats.max:
        raise BaselineError(f"{path} has statistics out of order in {entry.fullname!r:.80}: it is damaged.")
    return Benchmark(
        name=spelled(entry.fullname),
        median_s=stats.median,
        min_s=stats.min,
        low_s=low,
        high_s=high,
        max_s=stats.max,
        rounds=stats.rounds,
    )


def _machine_name(info: _MachineInfo) -> str:
    """What pytest-benchmark tells of a machine, as a name: "amd-epyc-2-cpus". Its host name stays out of it."""
    cpu = info.cpu or _Cpu()
    brand = cpu.brand_raw or cpu.brand or info.machine
    count = "" if cpu.count is None else f"-{cpu.count}-cpus"
    name = re.sub(r"[^a-z0-9]+", "-", plain_model(brand).lower()).strip("-")[:40] or "unknown-cpu"
    told = (info.system, info.release, info.node)
    if not (cpu.brand_raw or cpu.brand) and any(told):  # else two machines of unknown CPUs would be one
        count += f"-{hashlib.sha256(msgspec.json.encode(told)).hexdigest()[:8]}"
    return name + count


def _commit(id_: str | None, branch: str | None, *, dirty: bool) -> Commit:
    return Commit(
        id=spelled(id_) if id_ and id_ not in _NO_COMMIT else None,
        branch=spelled(branch) if branch and branch not in _NO_BRANCH else None,
        dirty=dirty,
    )


def _utc(path: Path, moment: datetime) -> datetime:
    """A moment in UTC, which it is taken to be in where it names no zone, as old files do."""
    try:
        return utc(moment)
    except (ValueError, OverflowError) as error:
        raise BaselineError(f"{path} has a date that no calendar holds: {moment}. It is damaged.") from error
