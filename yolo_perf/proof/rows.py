"""Recorded pairs, from which a proof of the gate is scored: a file of one JSON object a line, or that as .xz.

The first line may name the machine. Files are hostile until parsed.
"""

import lzma
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from yolo_perf import files
from yolo_perf.errors import BaselineError, UsageError
from yolo_perf.pairing.sides import Injection, parse_side
from yolo_perf.proof.disturb import DISTURBANCES
from yolo_perf.records import Pair, SideRounds

SCHEMA = 1
MAX_BYTES = 1 << 28
MAX_LINE = 1 << 22
MAX_ROWS = 10_000
MAX_CASES, MAX_LABEL = 100, 100
MAX_ROUNDS = 1_000
"""Of a case in a pair: their pairwise averages are taken, which grow with the square."""
_CHUNK = 1 << 16
_DICTIONARY = 1 << 27  # bytes that decompression may take, more than any preset needs


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One pair of processes, and what was done to it on purpose."""

    inject: Annotated[str, Meta(max_length=200)] = ""  # as `inject:` takes it, into the head; "" for nothing
    disturb: Annotated[str, Meta(max_length=40)] = "none"  # one of DISTURBANCES
    at: Annotated[float, Meta(ge=0, lt=1e12)]  # seconds of the epoch
    took: Annotated[float, Meta(ge=0, lt=1e7)]  # seconds of the whole pair, start-up included
    pair: Pair

    @property
    def injection(self) -> Injection | None:
        """What was injected; None for two identical sides. Raises UsageError where it is no injection."""
        return parse_side([f"inject:{self.inject}"], Path()).inject[0] if self.inject else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Where, when and of what the pairs were recorded."""

    schema: Annotated[int, Meta(ge=1)] = SCHEMA
    machine: Annotated[str, Meta(max_length=200)] = ""
    created: Annotated[str, Meta(max_length=40)] = ""  # ISO 8601, UTC
    setup: Annotated[str, Meta(max_length=500)] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """All of a recording, in its order."""

    rows: tuple[Row, ...]
    header: Header = Header()


@dataclass(frozen=True, slots=True, kw_only=True)
class _First:
    yolo_perf_rows: Header | None = None


def read_rows(path: Path) -> Rows:
    """The rows of a file. Raises BaselineError naming the file, the line and what is wrong with it."""
    header = Header()
    rows: list[Row] = []
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        if len(rows) == MAX_ROWS:
            raise BaselineError(f"{path} holds more than {MAX_ROWS} pairs.")
        try:
            head = None if rows else msgspec.json.decode(line, type=_First).yolo_perf_rows
            if head is None:
                rows.append(_row(line))
                continue
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError, UsageError, ValueError) as error:
            raise BaselineError(f"{path}, line {number}: no recorded pair: {error}. Remove the line.") from error
        if head.schema > SCHEMA:
            raise BaselineError(
                f"{path} has schema {head.schema}, this yolo-perf reads up to {SCHEMA}. Upgrade yolo-perf."
            )
        header = head
    if not rows:
        raise BaselineError(f"{path} holds no pairs. Record some: yolo-perf prove-gate --record FILE")
    return Rows(rows=tuple(rows), header=header)


def write_rows(rows: Rows, path: Path) -> None:
    """Write all rows, whole or not at all. Raises BaselineError where that cannot be done."""
    content = header_line(rows.header) + b"".join(row_line(row) for row in rows.rows)
    if path.suffix == ".xz":
        content = lzma.compress(content, preset=9)
    try:
        files.write(path, content)
    except OSError as error:
        raise BaselineError(f"Cannot write {path}: {error.strerror or error}.") from error


def header_line(header: Header) -> bytes:
    """The first line of a file of rows."""
    return msgspec.json.encode(_First(yolo_perf_rows=header)) + b"\n"


def row_line(row: Row) -> bytes:
    """A row's line, its times in whole microseconds: a tenth of the file, and far below any difference."""
    turns = tuple(replace(turn, base=_rounded(turn.base), head=_rounded(turn.head)) for turn in row.pair.turns)
    return msgspec.json.encode(replace(row, pair=Pair(turns=turns))) + b"\n"


def _rounded(side: SideRounds) -> SideRounds:
    def micro(seconds: float | None) -> float | None:
        return None if seconds is None else round(seconds, 6)

    host = replace(
        side.host,
        steal_s=micro(side.host.steal_s),
        run_delay_s=micro(side.host.run_delay_s),
        other_cpu_s=micro(side.host.other_cpu_s),
    )
    return SideRounds(
        round_seconds=tuple(max(round(seconds, 6), 1e-6) for seconds in side.round_seconds), host=host
    )


def _row(line: bytes) -> Row:
    row = msgspec.json.decode(line, type=Row)
    turns = row.pair.turns
    if not any(not turn.control for turn in turns):
        raise ValueError("it has no case")
    if len({turn.label for turn in turns}) < len(turns):
        raise ValueError("a case is there twice")
    if len(turns) > MAX_CASES or any(len(turn.label) > MAX_LABEL for turn in turns):
        raise ValueError(f"it has more than {MAX_CASES} cases, or names of more than {MAX_LABEL} characters")
    for turn in turns:
        rounds = (len(turn.base.round_seconds), len(turn.head.round_seconds))
        if rounds[0] != rounds[1] or rounds[0] > MAX_ROUNDS:
            raise ValueError(f"{rounds[0]} and {rounds[1]} rounds of {turn.label[:60]!r}")
    if row.disturb not in DISTURBANCES:
        raise ValueError(f"unknown disturbance {row.disturb!r}")
    row.injection  # noqa: B018 - raises for one that is none
    return row


def _lines(path: Path) -> Iterator[bytes]:
    """The lines, decompressed as they are asked for, up to what a recording can hold."""
    total, rest = 0, b""
    try:
        for block in _decompressed(path) if path.suffix == ".xz" else _chunks(path):
            total += len(block)
            *lines, rest = (rest + block).split(b"\n")
            if total > MAX_BYTES or len(rest) > MAX_LINE:
                raise BaselineError(f"{path} is larger than any recording ({MAX_BYTES >> 20} MiB).")
            yield from lines
    except OSError as error:
        raise BaselineError(f"Cannot read {path}: {error.strerror or error}.") from error
    except lzma.LZMAError as error:
        raise BaselineError(f"{path} is damaged: {error}. Restore it from git.") from error
    yield rest


def _chunks(path: Path) -> Iterator[bytes]:
    with files.opened(path) as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def _decompressed(path: Path) -> Iterator[bytes]:
    """The content in pieces that are small however much a few bytes stand for."""
    decompressor = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_DICTIONARY)
    for chunk in _chunks(path):
        if decompressor.eof:
            raise lzma.LZMAError("more follows its end")
        yield decompressor.decompress(chunk, max_length=_CHUNK)
        while not decompressor.needs_input and not decompressor.eof:
            yield decompressor.decompress(b"", max_length=_CHUNK)
    if not decompressor.eof or decompressor.unused_data:
        raise lzma.LZMAError("its end is missing" if not decompressor.eof else "more follows its end")
