"""`yolo-perf memory`."""

from typing import TYPE_CHECKING, Any

import click

from yolo_perf import settings as parse
from yolo_perf.cli.common import batch_option, bench_options, open_bench, size_argument
from yolo_perf.cli.output import Output, output_options
from yolo_perf.errors import BackendUnavailable

if TYPE_CHECKING:
    from yolo_perf.records import Memory


@click.command()
@size_argument
@click.option("--optimizations", default="", metavar="NAME,...", help="Optimisations [all].")
@batch_option
@bench_options()
@output_options()
def memory(size: str, *, optimizations: str, batch: int, output: Output, **options: Any) -> None:
    """Show the memory that each optimisation holds, in a process of its own."""
    from yolo_perf.analysis.memory import measure_memory
    from yolo_perf.backends.registry import choose
    from yolo_perf.report import plain, sweeps

    chosen = choose(parse.parse_names(optimizations))
    bench = open_bench(size=size, **options)
    rows: list[Memory] = []
    for backend in chosen:
        try:
            case = bench.case(size, backend, batch=batch)
            rows.append(measure_memory(case, bench.subject(size), backend, options["data"]))
        except BackendUnavailable as error:
            click.echo(f"Skipped: {error}", err=True)
    found = plain.memory_rows(rows)
    output.show(lambda **style: sweeps.memory(rows, **style), found, found)
