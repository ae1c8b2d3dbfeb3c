"""Tables for the terminal: records in, text out. They fit 80 columns."""

from collections import Counter
from collections.abc import Iterable, Sequence
from io import StringIO
from itertools import groupby
from textwrap import fill

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from yolo_perf import units
from yolo_perf.analysis.figures import utilization
from yolo_perf.analysis.roofline import bound
from yolo_perf.analysis.work import LayerCount, beyond
from yolo_perf.escape import printable
from yolo_perf.records import Accuracy, Case, Comparison, Machine, Measurement, Peaks, Run, Verdict, Weights, Work
from yolo_perf.report.telling import left_out, telling
from yolo_perf.verdict.accuracy import standing

MOVES = "What only renames or moves elements (view, permute, split, stack) has no arithmetic to count."
IDENTITY_NAMES = 13
"""Columns that the names beside a machine's properties take."""
UNBOUNDED = 10_000
"""A width that no table reaches."""
ACCURACY_CHANGES: dict[Verdict, str] = {"inconclusive": "not known", "incomparable": "not known"}
"""In the width of a column; the lines below the table have the verdict and its reason."""

STYLES: dict[Verdict, str] = {
    "regressed": "bold red",
    "missing": "bold red",
    "improved": "green",
    "unchanged": "",
    "new": "cyan",
    "inconclusive": "yellow",
    "incomparable": "yellow",
}


def results(run: Run, comparisons: Iterable[Comparison] = (), *, width: int = 80, color: bool = False) -> str:
    """The run's table: a heading for each size, a row for each optimisation, changes against a baseline."""
    comparisons = tuple(comparisons)
    whole, run = run, telling(run, comparisons)
    changes = _changes(comparisons)
    judged = {each.case.id: each for each in run.accuracy}
    precise = by_labels(run)
    accuracies = ("mAP" if precise else "boxes %",) if judged else ()
    table = columns("optimisation", ("ms/image", "FPS", "GFLOP/s", "util %", *accuracies), "bound")
    if changes:
        table.add_column("vs baseline", justify="right", no_wrap=True)
    headings: dict[int, Text] = {}
    for _, group in groupby(run.measurements, key=lambda m: (m.case.size, m.weights.digest)):
        for position, measurement in enumerate(group):
            if position == 0:
                headings[table.row_count] = _heading(measurement)
            *figures, roof = _row(measurement, run)
            shown = [accuracy_cell(measurement, judged.get(measurement.case.id), precise) for _ in accuracies]
            table.add_row(*figures, *shown, roof, *_change(changes, measurement))
    lines = render(table, width=width, color=color).splitlines()
    first_row = len(lines) - table.row_count
    for row, shared in reversed(headings.items()):
        lines.insert(first_row + row, render(shared, width=width, color=color))
    more = left_out(whole, run)
    return "\n".join([*lines, wrapped(more, width)] if more else lines)


def comparison_lines(comparisons: Sequence[Comparison]) -> list[tuple[Verdict, str]]:
    """What is not simply unchanged, or was suspected: a line each with its verdict, failures first."""
    told = [c for c in comparisons if c.verdict != "unchanged" or c.suspected]
    told.sort(key=lambda c: not c.fails)
    renamed = {c.nodeid: c for c in comparisons if c.renamed_from}
    return [(c.verdict, f"{c.verdict.upper()} {c.label}: {c.reason}") for c in told] + [
        ("unchanged", f"RENAMED {c.label}: {c.renamed_from} -> {c.nodeid}") for c in renamed.values()
    ]


def reach(comparisons: Sequence[Comparison]) -> str:
    """The smallest slow-downs that could have been seen, and on what that rests; "" where nothing was compared."""
    seen = {c.detectable: c.basis for c in comparisons if c.metric == "latency" and c.detectable is not None}
    if not seen:
        return ""
    limits = list(dict.fromkeys(units.signed_percent(1 + limit) for limit in (min(seen), max(seen))))
    bases = " or ".join(dict.fromkeys(seen.values()))
    return f"A latency that grew by less than {' to '.join(limits)} would not be seen ({bases})."


