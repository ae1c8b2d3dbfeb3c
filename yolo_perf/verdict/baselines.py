"""Saved runs: pytest-benchmark's own JSON with a `yolo_perf` block, in one folder a machine.

    baselines/<machine>/NNNN_baseline.json

Files are hostile until parsed: the block is decoded into typed records or refused with one sentence.
"""

import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec

from yolo_perf.errors import BaselineError
from yolo_perf.machine.identity import slug
from yolo_perf.records import SCHEMA, Machine, Reference, Run

BLOCK = "yolo_perf"
REFERENCES = "reference"
MAX_BYTES = 1 << 28
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


def read_run(path: Path) -> Run:
    """The run that a file holds. Raises BaselineError naming the file and what is wrong with it."""
    saved = read_saved(path)
    if isinstance(saved, Reference):
        raise BaselineError(
            f"{path} holds published figures of another machine, without raw rounds: it is no baseline. "
            f"To see them beside this machine: yolo-perf compare {path}"
        )
    return saved


def read_saved(path: Path) -> Run | Reference:
    """The run or the reference that a file holds. Raises BaselineError as `read_run` does."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BaselineError(f"{path} is larger than {MAX_BYTES >> 20} MiB: not a saved run.")
        content = path.read_bytes()
    except OSError as error:
        raise BaselineError(f"Cannot read {path}: {error.strerror or error}.") from error
    try:
        heads = msgspec.json.decode(content, type=_Head)
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
            return msgspec.json.decode(content, type=_ReferenceFile).yolo_perf_reference
        run = msgspec.json.decode(content, type=_File).yolo_perf
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BaselineError(
            f"{path} is damaged or not a saved run: {error}. Remove it, or restore it from git."
        ) from error
    unknown = {"fp32", *(m.case.dtype for m in run.measurements)} - set(run.peaks.flops_per_s)
    if unknown:
        raise BaselineError(
            f"{path} has no peak of {', '.join(sorted(unknown))}: it is damaged, or not a saved run."
        )
    return run


def block(run: Run) -> dict[str, Any]:
    """The run as plain values, for pytest-benchmark's JSON."""
    plain: dict[str, Any] = msgspec.to_builtins(run)
    return plain


def find_baseline(folder: Path, machine: Machine, number: str = "") -> Path | None:
    """This machine's newest baseline, of those whose name starts as given; None where there is none."""
    found = [path for _, path in _numbered(folder / slug(machine)) if path.name.startswith(number)]
    return found[-1] if found else None


def locate_saved(name: str, folder: Path) -> Path:
    """The file of a path, of a reference's name ("ryzen-7-6800hs"), or of a machine folder's newest baseline.

    Raises BaselineError naming what there is.
    """
    try:
        if Path(name).is_file():
            return Path(name)
    except OSError as error:  # a name that no file system takes
        raise BaselineError(f"No saved run {name[:40]!r}...: {error.strerror}.") from error
    reference = folder / REFERENCES / f"{name}.json"
    if reference.is_file():
        return reference
    newest = [path for _, path in _numbered(folder / name)]
    if newest:
        return newest[-1]
    references = sorted(path.stem for path in (folder / REFERENCES).glob("*.json"))
    known = ", ".join((*references, *machines_in(folder))) or "none"
    raise BaselineError(f"No saved run {name!r}. Give a file, or one of those in {folder}: {known}.")


def machines_in(folder: Path) -> tuple[str, ...]:
    """Names of the machine folders that hold a baseline."""
    if not folder.is_dir():
        return ()
    return tuple(sorted(p.name for p in folder.iterdir() if p.is_dir() and any(_numbered(p))))


def save_baseline(document: Mapping[str, Any], folder: Path, machine: Machine) -> Path:
    """Write a run's document as this machine's next baseline, whole or not at all; its path.

    Two sessions that save at once get two numbers. Raises BaselineError where the folder cannot be written.
    """
    target = folder / slug(machine)
    try:
        target.mkdir(parents=True, exist_ok=True)
        scratch = _scratch(document, target)
        try:
            return _claim(scratch, target)
        finally:
            scratch.unlink(missing_ok=True)
    except OSError as error:
        raise BaselineError(
            f"Cannot save a baseline in {target}: {error.strerror or error}. Nothing was changed there."
        ) from error


def write_document(document: Mapping[str, Any], path: Path) -> None:
    """Write a run's document to a path in one step, replacing what is there. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = _scratch(document, path.parent)
    try:
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def _scratch(document: Mapping[str, Any], folder: Path) -> Path:
    """The document in a temporary file of the same file system, flushed to disk."""
    content = json.dumps(document, indent=1, default=str, allow_nan=False)
    descriptor, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=folder)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(content + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def _claim(scratch: Path, target: Path) -> Path:
    """Give the scratch file the next free number. A hard link fails where the name is taken: no race."""
    number = max((number for number, _ in _numbered(target)), default=0)
    while True:
        number += 1
        path = target / f"{number:04d}_baseline.json"
        try:
            os.link(scratch, path)
        except FileExistsError:
            continue
        except OSError:  # a file system without hard links: take the name first, then fill it
            try:
                path.touch(exist_ok=False)
            except FileExistsError:
                continue
            scratch.replace(path)
        return path


def _numbered(folder: Path) -> Iterator[tuple[int, Path]]:
    """The baselines of one machine's folder, oldest first."""
    if not folder.is_dir():
        return
    matches = ((_NUMBER.fullmatch(path.name), path) for path in folder.iterdir())
    yield from sorted((int(match[1]), path) for match, path in matches if match)
