"""`yolo-perf memory`."""

import logging
import sys
from typing import TYPE_CHECKING, Any

import click

from yolo_perf import settings as parse
from yolo_perf.cli.common import batch_option, bench_options, open_bench, optimizations_option, size_argument
from yolo_perf.cli.output import Output, output_options
from yolo_perf.cli.terminal import say
from yolo_perf.errors import BackendUnavailable, NotEnoughMemory, YoloPerfError
from yolo_perf.signals import INTERRUPTED_EXIT

if TYPE_CHECKING:
    from yolo_perf.records import Memory

log = logging.getLogger(__name__)


@click.command(short_help="Show the memory that each optimisation holds.")
@size_argument
@optimizations_option
@batch_option
@bench_options(rounds=False)
@output_options()
def memory(size: str, *, optimizations: str, batch: int | None, output: Output, **options: Any) -> None:
    """Show the memory that each optimisation holds, in a process of its own."""
    from yolo_perf.analysis.memory import measure_memory
    from yolo_perf.backends.registry import choose
    from yolo_perf.report import plain, sweeps

    chosen = choose(parse.parse_names(optimizations))
    bench = open_bench(size=size, **options)
    rows: list[Memory] = []
    refused: list[str] = []
    interrupted = False
    for backend in chosen:
        try:
            case = bench.case(size, backend, batch=batch)
            rows.append(measure_memory(case, bench.subject(size), backend, options["data"], options["allocator"]))
        except (BackendUnavailable, NotEnoughMemory) as error:
            refused.append(str(error))
        except KeyboardInterrupt:
            interrupted = True
            break
    if not rows:
        raise click.Abort if interrupted else YoloPerfError(refused[0])
    for reason in refused:
        log.warning("Skipped: %s", reason)
    found = plain.memory_rows(rows)
    output.show(lambda **style: sweeps.memory(rows, **style), found, found)
    if interrupted:
        say(f"PARTIAL: interrupted at {backend.name}.", err=True)
        sys.exit(INTERRUPTED_EXIT)
