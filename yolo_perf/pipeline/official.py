"""Official weights and pictures into a data folder: where they come from, and when they are what they should be.

A file takes its place only when it has passed its check. What lies at that place already is checked as well, and
never overwritten: it may be a user's own.
"""

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from yolo_perf import files
from yolo_perf.errors import CheckpointError, DataError, DownloadError, UsageError, YoloPerfError
from yolo_perf.pipeline.download import Patience, Watcher, discard, download, publish
from yolo_perf.pipeline.images import open_dataset
from yolo_perf.pipeline.labels import read_labels
from yolo_perf.pipeline.unpack import Limits, unpack
from yolo_perf.units import MEBI, mebibytes

WEIGHTS_SOURCE = "https://github.com/ultralytics/yolov5/releases/download/v7.0"
COCO128_SOURCE = "https://ultralytics.com/assets"
DIGESTS = {"yolov5n.pt": "4f180cf23ba0717ada0badd6c685026d73d48f184d00fc159c2641284b2ac0a3"}
"""SHA-256 of official files, where it is known for certain. The others are checked by what they hold."""

CLASSES = 80
COCO128_PICTURES = 128
COCO128_MEMBERS = re.compile(r"coco128/(images/train2017/[0-9]{12}\.jpg|labels/train2017/[0-9]{12}\.txt)")
COCO128_LIMITS = Limits(members=1000, bytes_each=8 * MEBI, bytes_all=128 * MEBI)
WEIGHTS_AT_MOST, COCO128_AT_MOST = 512 * MEBI, 128 * MEBI
"""Bytes of a download: the largest official weights have some 170 MiB, the pictures 21."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Whereto, and where from: another base address than the official one, and the digest that is insisted on."""

    folder: Path
    watcher: Watcher
    source: str | None = None
    sha256: str | None = None
    patience: Patience = field(default_factory=Patience)

    def url(self, official: str, name: str) -> str:
        """The address of a file of this name."""
        return f"{(self.source or official).rstrip('/')}/{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What is in its place now. `sha256` is of the file, or of the archive where that was fetched just now."""

    name: str
    path: Path
    bytes: int
    sha256: str | None
    fresh: bool


def parse_source(text: str) -> str:
    """The base address itself where it is one of http(s) without name, password, query; else UsageError."""
    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        sound = False
    if not sound or set(text) & set("?#@") or not (text.isascii() and text.isprintable()) or " " in text:
        raise UsageError(
            "The source must be a base address as in https://host/folder, without user, password, query or "
            f"fragment, got {re.sub('//.*@', '//...@', text)!r}."
        )
    return text


def parse_sha256(text: str) -> str:
    """The digest in lower case where it is one; else UsageError."""
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise UsageError(f"A SHA-256 digest has 64 hexadecimal digits, got {text!r}.")
    return text.lower()


def fetch_weights(size: str, order: Order) -> Fetched:
    """The official weights of one size at `weights/yolov5{size}.pt`, fetched where they are not there yet.

    Raises DownloadError where they cannot be fetched or are not what they should be, DataError where something
    else is in their place, YoloPerfError where the folder cannot be written.
    """
    name = f"yolov5{size}.pt"
    path = order.folder / "weights" / name
    expected = order.sha256 or DIGESTS.get(name)

    def result(where: Path, *, fresh: bool) -> Fetched:
        digest = _file_digest(where, expected)
        if digest != DIGESTS.get(name):
            _check_weights(where, size)
        return Fetched(name=name, path=path, bytes=where.stat().st_size, sha256=digest, fresh=fresh)

    def bring() -> Fetched:
        part = path.with_name(f"{name}.part")
        with _download(order.url(WEIGHTS_SOURCE, name), part, path, WEIGHTS_AT_MOST, order):
            found = result(part, fresh=True)
        publish(part, path)
        return found

    return _placed(path, order, lambda: result(path, fresh=False), bring)


