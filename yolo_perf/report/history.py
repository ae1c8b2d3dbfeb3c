"""Many saved sessions in words: a table of trends, a line of blocks a case, what changed and what creeps."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from rich.text import Text

from yolo_perf import units
from yolo_perf.escape import printable
from yolo_perf.records import Commit
from yolo_perf.report.tables import columns, render, wrapped
from yolo_perf.report.telling import MOST_CASES, first_of
from yolo_perf.settings import LATENCY_MARGIN
from yolo_perf.verdict.history import Change, Creep, History, MachineHistory, Point, Series

Row = dict[str, object]

BLOCKS, ASCII = "▁▂▃▄▅▆▇█", "_.-~=+*#"
SPARKS = 24
"""Characters of a line of blocks, at most."""
NEGLIGIBLE = 0.5
"""Of a change of latency: where utilisation moved by less than so much of it, the machine itself changed."""
NOTES = (
    "ms: low quantile of the rounds, per image. trend %: along the Theil-Sen line from first to last session. "
    "spread %: between sessions, with changes of level taken out.",
    "From session to session, so weak: what the host did in those days is in it. To decide on two commits: "
    "yolo-perf ab --base ref:BEFORE --head ref:AFTER",
)


def history(found: History, *, width: int = 80, color: bool = False, blocks: str = BLOCKS) -> str:
    """Each machine's table and its changes in words; `blocks` are the eight heights of a line, lowest first."""
    parts = [_machine(each, width=width, color=color, blocks=blocks) for each in found.machines]
    if not parts:
        parts = ["No session of inference is there to look back on."]
    else:
        parts.append("\n".join(wrapped(note, width) for note in NOTES))
    if found.left_out:
        parts.append(f"Left out: {', '.join(f'{count} {why}' for why, count in found.left_out)}.")
    return "\n\n".join(parts)


def change_line(name: str, series: Series, change: Change) -> str:
    """One change point as a sentence: by how much, when, in which range of commits, how sure."""
    kind = "SLOWER" if change.regression else "faster"
    before, after = series.points[change.index - 1], series.points[change.index]
    remark = ", taken back since" if change.regression and change not in series.standing else ""
    return (
        f"{kind} {name} {units.signed_percent(change.ratio)}{remark}: {_range(before, after)} "
        f"(p {_p(change.p)}; utilisation {units.signed_percent(change.utilization_ratio)}"
        f"{': the machine itself was ' + kind.lower() if _machines_own(change) else ''})"
    )


def creep_line(name: str, series: Series, creep: Creep) -> str:
    """A creeping regression as a sentence."""
    before, after = series.points[creep.start], series.points[creep.end]
    return (
        f"CREEPS {name} {units.signed_percent(creep.ratio)} in small steps, none beyond the margin: "
        f"{_range(before, after)} (p {_p(creep.p)})"
    )


def sparkline(seconds: Sequence[float], blocks: str = BLOCKS, most: int = SPARKS) -> str:
    """The seconds as heights, medians of neighbours where there are more than `most`.

    The scale is from the lowest to the highest, and at least the gate's margin: noise is to look small.
    """
    count = min(len(seconds), most)
    edges = [round(i * len(seconds) / count) for i in range(count + 1)]
    values = [median(seconds[a:b]) for a, b in pairwise(edges)]
    low = min(values)
    span = max(max(values) - low, LATENCY_MARGIN * low)
    return "".join(blocks[min(int((value - low) / span * len(blocks)), len(blocks) - 1)] for value in values)


def names(machine: MachineHistory) -> tuple[str, ...]:
    """A name for each series, in their order: as short as tells it from the others."""
    forms = [
        (
            each.subject.case.label,
            each.subject.case.id,
            f"{each.subject.case.id} {each.subject.source} {each.subject.digest[:8]}",
        )
        for each in machine.series
    ]
    counts = [Counter(form[length] for form in forms) for length in range(3)]
    return tuple(
        printable(next((form[n] for n in range(2) if counts[n][form[n]] == 1), form[2])) for form in forms
    )


def rows(found: History) -> list[Row]:
    """One flat row a series, in SI units: what CSV holds. Times are ISO 8601."""
    return [
        {**_identity(machine, each), **_figures(each), **_last_change(each)}
        for machine in found.machines
        for each in machine.series
    ]


def document(found: History) -> Row:
    """Everything, in SI units: what JSON holds. Changes and creeping refer to the points by index, from 0."""
    return {
        "machines": [
            {
                "machine": machine.machine,
                "description": machine.described,
                "sessions": machine.sessions,
                "series": [_series(machine, each) for each in machine.series],
            }
            for machine in found.machines
        ],
        "left_out": dict(found.left_out),
    }


