"""The command line: parse, call, print, exit code. Heavy imports wait for the command that needs them."""

import json
import logging
import sys
from pathlib import Path
from typing import Any

import click

from yolo_perf import __version__
from yolo_perf import settings as parse
from yolo_perf.errors import UsageError, YoloPerfError
from yolo_perf.yolov5.sizes import check_size

USAGE_EXIT, FAILURE_EXIT = 2, 1


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="yolo-perf")
def cli() -> None:
    """Measure YOLOv5 inference on CPUs, and see what it could reach.

    The benchmarks themselves run under pytest: pytest benchmarks/
    """


@cli.command("machine")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def machine_command(as_json: bool) -> None:
    """Show this machine and its measured roofs (about two seconds)."""
    import msgspec

    from yolo_perf.machine.identity import fingerprint, identify
    from yolo_perf.machine.peaks import measure_peaks

    machine = identify()
    peaks = measure_peaks(machine)
    if as_json:
        document = {**msgspec.to_builtins(machine), "fingerprint": fingerprint(machine)}
        _print_json(
            {"machine": document, "peaks": {**msgspec.to_builtins(peaks), "ridge_point": peaks.ridge_point()}}
        )
        return
    from yolo_perf.report import tables

    click.echo(tables.machine(machine, peaks, **_style()))


@cli.command("models")
@click.option("--sizes", default="", metavar="N,S,...", help="Model sizes [all].")
@click.option(
    "--image-size", default=str(parse.IMAGE_SIZE), show_default=True, help="Side of the input in pixels."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def models_command(sizes: str, image_size: str, as_json: bool) -> None:
    """Show what each model has to compute and to move, beside this machine's ridge point."""
    chosen, side = parse.parse_sizes(sizes), parse.parse_image_size(image_size)

    from yolo_perf.analysis.work import bound, count
    from yolo_perf.machine.identity import identify
    from yolo_perf.machine.peaks import measure_peaks

    peaks = measure_peaks(identify())
    rows = [(size, count(size, image_size=side)) for size in chosen]
    if as_json:
        _print_json(
            [
                {
                    "size": size,
                    "parameters": work.weight_bytes // 4,
                    "weight_bytes": work.weight_bytes,
                    "macs": work.macs,
                    "flops": work.flops,
                    "compulsory_bytes": work.compulsory_bytes,
                    "operational_intensity": work.operational_intensity,
                    "ridge_point": peaks.ridge_point(),
                    "bound": bound(work, peaks),
                }
                for size, work in rows
            ]
        )
        return
    from yolo_perf.report import tables

    click.echo(tables.models(rows, peaks, **_style()))


@cli.command("detect")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--size", default="n", show_default=True, help="Model size.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the pictures.")
@click.option("--data", type=click.Path(path_type=Path), envvar="YOLO_PERF_DATA", help="Folder with weights.")
@click.option(
    "--image-size", default=str(parse.IMAGE_SIZE), show_default=True, help="Side of the input in pixels."
)
def detect_command(images: tuple[Path, ...], size: str, out: Path, data: Path | None, image_size: str) -> None:
    """Draw what a model finds on IMAGES, into the folder OUT."""
    check_size(size)
    side = parse.parse_image_size(image_size)

    from yolo_perf.analysis.detect import draw_detections

    if not draw_detections(images, size=size, out=out, data=data, image_size=side, say=click.echo):
        click.echo(
            "No official weights were found, so these boxes mean nothing: the model is seeded. "
            "Name a folder that holds weights/: --data FOLDER or YOLO_PERF_DATA.",
            err=True,
        )


def main() -> None:
    """The console script: errors of the user's as one line, with exit code 2 for usage and 1 for the rest."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("yolo_perf").setLevel(logging.INFO)
    try:
        cli()
    except UsageError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(USAGE_EXIT)
    except (YoloPerfError, OSError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(FAILURE_EXIT)


def _style() -> dict[str, Any]:
    """Width and colour of the terminal, 80 and none where there is none."""
    import os
    import shutil

    color = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    return {"width": max(80, shutil.get_terminal_size((80, 24)).columns), "color": color}


def _print_json(document: object) -> None:
    click.echo(json.dumps(document, indent=2))
