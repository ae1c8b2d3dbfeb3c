"""`yolo-perf export`."""

import sys
from pathlib import Path

import click

from yolo_perf.cli.common import baselines_option
from yolo_perf.cli.output import emit, output_option
from yolo_perf.cli.terminal import say
from yolo_perf.errors import UsageError
from yolo_perf.report.export import MODULES, renderer

BINARY = ("parquet",)


@click.command()
@click.argument("saved", nargs=-1, required=True)
@click.option(
    "--format", "form", type=click.Choice(tuple(MODULES)), required=True, help="Who is to read it: see above."
)
@output_option
@baselines_option
def export(saved: tuple[str, ...], form: str, output_path: Path | None, baselines: Path) -> None:
    """Write saved runs in a format that other programs read.

    SAVED are files of yolo-perf or of plain pytest-benchmark, or names of machines in the folder of baselines.

    \b
    github-action-benchmark  JSON for the action's tool customSmallerIsBetter
    bencher                  Bencher Metric Format, for bencher run --adapter json
    openmetrics              text for Prometheus, node_exporter's textfiles
    csv                      a row for each benchmark and run, SI units
    csv-rounds               a row for each round
    parquet                  as csv, typed, with raw rounds (extra: history)

    The first three take the newest of a benchmark that several runs of a machine have; the others take all.
    """
    from yolo_perf.archive.baselines import locate_saved
    from yolo_perf.archive.benchmarks import read_benchmarks

    if form in BINARY and output_path is None and sys.stdout.isatty():
        raise UsageError(f"--format {form} is nothing for a terminal: give --output FILE.")
    paths = [locate_saved(name, baselines) for name in saved]
    sessions = [read_benchmarks(path) for path in paths]
    content = renderer(form)(sessions)
    for path, session in zip(paths, sessions, strict=True):
        if session.caution:
            say(f"{path} holds a session that {session.caution}: its figures are no usual ones.", err=True)
    emit(content, output_path)
