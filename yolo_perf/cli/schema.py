"""`yolo-perf schema`."""

from pathlib import Path

import click

from yolo_perf.cli.output import emit, output_option


@click.command()
@output_option
def schema(output_path: Path | None) -> None:
    """Print the JSON Schema of saved runs.

    For programs that read what pytest benchmarks/ saves, in editors and validators (Draft 2020-12).
    """
    from yolo_perf.report.schema import run_schema

    emit(run_schema().encode(), output_path)
