"""`yolo-perf fetch`."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

import click

from yolo_perf import escape
from yolo_perf.cli.common import Command
from yolo_perf.cli.output import Output, output_options
from yolo_perf.cli.terminal import say
from yolo_perf.errors import UsageError
from yolo_perf.yolov5.sizes import SIZES, check_size

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from yolo_perf.pipeline.download import Watcher
    from yolo_perf.pipeline.official import Fetched, Order


@click.group()
def fetch() -> None:
    """Fetch official weights and pictures.

    They come into a folder that YOLO_PERF_DATA or --data can name.
    """


def fetch_options(command: Command) -> Command:
    """Whereto and where from, and the form of the result; `_fetched` takes them."""
    options: list[Callable[[Command], Command]] = [
        click.option(
            "--to",
            "folder",
            type=click.Path(path_type=Path),
            metavar="FOLDER",
            help="Data folder to fetch into [the user's own, such as ~/.local/share/yolo-perf].",
        ),
        click.option(
            "--from",
            "source",
            envvar="YOLO_PERF_MIRROR",
            metavar="URL",
            help="Base address of a mirror that holds the files [$YOLO_PERF_MIRROR, else the official one].",
        ),
        click.option("--sha256", metavar="DIGEST", help="Insist on this digest of the one file that is fetched."),
        output_options(table=False),
    ]
    return reduce(lambda wrapped, option: option(wrapped), reversed(options), command)


@fetch.command()
@click.argument("sizes", nargs=-1, metavar="[SIZE]...")
@fetch_options
def weights(
    sizes: tuple[str, ...], folder: Path | None, source: str | None, sha256: str | None, output: Output
) -> None:
    """Fetch YOLOv5 v7.0's weights of each SIZE [all: about 310 MiB]."""
    chosen = tuple(dict.fromkeys(map(check_size, sizes or SIZES)))
    if sha256 is not None and len(chosen) > 1:
        raise UsageError("--sha256 is the digest of one file: name one SIZE.")

    from yolo_perf.pipeline.official import fetch_weights

    _fetch(lambda order: tuple(fetch_weights(size, order) for size in chosen), folder, source, sha256, output)


@fetch.command()
@fetch_options
def coco128(folder: Path | None, source: str | None, sha256: str | None, output: Output) -> None:
    """Fetch COCO128: 128 pictures with labels (21 MiB)."""
    from yolo_perf.pipeline.official import fetch_coco128

    _fetch(lambda order: (fetch_coco128(order),), folder, source, sha256, output)


def _fetch(
    run: "Callable[[Order], tuple[Fetched, ...]]",
    folder: Path | None,
    source: str | None,
    sha256: str | None,
    output: Output,
) -> None:
    from platformdirs import user_data_path

    from yolo_perf.pipeline.official import Order, parse_sha256, parse_source
    from yolo_perf.report.fetched import fetched, fetched_rows

    place = (folder or user_data_path("yolo-perf")).absolute()
    source = None if source is None else parse_source(source)
    sha256 = None if sha256 is None else parse_sha256(sha256)
    try:
        with _watcher() as watcher:
            items = run(Order(folder=place, source=source, sha256=sha256, watcher=watcher))
    except KeyboardInterrupt:
        say("What has arrived is kept: the same command goes on from there.", err=True)
        raise
    rows = fetched_rows(items)
    output.show(lambda **_: fetched(items, place), {"folder": str(place), "files": rows}, rows)


@contextlib.contextmanager
def _watcher() -> "Iterator[Watcher]":
    """Bars where there is a terminal to draw them on, else lines."""
    if not sys.stderr.isatty():
        yield _Lines()
        return

    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.progress import TransferSpeedColumn as Rate

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), DownloadColumn())
    with Progress(*columns, Rate(), TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        yield _Bars(progress)


class _Lines:
    """One line when something begins or ends, and one for all that goes wrong."""

    def begin(self, name: str, url: str) -> None:
        """Say where it comes from."""
        say(f"fetching {name} from {url}", err=True)

    def at(self, have: int, total: int | None) -> None:
        """Nothing: a log would fill with it."""

    def say(self, text: str) -> None:
        """The text."""
        say(text, err=True)


class _Bars:
    """One bar a file: bytes, rate and the time that is left."""

    def __init__(self, progress: "Progress"):
        self._progress = progress
        self._task: TaskID | None = None

    def begin(self, name: str, url: str) -> None:
        """A new bar."""
        self.say(f"fetching {name} from {url}")
        self._task = self._progress.add_task(escape.line(name), total=None)

    def at(self, have: int, total: int | None) -> None:
        """The bar so far."""
        if self._task is not None:
            self._progress.update(self._task, completed=have, total=total)

    def say(self, text: str) -> None:
        """The text, above the bars."""
        self._progress.console.print(escape.line(text), markup=False, highlight=False, soft_wrap=True)