def tally(comparisons: Sequence[Comparison]) -> str:
    """ "23 unchanged, 1 regressed", counting verdicts by case: a case's worst one counts."""
    worst: dict[str, Verdict] = {}
    order = list(STYLES)
    for comparison in comparisons:
        key = comparison.nodeid + comparison.label
        if key not in worst or order.index(comparison.verdict) < order.index(worst[key]):
            worst[key] = comparison.verdict
    verdicts = list(worst.values())
    return ", ".join(f"{verdicts.count(v)} {v}" for v in STYLES if v in verdicts)


def machine(machine: Machine, peaks: Peaks, *, width: int = 80, color: bool = False) -> str:
    """Who the machine is, and its roofs."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for name, value in (*_identity(machine), *_roofs(peaks)):
        table.add_row(name, Text(fill(printable(value), width - IDENTITY_NAMES)))
    return render(table, width=width, color=color)


def models(
    rows: Sequence[tuple[str, Work, Sequence[LayerCount]]], peaks: Peaks, *, width: int = 80, color: bool = False
) -> str:
    """The static table: one row for each (size, work, layers), and what GMAC and GFLOP leave out, by name."""
    table = columns(
        "model", ("params M", "MiB", "GMAC", "GFLOP", "weight MB", "act. MB", "FLOP/B", "ridge"), "bound"
    )
    for size, work, _ in rows:
        table.add_row(
            f"yolov5{size}",
            units.mega(work.weight_bytes / 4),
            units.mebibytes(work.weight_bytes),
            units.giga(work.macs),
            units.giga(work.flops),
            units.mega(work.weight_bytes),
            units.mega(work.activation_bytes),
            f"{work.operational_intensity:.1f}",
            f"{peaks.ridge_point():.1f}",
            bound(work, peaks),
        )
    lines = [render(table, width=width, color=color), "", "Not in GMAC, but in GFLOP, as shares of it:"]
    for size, _, counts in rows:
        others = beyond(counts)
        total = 2 * sum(layer.macs for layer in counts) + others.total()
        shares = (f"{name.strip('_')} {100 * flops / total:.2f} %" for name, flops in others.most_common())
        lines.append(wrapped(f"  yolov5{size}: {', '.join(shares)}", width, indent="    "))
    return "\n".join([*lines, *(wrapped(line, width) for line in _uncounted(rows))])


def _uncounted(rows: Sequence[tuple[str, Work, Sequence[LayerCount]]]) -> list[str]:
    """Operators in neither count, by name and share of the calls."""
    missing, calls = Counter[str](), 0
    for _, _, counts in rows:
        for layer in counts:
            missing.update(layer.uncounted)
            calls += sum(layer.operators.values())
    if not missing:
        return [f"Nothing else with arithmetic. {MOVES}"]
    shares = (f"{name} {100 * n / (calls + missing.total()):.2f} % of the calls" for name, n in missing.items())
    return [f"In neither: {', '.join(shares)}.", MOVES]


def columns(first: str, numbers: Sequence[str], *last: str) -> Table:
    """An empty table: a name, right-aligned numbers, words."""
    gap = 1 if len(numbers) < 6 else 0  # the box itself puts one between two columns
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, gap, 0, 0), show_edge=False)
    table.add_column(first, no_wrap=True, min_width=len(first))
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True, min_width=len(heading))
    for heading in last:
        table.add_column(heading, no_wrap=True)
    return table


def shortened(text: str, most: int) -> str:
    """The text, its end cut off where it is longer than `most` characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def subject_line(case: Case, weights: Weights, source: str) -> str:
    """What was measured: "yolov5n eager, batch 1, 640 px, 2 threads, weights yolov5n.pt, pictures coco128"."""
    return (
        f"yolov5{case.size} {case.backend}, batch {case.batch}, {case.image_size} px, {case.threads} threads, "
        f"weights {weights.source}, pictures {source}"
    )


def wrapped(text: str, width: int, indent: str = "") -> str:
    """Prose in lines of at most `width` columns; those after the first begin with `indent`. A path stays whole."""
    return fill(printable(text), width, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)