def fetch_coco128(order: Order) -> Fetched:
    """COCO128 at `coco128/`, fetched where it is not there yet. Raises as `fetch_weights`."""
    path = order.folder / "coco128"

    def result(where: Path, digest: str | None, *, fresh: bool) -> Fetched:
        _check_coco128(where)
        size = sum(each.stat().st_size for each in where.glob("*/train2017/*"))
        return Fetched(name=path.name, path=path, bytes=size, sha256=digest, fresh=fresh)

    def found() -> Fetched:
        if order.sha256:
            raise DataError("an unpacked archive has no digest to compare with the one given")
        return result(path, None, fresh=False)

    def bring() -> Fetched:
        archive = order.folder / "coco128.zip.part"
        with files.scratch(order.folder) as scratch:
            with _download(order.url(COCO128_SOURCE, "coco128.zip"), archive, path, COCO128_AT_MOST, order):
                digest = _file_digest(archive, order.sha256)
                unpack(archive, scratch, wanted=COCO128_MEMBERS, limits=COCO128_LIMITS)
                fetched = result(scratch / "coco128", digest, fresh=True)
            (scratch / "coco128").rename(path)
        discard(archive)
        return fetched

    return _placed(path, order, found, bring)


def _placed(path: Path, order: Order, found: Callable[[], Fetched], bring: Callable[[], Fetched]) -> Fetched:
    """`found()` where something is at `path`, else `bring()`, with no other fetch at work in the folder."""
    if not _exists(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with _alone(order):
                if not _exists(path):
                    return bring()
        except OSError as error:
            raise YoloPerfError(
                f"Cannot write {error.filename or order.folder}: {error.strerror or error}. Mend that and repeat "
                "the command, which goes on with what has arrived, or name another folder: --to FOLDER."
            ) from error
    try:
        return found()
    except (DataError, CheckpointError, OSError) as error:
        raise DataError(
            f"{path} is there already, and is not what would be fetched: {_sentence(error)} "
            "Move it away, or name another folder: --to FOLDER."
        ) from error


@contextlib.contextmanager
def _alone(order: Order) -> Iterator[None]:
    """While it lasts, no other fetch is at work in the folder."""
    from filelock import FileLock, Timeout

    lock = FileLock(order.folder / ".fetch.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        order.watcher.say(f"another fetch is at work in {order.folder}: waiting for its end")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _download(url: str, part: Path, path: Path, at_most: int, order: Order) -> Iterator[None]:
    """`part` holds what `url` does; the block is its check, and where that fails the part is deleted."""
    order.watcher.begin(path.name, url)
    try:
        download(url, part, at_most=at_most, watcher=order.watcher, patience=order.patience)
    except DownloadError as error:
        form = "unpack it" if path.suffix != ".pt" else "put it"
        raise DownloadError(
            f"{error} Repeat the command later, name another source (--from URL), or fetch it by hand and {form} "
            f"at {path}."
        ) from error
    try:
        yield
    except (DataError, CheckpointError) as error:
        discard(part)
        raise DownloadError(
            f"What {url} holds is not what it should be: {_sentence(error)} It was deleted. Fetch it again, or "
            "from another source: --from URL."
        ) from error
    order.watcher.say(f"{path.name}: {mebibytes(part.stat().st_size)} MiB have arrived and are sound")


def _file_digest(path: Path, expected: str | None) -> str:
    """SHA-256 of a file, in hex. Raises DataError where another is expected."""
    with files.opened(path) as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if expected not in (None, digest):
        raise DataError(f"its SHA-256 is {digest}, expected {expected}")
    return digest


def _check_weights(path: Path, size: str) -> None:
    """Raise CheckpointError where a file is no checkpoint of this size with COCO's classes."""
    from yolo_perf.yolov5.checkpoint import match_state, read_checkpoint
    from yolo_perf.yolov5.model import build

    found = read_checkpoint(path)
    expected = build(size, CLASSES, device="meta").state_dict()
    match_state(found.state, {name: tuple(tensor.shape) for name, tensor in expected.items()}, found.source)


def _check_coco128(folder: Path) -> None:
    """Raise DataError where a folder does not hold 128 pictures that can be decoded, and labels of them."""
    dataset = open_dataset(folder)
    if len(dataset) != COCO128_PICTURES:
        raise DataError(f"it holds {len(dataset)} pictures, expected {COCO128_PICTURES}")
    for index in range(len(dataset)):
        dataset.load(index)
    labels = read_labels(dataset, CLASSES)
    if labels is None or not labels.boxes:
        raise DataError(f"it holds no labels in {folder.name}/labels/train2017")


def _sentence(error: Exception) -> str:
    return f"{str(error).rstrip('.')}."


def _exists(path: Path) -> bool:
    # A dangling link is something of the user's as well.
    return path.exists() or path.is_symlink()
