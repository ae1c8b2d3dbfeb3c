"""A report as one HTML page that opens from disk: no network, light and dark, tables that sort, charts that hover.

Jinja2 escapes whatever the page holds of a file; data for the page's scripts is JSON whose "<" is written as an
escape, so no name can end the script that holds it. A content security policy forbids every request.
"""

import json
from collections.abc import Sequence, Set
from dataclasses import replace

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from yolo_perf import __version__, escape, units
from yolo_perf.escape import printable
from yolo_perf.machine.naming import describe
from yolo_perf.records import Run
from yolo_perf.report import tables
from yolo_perf.report.charts import charts
from yolo_perf.report.page_tables import figure_tables, verdict_tables
from yolo_perf.report.remarks import remarks
from yolo_perf.report.story import Story, headline
from yolo_perf.report.telling import left_out, telling


def page(story: Story, library: str, *, title: str = "yolo-perf report") -> str:
    """The whole page. `library` is the text of Plotly's JavaScript."""
    environment = Environment(
        loader=PackageLoader("yolo_perf.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        finalize=_text,
    )
    whole = story.subject
    run = telling(whole, story.comparisons) if whole is not None else None
    kept = {m.case.id for m in run.measurements} if run is not None and run is not whole else None
    shown = replace(story, subject=run, history=_kept(story.history, kept))
    drawn = charts(shown)
    return environment.get_template("page.html.j2").render(
        title=title,
        version=__version__,
        headline=headline(story),
        story=story,
        verdicts=verdict_tables(story),
        remarks=[*remarks(run), *_missing(whole, run)] if run is not None and whole is not None else [],
        subject=_subject(run) if run is not None else "",
        absent=_absent(run) if run is not None else (),
        charts=drawn,
        tables=figure_tables(shown),
        figures=_script({chart.name: chart.figure for chart in drawn}),
        rounds=_script(_rounds(run) if run is not None else []),
        library=Markup(library),  # noqa: S704 - Plotly's own file, not a user's
    )


def _kept(history: Sequence[Run], cases: Set[str] | None) -> tuple[Run, ...]:
    """The sessions with these cases alone; as they are where there is no choice."""
    if cases is None:
        return tuple(history)
    return tuple(
        replace(run, measurements=tuple(m for m in run.measurements if m.case.id in cases)) for run in history
    )


def _missing(whole: Run, shown: Run) -> list[str]:
    said = left_out(whole, shown, "`yolo-perf export --format csv` has all")
    return [said] if said else []


def _text(value: object) -> object:
    """What an expression of the template gives, without control characters."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _script(data: object) -> Markup:
    """Data inside of a script element."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704 - no tag can be left in it


def _subject(run: Run) -> str:
    rates = ", ".join(
        f"{dtype} {units.giga_rate(rate)} {'Gop/s' if dtype == 'int8' else 'GFLOP/s'}"
        for dtype, rate in run.peaks.flops_per_s.items()
    )
    commit = (
        f" Commit {run.commit.id[:10]}{', with uncommitted changes' if run.commit.dirty else ''}."
        if run.commit.id
        else ""
    )
    clock = units.clock_phrase(run.peaks.clock_hz_measured)
    faulting = f" {tables.faulting(run.machine)}." if run.machine.isa_faulting else ""
    return printable(
        f"{describe(run.machine)}, {run.created}. Measured roofs: {rates}; memory "
        f"{units.giga_rate(run.peaks.bytes_per_s)} GB/s; ridge point {run.peaks.ridge_point():.1f} FLOP/B in "
        f"fp32{clock}. Pictures {run.data}.{commit}{faulting}"
    )


def _absent(run: Run) -> tuple[str, ...]:
    """What the run has no figures for, and how to get them."""
    found = {
        "inference": (run.measurements, "pytest benchmarks/test_inference.py"),
        "accuracy": (run.accuracy, "pytest benchmarks/test_accuracy.py"),
        "stages": (run.stages, "pytest benchmarks/test_stages.py"),
        "layers": (run.layers, "pytest benchmarks/test_layers.py"),
        "threads and batches": (run.throughput, "pytest benchmarks/test_throughput.py"),
        "memory": (run.memory, "pytest benchmarks/test_memory.py"),
    }
    return tuple(
        f"No {name} in this run. Measure it: {command}" for name, (there, command) in found.items() if not there
    )


def _rounds(run: Run) -> list[tuple[object, list[float]]]:
    """Every case's identity and raw rounds in seconds, for the CSV that the page can save."""
    return [(escape.csv_cell(m.case.id), list(m.round_seconds)) for m in run.measurements]