def partial(rounds: int, planned: int) -> Text:
    """The mark of a table that was cut short."""
    return Text(f"PARTIAL: interrupted after {rounds} of {planned} rounds.", style="bold yellow")


def render(table: Table | Text, *, width: int, color: bool) -> str:
    """A rich object as text of at most `width` columns, without trailing blanks.

    A table whose columns do not fit stands closer together, and one that needs more has more: a figure that is
    cut off is a wrong figure.
    """
    stream = StringIO()
    if isinstance(table, Table):
        _settle(table)
        if _natural(table) > width:
            table.padding = (0, 0)
        width = max(width, _natural(table))
    console = Console(
        file=stream,
        width=width,
        force_terminal=color,
        color_system="standard" if color else None,  # whoever asks decides, not what the environment says
        no_color=not color,
        highlight=False,
        markup=False,
        emoji=False,
    )
    console.print(table)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()).strip("\n")


def _settle(table: Table) -> None:
    """Make every name in a cell printable; a cell that is to have several lines is a `Text` of its own."""
    for column in table.columns:
        column._cells = [printable(cell) if isinstance(cell, str) else cell for cell in column._cells]


def _natural(table: Table) -> int:
    """Columns that a table takes where it may have as many as it likes."""
    return Console(width=UNBOUNDED).measure(table).maximum


def _heading(measurement: Measurement) -> Text:
    """A size's line: what all of its rows share."""
    work, weights, source = measurement.work, measurement.weights, printable(measurement.weights.source)
    return Text(
        f"yolov5{measurement.case.size}  {units.mega(weights.parameters)} M params  "
        f"{units.mebibytes(4 * weights.parameters)} MiB  {units.giga(work.macs)} GMAC  weights {source}",
        style="bold",
    )


def _row(measurement: Measurement, run: Run) -> tuple[str, ...]:
    case = measurement.case
    name = f"{case.backend} x{case.batch}" if case.batch > 1 else case.backend
    return (
        f"  {name}",
        units.milliseconds(measurement.latency_s),
        units.rate(measurement.images_per_s),
        units.giga_rate(measurement.achieved_flops_per_s),
        units.percent(utilization(measurement, run.peaks)),
        bound(measurement.work, run.peaks, case.dtype),
    )


def by_labels(run: Run) -> bool:
    """Whether labels tell of any case what it loses: then a column of accuracy has mAP, else box agreement."""
    return any(standing(each).basis == "labels" for each in run.accuracy)


def accuracy_cell(measurement: Measurement, accuracy: Accuracy | None, precise: bool) -> Text:
    """The mAP50-95, or the box agreement where that is evidence of no case; marked where it is too small.

    "?" where accuracy is unknown in a column of mAP, or where no box is found that could agree.
    """
    if accuracy is None:
        return Text("-" if precise else units.percent(measurement.parity.box_agreement))
    stands = standing(accuracy)
    if stands.basis == "nothing" or (precise and stands.basis == "boxes"):
        return Text("?", style="yellow")
    figure = f"{accuracy.map50_95:.3f}" if precise else units.percent(accuracy.box_agreement)
    return Text(f"{figure}!", style="bold red") if stands.fault else Text(figure)


def _changes(comparisons: Iterable[Comparison]) -> dict[tuple[str, str], list[Comparison]]:
    changes: dict[tuple[str, str], list[Comparison]] = {}
    for comparison in comparisons:
        changes.setdefault((comparison.nodeid, comparison.label), []).append(comparison)
    return changes


def _change(changes: dict[tuple[str, str], list[Comparison]], measurement: Measurement) -> tuple[Text, ...]:
    """The change of the latency, in the colour of the case's worst verdict."""
    if not changes:
        return ()
    found = changes.get((measurement.nodeid, measurement.case.label), [])
    if not found:
        return (Text("-"),)
    worst = min(found, key=lambda c: list(STYLES).index(c.verdict))
    ratio = next((c.ratio for c in found if c.metric == "latency"), None)
    text = units.signed_percent(ratio) if ratio is not None else worst.verdict
    if worst.metric == "accuracy" and worst.verdict != "unchanged":
        text = f"acc. {ACCURACY_CHANGES.get(worst.verdict, worst.verdict)}"
    if worst.metric == "utilization" and worst.ratio is not None:
        text = f"util {units.signed_percent(worst.ratio)}"
    return (Text(text, style=STYLES[worst.verdict]),)


