"""`yolo-perf report`."""

import importlib
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from yolo_perf.cli.common import baselines_option
from yolo_perf.cli.output import check_writable, print_result, style, write_text
from yolo_perf.cli.terminal import say
from yolo_perf.errors import BaselineError, UsageError, YoloPerfError

if TYPE_CHECKING:
    from yolo_perf.records import Machine, Run
    from yolo_perf.report.story import Story, Told

EXTRA = "pip install 'yolo-perf[report]'"
PLOT_WIDTH = 900


@click.command(short_help="Tell what saved runs say, as a page, Markdown or charts.")
@click.argument("saved", nargs=-1, required=True, metavar="RUN.json...")
@click.option("--html", "html_path", type=click.Path(path_type=Path), metavar="FILE", help="Write one page there.")
@click.option(
    "--markdown", "markdown_path", type=click.Path(path_type=Path), metavar="FILE", help="Write Markdown there."
)
@click.option(
    "--plots", type=click.Choice(("svg", "png", "pdf")), help="Write every chart as a file of this kind."
)
@click.option(
    "--plots-to",
    type=click.Path(path_type=Path),
    default=Path("plots"),
    show_default=True,
    help="Folder of the charts.",
)
@click.option(
    "--tables",
    is_flag=True,
    help="Print all tables of the run: results, stages, accuracy, layers, batches, memory.",
)
@baselines_option
def report(
    saved: tuple[str, ...],
    *,
    html_path: Path | None,
    markdown_path: Path | None,
    plots: str | None,
    plots_to: Path,
    tables: bool,
    baselines: Path,
) -> None:
    """Tell what saved runs say: verdict, roofline, latency, layers, history, machines.

    RUN.json are saved runs (a file, a machine's name in the folder of baselines, or a published reference) and
    what `yolo-perf ab --json` wrote. The newest run is what the report is about; sessions of its machine are its
    history, other machines stand beside it. Without --html, --markdown, --plots or --tables, Markdown goes to the
    terminal.
    """
    for path in filter(None, (html_path, markdown_path)):
        check_writable(path)
    library = (
        _package_file().read_text(encoding="utf-8") if html_path is not None else ""
    )  # better to hear of a missing extra before all else
    story = _story(saved, baselines)
    from yolo_perf.report.markdown import markdown

    if html_path is not None:
        from yolo_perf.report.page import page

        write_text(html_path, page(story, library))
        say(f"Wrote {html_path}")
    if plots is not None:
        for path in _draw(story, plots, plots_to):
            say(f"Wrote {path}")
    if markdown_path is not None:
        write_text(markdown_path, markdown(story))
        say(f"Wrote {markdown_path}")
    if tables:
        print_result("\n\n".join(_tables(story)))
    elif not (html_path or markdown_path or plots):
        print_result(markdown(story).rstrip("\n"))


def _story(saved: tuple[str, ...], baselines: Path) -> "Story":
    """The story of what was named. Raises BaselineError naming a file that cannot be used."""
    from yolo_perf.archive.baselines import locate_saved
    from yolo_perf.archive.saved_pairs import read_told
    from yolo_perf.proof.calibration import session_rules
    from yolo_perf.records import Run
    from yolo_perf.report.story import tell

    paths = [locate_saved(name, baselines) for name in saved]
    given: list[tuple[Path, Told]] = [(path, read_told(path)) for path in dict.fromkeys(paths)]
    runs = [each for _, each in given if isinstance(each, Run)]
    if not runs:
        return tell(given)
    machine = max(runs, key=lambda run: run.created).machine
    return tell(given, _shelf(baselines, machine), session_rules(baselines, machine))


def _tables(story: "Story") -> list[str]:
    """All tables of the story's run. Raises YoloPerfError where there is none."""
    from yolo_perf.report.session import whole_tables
    from yolo_perf.report.tables import results

    run = story.subject
    if run is None:
        raise YoloPerfError("There is no session among these: name a run that pytest saved.")
    look = style()
    found = [results(run, story.comparisons, **look)] if run.measurements else []
    return [*found, *whole_tables(run, **look)]


def _shelf(baselines: Path, machine: "Machine") -> "list[Run]":
    """The saved sessions of a machine; none where a file of them cannot be read, which is said."""
    from yolo_perf.archive.histories import sessions

    try:
        return [run for _, run in sessions(baselines, machine)]
    except BaselineError as error:
        say(f"Without the history in {baselines}: {error}", err=True)
        return []


def _package_file() -> Traversable:
    """Plotly's JavaScript in its Python package. Raises YoloPerfError with what would bring it."""
    try:
        found = files("plotly") / "package_data" / "plotly.min.js"
        if not found.is_file():
            raise FileNotFoundError(f"no {found.name} in plotly")
        return found
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise YoloPerfError(f"The page needs plotly, which is not installed ({error}). {EXTRA}") from error


def _draw(story: "Story", kind: str, folder: Path) -> list[Path]:
    """Every chart as a file, drawn by Kaleido in a browser that is on this machine."""
    from yolo_perf.report.charts import charts, still

    try:
        kaleido: Any = importlib.import_module("kaleido")
    except ImportError as error:
        raise YoloPerfError(
            f"Charts as files need kaleido, which cannot be imported ({error}). {EXTRA}"
        ) from error
    drawn = [chart for whole in charts(story) for chart in still(whole)]
    if not drawn:
        raise YoloPerfError("There is nothing to draw: no run with figures was given.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"Cannot write to {folder}: {error.strerror or error}.") from error
    paths = [folder / f"{chart.name}.{kind}" for chart in drawn]
    requests = [
        {
            "fig": chart.figure,
            "path": str(path),
            "opts": {"format": kind, "width": PLOT_WIDTH, "height": chart.figure["layout"]["height"]},
        }
        for chart, path in zip(drawn, paths, strict=True)
    ]
    # Nothing is to come from a network: by default these would.
    engine = {"plotlyjs": str(_package_file()), "mathjax": False}
    try:
        kaleido.write_fig_from_object_sync(requests, kopts=engine)
    except (RuntimeError, OSError) as error:  # among them: no browser, one that fails, one that does not answer
        raise YoloPerfError(
            f"Cannot draw the charts as files: {str(error).strip().splitlines()[0]} Kaleido draws in Chrome or "
            "Chromium: install one, or set BROWSER_PATH to it. --html needs none."
        ) from error
    return paths
