"""`yolo-perf accuracy`."""

import logging
import sys
from typing import TYPE_CHECKING, Any

import click

from yolo_perf import settings as parse
from yolo_perf.cli.common import bench_options, checked, open_bench, optimizations_option, size_argument
from yolo_perf.cli.output import Output, output_options
from yolo_perf.cli.terminal import say
from yolo_perf.errors import BackendUnavailable, YoloPerfError
from yolo_perf.signals import INTERRUPTED_EXIT

if TYPE_CHECKING:
    from yolo_perf.records import Accuracy

log = logging.getLogger(__name__)


@click.command(short_help="Show what each optimisation still detects.")
@size_argument
@optimizations_option
@click.option(
    "--pictures",
    default=str(parse.ACCURACY_PICTURES),
    show_default=True,
    callback=checked(parse.parse_count, "The number of pictures"),
    help="Pictures at most.",
)
@bench_options(rounds=False)
@output_options()
def accuracy(size: str, *, optimizations: str, pictures: int, output: Output, **options: Any) -> None:
    """Show what each optimisation still detects: average precision against labels, and agreement with eager.

    Labels lie beside the pictures, in labels/ for images/; without them there is agreement only. What was judged
    once is kept: only another model, picture, library or source is judged again.
    """
    from yolo_perf.analysis.accuracy import Judge
    from yolo_perf.backends.registry import choose
    from yolo_perf.report import accuracy as report
    from yolo_perf.report import plain

    chosen = choose(parse.parse_names(optimizations))
    bench = open_bench(size=size, **options)
    judge = Judge(bench, size, pictures)
    found: list[Accuracy] = []
    interrupted = False
    for backend in chosen:
        try:
            found.append(judge.judge(backend))
        except BackendUnavailable as error:
            log.warning("Skipped: %s", error)
        except KeyboardInterrupt:
            interrupted = True
            break
    if not found:
        raise click.Abort if interrupted else YoloPerfError("None of these optimisations can run here.")
    run = bench.run_of(accuracy=tuple(found))
    output.show(lambda **style: report.accuracy(run, **style), plain.accuracy_rows(run), plain.accuracy_rows(run))
    if interrupted:
        say(f"PARTIAL: interrupted at {backend.name}.", err=True)
        sys.exit(INTERRUPTED_EXIT)
