"""`yolo-perf machine`."""

import click

from yolo_perf.cli.output import Output, output_options


@click.command()
@output_options(table=False)
def machine(output: Output) -> None:
    """Show this machine and its measured roofs (about two seconds)."""
    import msgspec

    from yolo_perf.analysis.roofs import measure_roofs
    from yolo_perf.machine.identity import identify
    from yolo_perf.machine.naming import fingerprint
    from yolo_perf.report import tables

    found = identify()
    peaks = measure_roofs(found)
    document = {
        "machine": {**msgspec.to_builtins(found), "fingerprint": fingerprint(found)},
        "peaks": {**msgspec.to_builtins(peaks), "ridge_point": peaks.ridge_point()},
    }
    output.show(lambda **style: tables.machine(found, peaks, **style), document)
