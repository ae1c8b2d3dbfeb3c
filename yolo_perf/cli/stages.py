"""`yolo-perf stages`."""

import logging
import sys
from typing import TYPE_CHECKING, Any

import click

from yolo_perf import settings as parse
from yolo_perf.cli.common import bench_options, open_bench, optimizations_option, size_argument
from yolo_perf.cli.output import Output, output_options
from yolo_perf.cli.terminal import say
from yolo_perf.errors import BackendUnavailable, YoloPerfError
from yolo_perf.pace import STEP
from yolo_perf.signals import INTERRUPTED_EXIT

if TYPE_CHECKING:
    from yolo_perf.records import StageRun

log = logging.getLogger(__name__)


@click.command(short_help="Show where a picture's time goes, from its file to the boxes.")
@size_argument
@optimizations_option
@click.option("--pictures", default=None, help="Pictures of each [as many as the budget holds, all at most].")
@click.option("--cold", is_flag=True, help="Put each file out of the system's cache before it is read.")
@bench_options(default_budget=10, rounds=False)
@output_options()
def stages(
    size: str, *, optimizations: str, pictures: str | None, cold: bool, output: Output, **options: Any
) -> None:
    """Show where a picture's time goes, from its file to the boxes, under each optimisation."""
    number = parse.parse_count(pictures, "The number of pictures") if pictures else None

    from yolo_perf.analysis.stages import measure_stages
    from yolo_perf.backends.registry import choose
    from yolo_perf.report import plain
    from yolo_perf.report import stages as report
    from yolo_perf.report.remarks import remarks_of

    chosen = choose(parse.parse_names(optimizations))
    bench = open_bench(size=size, **options)
    runs: list[StageRun] = []
    interrupted = False
    for backend in chosen:
        log.info("%s: %s", backend.name, backend.summary, extra=STEP)
        try:
            runs.append(measure_stages(bench, size, backend, pictures=number, cold=cold))
            interrupted = not runs[-1].complete
        except BackendUnavailable as error:
            log.warning("Skipped: %s", error)
        except KeyboardInterrupt:
            interrupted = True
        if interrupted:
            break
    if not runs:
        raise click.Abort if interrupted else YoloPerfError("None of these optimisations can run here.")
    output.show(
        lambda **style: "\n".join([report.stages(runs, **style), *remarks_of(runs)]),
        [plain.stage_document(run) for run in runs],
        [row for run in runs for row in plain.stage_rows(run)],
    )
    if interrupted:
        say(f"PARTIAL: interrupted at {backend.name}.", err=True)
        sys.exit(INTERRUPTED_EXIT)
