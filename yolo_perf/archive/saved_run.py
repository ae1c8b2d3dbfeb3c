"""One saved run: pytest-benchmark's own JSON with a `yolo_perf` block, read, checked and written.

Files are hostile until parsed: the block is decoded into typed records or refused with one sentence.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from yolo_perf import escape, files
from yolo_perf.errors import BaselineError
from yolo_perf.machine.naming import fingerprint
from yolo_perf.records import SCHEMA, LayerProfile, Reference, Run
from yolo_perf.verdict.chronology import utc

T = TypeVar("T")
BLOCK = "yolo_perf"


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


def read_run(path: Path) -> Run:
    """The run that a file holds. Raises BaselineError naming the file and what is wrong with it."""
    return as_run(path, read_saved(path))


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


def write_document(document: Mapping[str, Any], path: Path) -> None:
    """Write a run's document to a path in one step, replacing what is there. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write(path, encoded(document))


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


def as_run(path: Path, saved: Run | Reference) -> Run:
    """The run, where that is what a file held. Raises BaselineError for a published machine."""
    if isinstance(saved, Reference):
        raise BaselineError(
            f"{path} holds published figures of another machine, without raw rounds: it is no baseline. "
            f"To see them beside this machine: {escape.command('yolo-perf', 'compare', path)}"
        )
    return saved


def encoded(document: Mapping[str, Any]) -> bytes:
    """A run's document as the bytes of its file."""
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
