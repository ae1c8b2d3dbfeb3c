"""`yolo-perf compare`."""

from pathlib import Path

import click

from yolo_perf.cli.output import Output, output_options
from yolo_perf.errors import BaselineError


@click.command()
@click.argument("saved", nargs=-1, required=True)
@click.option(
    "--baselines",
    type=click.Path(path_type=Path),
    default=Path("baselines"),
    show_default=True,
    help="Folder of saved baselines.",
)
@output_options()
def compare(saved: tuple[str, ...], baselines: Path, output: Output) -> None:
    """Set machines side by side.

    SAVED are saved runs: files, names of machines in the folder of baselines, or of published references such
    as ryzen-7-6800hs. One alone stands beside the newest baseline of this machine.
    """
    from yolo_perf.report import compare as report
    from yolo_perf.report import plain
    from yolo_perf.verdict.baselines import find_baseline, locate_saved, read_saved
    from yolo_perf.verdict.compare import column

    paths = [locate_saved(name, baselines) for name in saved]
    if len(paths) == 1:
        from yolo_perf.machine.identity import describe, identify

        machine = identify(with_torch=False)
        own = find_baseline(baselines, machine)
        if own is None:
            raise BaselineError(
                f"No baseline for this machine ({describe(machine)}) in {baselines} to set beside {paths[0]}. "
                "Record one (pytest benchmarks/ --perf-save), or name two saved runs."
            )
        paths.append(own)
    columns = [column(read_saved(path)) for path in paths]
    rows = plain.machine_rows(columns)
    output.show(lambda **style: report.machines(columns, **style), plain.machine_document(columns), rows)
