"""`yolo-perf models`."""

import click

from yolo_perf import settings as parse
from yolo_perf.cli.common import image_size_option
from yolo_perf.cli.completion import listed
from yolo_perf.cli.completion import sizes as complete_sizes
from yolo_perf.cli.output import Output, output_options


@click.command(short_help="Show what each model computes and moves, beside the ridge.")
@click.option(
    "--sizes", default="", metavar="N,S,...", help="Model sizes [all].", shell_complete=listed(complete_sizes)
)
@image_size_option
@click.option("--measure", is_flag=True, help="Measure the roofs anew instead of reading the last ones.")
@output_options()
def models(sizes: str, image_size: int, measure: bool, output: Output) -> None:
    """Show what each model has to compute and to move, beside this machine's ridge point."""
    chosen = parse.parse_sizes(sizes)

    from yolo_perf.analysis.roofs import remembered_roofs
    from yolo_perf.analysis.work import count, layer_counts
    from yolo_perf.machine.identity import identify
    from yolo_perf.report import plain, tables

    found = identify(with_torch=False)
    peaks, measured = remembered_roofs(found, anew=measure)
    rows = [(size, count(size, image_size=image_size), layer_counts(size)) for size in chosen]
    plain_rows = plain.model_rows(rows, peaks)
    output.show(
        lambda **style: tables.models(rows, peaks, **style) + f"\nRoofs of this machine as measured {measured}.",
        {"image_size": image_size, "roofs_measured": measured, "models": plain_rows},
        plain_rows,
    )
