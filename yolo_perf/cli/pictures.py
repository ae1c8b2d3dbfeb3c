"""`yolo-perf detect`."""

from pathlib import Path

import click

from yolo_perf.cli.common import data_option, image_size_option
from yolo_perf.cli.completion import sizes
from yolo_perf.cli.terminal import say
from yolo_perf.yolov5.sizes import check_size


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--size", default="n", show_default=True, help="Model size.", shell_complete=sizes)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the pictures.")
@data_option
@image_size_option
def detect(images: tuple[Path, ...], size: str, out: Path, data: Path | None, image_size: int) -> None:
    """Draw what a model finds on IMAGES, into the folder OUT."""
    check_size(size)

    from yolo_perf.analysis.detect import draw_detections

    if not draw_detections(images, size=size, out=out, data=data, image_size=image_size, say=say):
        say(
            "No official weights were found, so these boxes mean nothing: the model is seeded. "
            "Name a folder that holds weights/: --data FOLDER or YOLO_PERF_DATA.",
            err=True,
        )
