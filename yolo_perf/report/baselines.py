"""The tables of saved runs: what a folder holds, and one run in full."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from yolo_perf import units
from yolo_perf.archive.baselines import Shelf
from yolo_perf.archive.histories import Spread
from yolo_perf.escape import printable
from yolo_perf.records import Commit, Run
from yolo_perf.report import tables
from yolo_perf.report.remarks import remarks
from yolo_perf.report.tables import columns, render, wrapped
from yolo_perf.report.telling import left_out, telling


def listing(shelves: Sequence[Shelf], here: str, *, width: int = 80, color: bool = False) -> str:
    """One row a machine, the published ones last; `here` is this one's name. Then what cannot be used."""
    if not shelves:
        return "Nothing is saved there. Record a baseline: pytest benchmarks/ --perf-save"
    table = columns("  machine", ("sessions", "newest", "commit", "cases"), "")
    for shelf in shelves:
        table.add_row(*map(printable, _row(shelf, here)))
    own = any(shelf.name == here for shelf in shelves)
    dirty = any(run.commit.dirty for shelf in shelves for _, run in shelf.runs[-1:])
    notes = [
        "*: this machine." if own else "No baseline of this machine. Record one: pytest benchmarks/ --perf-save",
        *(["+: with changes that were not committed."] if dirty else []),
        *(f"Not usable: {reason}" for shelf in shelves for reason in shelf.damaged),
    ]
    return "\n".join([render(table, width=width, color=color), *(wrapped(note, width, "    ") for note in notes)])


def saved_run(path: Path, run: Run, spreads: Sequence[Spread], *, width: int = 80, color: bool = False) -> str:
    """One saved run: when and of which source, machine and roofs, its cases, and how far sessions lie apart."""
    whole, run = run, telling(run)
    chosen = {id(m) for m in run.measurements}
    spreads = [each for m, each in zip(whole.measurements, spreads, strict=True) if id(m) in chosen]
    run = msgspec.convert(_printable(msgspec.to_builtins(run)), Run)  # a file may come from anywhere
    settings = ", ".join(f"{name} {value}" for name, value in run.configuration.items() if value not in (None, ""))
    kept = {
        "stages": len(run.stages),
        "points of throughput": len(run.throughput),
        "cases of memory": len(run.memory),
    }
    also = ", ".join(f"{count} {what}" for what, count in kept.items() if count)
    lines = [
        f"{path}: session of {run.created}{'' if run.complete else ', INTERRUPTED'}",
        f"commit {_commit(run.commit)}; pictures {run.data}" + (f"; holds {also} too" if also else ""),
        f"settings: {settings or 'unknown'}",
    ]
    return "\n".join(
        [
            *(wrapped(line, width, "    ") for line in lines),
            "",
            tables.machine(run.machine, run.peaks, width=width, color=color),
            "",
            tables.results(run, width=width, color=color) if run.measurements else "No inference was measured.",
            *(wrapped(line, width) for line in (*remarks(run), left_out(whole, run)) if line),
            "",
            _spreads(run, spreads, width=width, color=color),
        ]
    ).rstrip()


def _row(shelf: Shelf, here: str) -> tuple[str, ...]:
    name = f"{'*' if shelf.name == here else ' '} {shelf.name}"
    if shelf.reference:
        return (name, "-", "-", "-", str(len(shelf.reference.results)), "published")
    remark = f"{len(shelf.damaged)} damaged" if shelf.damaged else ""
    if not shelf.runs:
        return (name, "0", "-", "-", "-", remark)
    newest = shelf.runs[-1][1]
    commit = f"{(newest.commit.id or '-')[:8]}{'+' if newest.commit.dirty else ''}"
    return (name, str(len(shelf.runs)), newest.created[:10], commit, str(len(newest.measurements)), remark)


def _commit(commit: Commit) -> str:
    if commit.id is None:
        return "unknown"
    branch = f" on {commit.branch}" if commit.branch else ""
    return f"{commit.id[:12]}{branch}{', with changes that were not committed' if commit.dirty else ''}"


def _spreads(run: Run, spreads: Sequence[Spread], *, width: int, color: bool) -> str:
    """The cases that more than one session has, each with its spread."""
    found = [
        (f"{m.case.label} x{m.case.batch}" if m.case.batch > 1 else m.case.label, each.sessions, each.deviation)
        for m, each in zip(run.measurements, spreads, strict=True)
        if each.deviation is not None
    ]
    if not found:
        return wrapped(
            "Fewer than two saved sessions of this machine have these cases: how far sessions lie apart is not "
            "known. Save more: pytest benchmarks/ --perf-save",
            width,
        )
    table = columns("between sessions", ("sessions", "spread %"))
    for label, count, deviation in found:
        table.add_row(label, str(count), units.percent(deviation))
    widest, label = max((deviation, label) for label, _, deviation in found)
    middle = median(deviation for _, _, deviation in found)
    notes = (
        "spread %: standard deviation between sessions of the logarithm of the latency's low quantile. "
        "Commits and libraries that differ between them are in it.",
        f"Median {units.percent(middle)} %, widest {units.percent(widest)} % ({label}).",
    )
    return "\n".join([render(table, width=width, color=color), *(wrapped(note, width) for note in notes)])


def _printable(value: Any) -> Any:
    """Plain values with their texts without control characters."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {_printable(key): _printable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(each) for each in value]
    return value
