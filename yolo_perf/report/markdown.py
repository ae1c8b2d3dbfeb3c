"""A report short enough for a pull request: verdict, what changed, folded details, how to see it again.

Names come from files and from other people's branches, so everything that Markdown or HTML would read as theirs
is written as a character reference: no link, no mention and no tag comes out of a label.
"""

import math
from collections.abc import Iterable, Sequence

from yolo_perf import escape, units
from yolo_perf.analysis.figures import utilization
from yolo_perf.analysis.roofline import bound
from yolo_perf.archive.saved_pairs import SavedPairs, SavedSide
from yolo_perf.machine.naming import describe
from yolo_perf.records import Comparison, Interval, Run
from yolo_perf.report.accuracy import unknowns
from yolo_perf.report.remarks import remarks
from yolo_perf.report.story import Story, headline
from yolo_perf.report.tables import STYLES, accuracy_cell, by_labels, tally
from yolo_perf.verdict.gate import SUITE, TAIL, Decision

MARKS = {"fail": "🔴", "pass": "🟢", "open": "🟡"}
MOST_ROWS = 40
"""GitHub takes a comment of 65,536 characters and a job's summary of 1 MiB: what is beyond is counted."""


def markdown(story: Story) -> str:
    """The whole report, ending in a newline."""
    verdict = headline(story)
    parts = [f"## {MARKS[verdict.kind]} {escape.markdown(verdict.text)}"]
    for pairs in story.pairs:
        parts += _paired(pairs)
    run = story.subject
    if story.comparisons:
        parts += _compared(story.comparisons, story.basis)
    if run is not None and run.measurements:
        parts.append(_folded(f"All {len(run.measurements)} measured cases", _results(run)))
        parts += [f"> {escape.markdown(line)}" for line in remarks(run)]
        parts.append(_folded("Machine", _machine(run)))
    parts += [f"> {escape.markdown(note)}" for note in story.notes]
    if run is not None and not story.pairs:
        parts.append(_again(run))
    return "\n\n".join(part for part in parts if part) + "\n"


def _paired(pairs: SavedPairs) -> list[str]:
    unit = units.unit_of([each.base_s for each in pairs.decisions if each.base_s])
    rows = [_decision(each, pairs, unit) for each in pairs.decisions]
    changed = [row for row, each in zip(rows, pairs.decisions, strict=True) if each.verdict != "unchanged"]
    heading = ("case", f"base {unit}", f"head {unit}", "change", "interval", "verdict", "why")
    sides = f"base {_side(pairs.base)}, head {_side(pairs.head)}"
    parts = [f"{sides}: pairs of fresh processes on one machine, {pairs.seconds / 60:.0f} min."]
    if differing := _differing(pairs):
        parts.append(f"Libraries: {differing}.")
    parts.append(_table(heading, changed) if changed else "")
    if len(changed) < len(rows):
        parts.append(_folded(f"All {len(rows)} cases", _table(heading, rows)))
    parts.append(f"Again: {escape.code_span(_paired_again(pairs))}")
    return parts


def _paired_again(pairs: SavedPairs) -> str:
    """The command that compares the same sides: of tests by pytest, of this suite's cases by `ab`."""
    if pairs.setup.image_size is None:
        words = (word for each in pairs.base.name.split(" ") for word in escape.option("--perf-against", each))
        return escape.command("pytest", *words)
    sizes = ",".join(
        dict.fromkeys(each.label.partition("-")[0] for each in pairs.decisions if each.label != SUITE)
    )
    options = (*escape.option("--base", pairs.base.name), *escape.option("--head", pairs.head.name))
    return escape.command("yolo-perf", "ab", *options, *escape.option("--sizes", sizes))


def _decision(each: Decision, pairs: SavedPairs, unit: str) -> tuple[str, ...]:
    batch = pairs.setup.batches.get(each.label.removesuffix(TAIL), 1)
    times = (
        "" if seconds is None else units.in_unit(seconds / batch, unit) for seconds in (each.base_s, each.head_s)
    )
    return (each.label, *times, *_change(each.ratio), each.verdict.upper(), each.reason)