def _machine(machine: MachineHistory, *, width: int, color: bool, blocks: str) -> str:
    table = columns("case", ("sessions", "first ms", "last ms", "trend %", "spread %"))
    named = list(zip(names(machine), machine.series, strict=True))
    shown = _most_telling(named)
    for name, series in shown:
        table.add_row(
            Text(name, style="bold red" if series.regressed else ""),
            str(len(series.points)),
            units.milliseconds(series.points[0].seconds),
            units.milliseconds(series.points[-1].seconds),
            "-" if series.trend is None else f"{100 * (series.trend - 1):+.1f}",
            "-" if series.spread is None else units.percent(series.spread),
        )
    lines = render(table, width=width, color=color).splitlines()
    first_row = len(lines) - table.row_count
    told_of = lines[:first_row]
    for line, (_, series) in zip(lines[first_row:], shown, strict=True):
        told_of += [line, _below(series, blocks)] if len(series.points) > 1 else [line]
    newest = max(each.points[-1].created for each in machine.series)
    oldest = min(each.points[0].created for each in machine.series)
    heading = f"{machine.described}: {machine.sessions} session{'' if machine.sessions == 1 else 's'}, "
    told = [
        *(creep_line(name, each, each.creep) for name, each in shown if each.creep),
        *(change_line(name, each, change) for name, each in shown for change in each.changes),
    ]
    return "\n".join(
        [
            wrapped(f"{heading}{oldest:%Y-%m-%d} to {newest:%Y-%m-%d}", width),
            *told_of,
            *filter(None, [first_of(named)]),
            *([""] if told else []),
            *(wrapped(line, width, "    ") for line in told or ["No change of level, and nothing creeps."]),
        ]
    )


def _most_telling(named: list[tuple[str, Series]]) -> list[tuple[str, Series]]:
    """At most as many series as a reader takes in, in their order: what regressed, changed or creeps first."""
    if len(named) <= MOST_CASES:
        return named

    def order(pair: tuple[str, Series]) -> tuple[bool, bool, float]:
        series = pair[1]
        return not series.regressed, not (series.changes or series.creep), -abs((series.trend or 1.0) - 1.0)

    chosen = {id(series) for _, series in sorted(named, key=order)[:MOST_CASES]}
    return [pair for pair in named if id(pair[1]) in chosen]


def _below(series: Series, blocks: str) -> str:
    """A case's second line: its latency drawn, and its last change."""
    drawn = sparkline([point.seconds for point in series.points], blocks)
    if not series.changes:
        return f"  {drawn}"
    last = series.changes[-1]
    before, after = series.points[last.index - 1], series.points[last.index]
    return (
        f"  {drawn:<{SPARKS}}  {after.created:%Y-%m-%d}  {_commit(before.commit)}..{_commit(after.commit)}  "
        f"{units.signed_percent(last.ratio)}"
    )


def _range(before: Point, after: Point) -> str:
    """ "abc1234..def5678, 2026-01-01 to 2026-01-03"."""
    return (
        f"{_commit(before.commit)}..{_commit(after.commit)}, {before.created:%Y-%m-%d} to {after.created:%Y-%m-%d}"
    )


def _commit(commit: Commit) -> str:
    """The commit, short; "+" for changes that were not committed."""
    return f"{printable((commit.id or 'unknown')[:7])}{'+' if commit.dirty else ''}"


def _p(p: float) -> str:
    return "below 0.0001" if p < 1e-4 else f"{p:.4f}"


def _machines_own(change: Change) -> bool:
    """Whether utilisation hardly moved while latency did."""
    moved = abs(change.utilization_ratio - 1)
    return moved < NEGLIGIBLE * abs(change.ratio - 1)


def _identity(machine: MachineHistory, series: Series) -> Row:
    case = series.subject.case
    return {
        "machine": machine.machine,
        "case": case.label,
        "id": case.id,
        "dtype": case.dtype,
        "weights": series.subject.source,
        "weights_digest": series.subject.digest,
    }


def _figures(series: Series) -> Row:
    first, last = series.points[0], series.points[-1]
    return {
        "sessions": len(series.points),
        "first": first.created.isoformat(),
        "last": last.created.isoformat(),
        "first_latency_s": first.seconds,
        "last_latency_s": last.seconds,
        "first_utilization": first.utilization,
        "last_utilization": last.utilization,
        "trend_ratio": series.trend,
        "trend_p": series.trend_p,
        "spread": series.spread,
        "changes": len(series.changes),
        "regressed": series.regressed,
        "creep_ratio": series.creep.ratio if series.creep else None,
    }


def _last_change(series: Series) -> Row:
    names = ("last_change", "last_change_ratio", "last_change_p", "last_change_before", "last_change_after")
    if not series.changes:
        return dict.fromkeys(names)
    last = series.changes[-1]
    before, after = series.points[last.index - 1], series.points[last.index]
    values = (after.created.isoformat(), last.ratio, last.p, before.commit.id, after.commit.id)
    return dict(zip(names, values, strict=True))


def _series(machine: MachineHistory, series: Series) -> Row:
    identity, creep = _identity(machine, series), series.creep
    del identity["machine"]
    return {
        **identity,
        **_figures(series),
        "changes": [
            {
                "index": each.index,
                "ratio": each.ratio,
                "utilization_ratio": each.utilization_ratio,
                "p": each.p,
                "stands": each in series.standing,
                **_ends(series, each.index - 1, each.index),
            }
            for each in series.changes
        ],
        "creep": creep
        and {
            "start": creep.start,
            "end": creep.end,
            "ratio": creep.ratio,
            "p": creep.p,
            **_ends(series, creep.start, creep.end),
        },
        "levels_s": list(series.levels),
        "points": [
            {
                "file": each.name,
                "created": each.created.isoformat(),
                "commit": each.commit.id,
                "dirty": each.commit.dirty,
                "latency_s": each.seconds,
                "utilization": each.utilization,
            }
            for each in series.points
        ],
    }


def _ends(series: Series, start: int, end: int) -> Row:
    """The range between two points: commits and dates."""
    before, after = series.points[start], series.points[end]
    return {
        "commit_before": before.commit.id,
        "commit_after": after.commit.id,
        "created_before": before.created.isoformat(),
        "created_after": after.created.isoformat(),
    }
