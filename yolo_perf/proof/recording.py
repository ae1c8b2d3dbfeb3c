"""Recording pairs for a proof of the gate: conditions in turn, a row written as soon as it is measured."""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from yolo_perf.errors import BaselineError, UsageError
from yolo_perf.proof.rows import Header, Row, header_line, read_rows, row_line
from yolo_perf.records import Pair

IDENTICAL_SHARE = 4
"""Undisturbed pairs of identical sides in a cycle: most of what a proof says rests on these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is done on purpose while a pair is measured."""

    inject: str = ""
    disturb: str = "none"


def schedule(injections: Sequence[str], disturbances: Sequence[str]) -> tuple[Setting, ...]:
    """One cycle: identical sides undisturbed, then under each disturbance, then each injection undisturbed."""
    return (
        *(Setting() for _ in range(IDENTICAL_SHARE)),
        *(Setting(disturb=kind) for kind in disturbances),
        *(Setting(inject=injection) for injection in injections),
    )


def record(
    measure: Callable[[Setting], Pair],
    path: Path,
    settings: Sequence[Setting],
    *,
    header: Header,
    more: Callable[[int], bool],
    clock: Callable[[], float] = time.time,
) -> Iterator[Row]:
    """Each row once it is in the file, for as long as there are to be `more` than so many.

    A new file begins with the header; what was recorded before stays. Raises BaselineError where the file cannot
    be written.
    """
    for number, setting in enumerate(itertools.cycle(settings)):
        if not more(number):
            return
        started = clock()
        pair = measure(setting)
        row = Row(
            inject=setting.inject,
            disturb=setting.disturb,
            at=round(started),
            took=round(clock() - started, 1),
            pair=pair,
        )
        _append(path, row_line(row), header_line(header))
        yield row


def check_setup(path: Path, machine: str, setup: str) -> None:
    """Raise UsageError where a file holds pairs of another machine or setup: mixed they would prove nothing."""
    if not recorded(path):
        return
    before = read_rows(path).header
    for was, now in ((before.machine, machine), (before.setup, setup)):
        if was != now:
            kind = was or "an unknown setup"
            raise UsageError(f"{path} holds pairs of {kind}, not of {now}. Name another file.")


def recorded(path: Path) -> int:
    """How many rows there are already. Raises BaselineError where a file holds anything else."""
    if not path.exists() or (path.is_file() and not path.stat().st_size):
        return 0
    return len(read_rows(path).rows)  # what is no file is refused here, not after a pair was measured for it


def _append(path: Path, line: bytes, header: bytes) -> None:
    """A line of its own, whatever the file ends in."""
    try:
        with path.open("a+b") as stream:
            size = stream.seek(0, 2)
            if size:
                stream.seek(size - 1)
            whole = not size or stream.read(1) == b"\n"
            stream.write((b"" if size else header) + (b"" if whole else b"\n") + line)
    except OSError as error:
        raise BaselineError(f"Cannot write {path}: {error.strerror or error}.") from error