def _change(ratio: Interval | None) -> tuple[str, str]:
    if ratio is None:
        return "", ""
    low, high = (
        "?" if not 0 < bound < math.inf else units.signed_percent(bound) for bound in (ratio.low, ratio.high)
    )
    return units.signed_percent(ratio.point), f"{low} to {high}"


def _side(side: SavedSide) -> str:
    commit = f" ({escape.markdown(side.commit[:10])})" if side.commit else ""
    return f"{escape.markdown(side.name)}{commit}"


def _differing(pairs: SavedPairs) -> str:
    if len(pairs.libraries) != 2:
        return ""
    base, head = pairs.libraries
    return ", ".join(
        escape.markdown(f"{name} {base.get(name, 'none')} → {head.get(name, 'none')}")
        for name in sorted({*base, *head})
        if base.get(name) != head.get(name)
    )


def _compared(comparisons: Sequence[Comparison], basis: str) -> list[str]:
    told = [c for c in comparisons if c.verdict != "unchanged" or c.suspected]
    told.sort(key=lambda c: list(STYLES).index(c.verdict))
    rows = [
        (c.label, c.metric, "" if c.ratio is None else units.signed_percent(c.ratio), c.verdict.upper(), c.reason)
        for c in told
    ]
    parts = [f"{escape.markdown(basis)} {tally(comparisons)}."]
    return [*parts, _table(("case", "metric", "change", "verdict", "why"), rows) if rows else ""]


def _results(run: Run) -> str:
    judged = {each.case.id: each for each in run.accuracy}
    precise = by_labels(run)
    rows = []
    for each in run.measurements:
        rows.append(
            (
                each.case.label,
                str(each.case.batch),
                units.milliseconds(each.latency_s),
                units.rate(each.images_per_s),
                units.percent(utilization(each, run.peaks)),
                bound(each.work, run.peaks, each.case.dtype),
                accuracy_cell(each, judged.get(each.case.id), precise).plain,
            )
        )
    last = ["mAP50-95" if precise else "boxes %"] if judged else []
    heading = ("case", "batch", "ms/image", "images/s", "utilisation %", "bound", *last)
    table = _table(heading, [row[: len(heading)] for row in rows])
    return "\n\n".join([table, *map(escape.markdown, unknowns(run.accuracy))])


def _machine(run: Run) -> str:
    rates = ", ".join(f"{dtype} {units.giga_rate(rate)} G/s" for dtype, rate in run.peaks.flops_per_s.items())
    versions = ", ".join(f"{name} {version}" for name, version in run.machine.libraries.items())
    commit = (
        f" Commit {run.commit.id}{' and uncommitted changes' if run.commit.dirty else ''}."
        if run.commit.id
        else ""
    )
    clock = units.clock_phrase(run.peaks.clock_hz_measured)
    return escape.markdown(
        f"{describe(run.machine)}, measured {run.created}. Roofs: {rates}, triad "
        f"{units.giga_rate(run.peaks.bytes_per_s)} GB/s{clock}. {versions}. Pictures {run.data}.{commit}"
    )


def _again(run: Run) -> str:
    sizes = run.configuration.get("sizes") or "n"
    compared = ("--benchmark-compare",) if run.comparisons else ()
    again = escape.command("pytest", "benchmarks/", *escape.option("--perf-sizes", sizes), *compared)
    return f"Again: {escape.code_span(again)}"


def _table(heading: Sequence[str], rows: Sequence[Iterable[str]]) -> str:
    lines = [f"| {' | '.join(heading)} |", f"|{'|'.join(' --- ' for _ in heading)}|"]
    lines += [f"| {' | '.join(map(escape.markdown, row))} |" for row in rows[:MOST_ROWS]]
    if len(rows) > MOST_ROWS:
        lines.append(f"\nand {len(rows) - MOST_ROWS} more.")
    return "\n".join(lines)


def _folded(summary: str, body: str) -> str:
    return f"<details><summary>{escape.markdown(summary)}</summary>\n\n{body}\n\n</details>"