def _identity(machine: Machine) -> list[tuple[str, str]]:
    caches = ", ".join(f"{name} {size // 1024} KiB" for name, size in machine.caches.items())
    return [
        (
            "CPU",
            f"{machine.cpu_model} (family {machine.family}, model {machine.model}, stepping {machine.stepping})",
        ),
        (
            "cores",
            f"{machine.physical_cores} in {machine.sockets or '?'} socket(s), "
            f"{machine.threads_per_core} thread(s) each, {machine.usable_cores} usable",
        ),
        ("clock", _clock(machine)),
        ("vector ISA", " ".join(machine.isa)),
        *((("left out", faulting(machine)),) if machine.isa_faulting else ()),
        ("caches", caches or "unknown"),
        ("memory", f"{units.mebibytes(machine.memory_bytes)} MiB"),
        ("governor", machine.governor or "unknown"),
        ("hypervisor", machine.hypervisor or "none seen"),
        ("OS", f"{machine.os}, Python {machine.python}"),
        ("libraries", ", ".join(f"{name} {version}" for name, version in machine.libraries.items())),
    ]


def faulting(machine: Machine) -> str:
    """The extensions that are claimed and do not execute, in words; "" where there are none."""
    names = machine.isa_faulting
    does = "is among the CPU's flags but does" if len(names) == 1 else "are among the CPU's flags but do"
    return f"{', '.join(names)} {does} not execute here" if names else ""


def _clock(machine: Machine) -> str:
    """What the system says about the clock: its limits, else what it reports, and whose rate that is."""
    limits = [units.gigahertz(hz) for hz in (machine.clock_hz_min, machine.clock_hz_max) if hz is not None]
    if limits:
        return f"{'-'.join(limits)} GHz"
    if not machine.clock_hz_reported:
        return "unknown"
    text = f"{units.gigahertz(machine.clock_hz_reported)} GHz reported"
    if machine.clock_reported_is_tsc:
        return f"{text}, the time stamp counter's"
    unknown = machine.clock_reported_is_tsc is None and machine.hypervisor  # a file of before
    return f"{text} (in a VM: may be the time stamp counter's)" if unknown else text


def _roofs(peaks: Peaks) -> list[tuple[str, str]]:
    rows = [
        (f"peak {dtype}", f"{units.giga_rate(rate)} G{'op' if dtype == 'int8' else 'FLOP'}/s")
        for dtype, rate in peaks.flops_per_s.items()
    ]
    rows.append(("peak triad", f"{units.giga_rate(peaks.bytes_per_s)} GB/s"))
    rows.append(("ridge point", f"{peaks.ridge_point():.1f} FLOP/B (fp32)"))
    if peaks.clock_hz_measured:
        rows.append(("ran at", f"{units.gigahertz(peaks.clock_hz_measured)} GHz, measured between bursts of FMA"))
    if peaks.theoretical_flops_per_s:
        rows.append(("theoretical", _theoretical(peaks, peaks.theoretical_flops_per_s)))
    rows.append(("measured by", peaks.method))
    return rows


def _theoretical(peaks: Peaks, flops_per_s: float) -> str:
    """The peak on paper. A roof above it is never clipped, and what it means is said."""
    text = f"{units.giga_rate(flops_per_s)} GFLOP/s fp32"
    if peaks.clock_hz_measured is None:
        return f"{text}, at a clock that the system told: no bound where that is the time stamp counter's"
    text += " at the running clock"
    if peaks.flops_per_s["fp32"] <= flops_per_s:
        return text
    return f"{text}; the measured peak is above it: the clock moved between the two measurements"
