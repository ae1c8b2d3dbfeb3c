"""Pictures: from a folder, or drawn here where there is none, through the same calls.

A picture is always decoded from its file's bytes, a drawn one too: the stage "load" is timed.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yolo_perf import files
from yolo_perf.errors import DataError
from yolo_perf.pipeline.headers import BrokenPictureError, read_header
from yolo_perf.pipeline.synthetic import draw_pictures

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
MAX_PIXELS = 200_000_000
"""A larger picture is refused unread: decoded it would take more than 600 MB."""

_LAYOUTS = ("coco128/images/train2017", "images/train2017", "images/val2017", "images", ".")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Pictures in a fixed order, each loaded when asked for: files (`paths`) or bytes (`encoded`)."""

    name: str
    paths: tuple[Path, ...] = ()
    encoded: tuple[bytes, ...] = field(default=(), repr=False)

    def __len__(self) -> int:
        return len(self.paths) + len(self.encoded)

    def load(self, index: int) -> NDArray[np.uint8]:
        """One picture, (height, width, 3) BGR. Raises DataError where it cannot be decoded."""
        if self.paths:
            return load_image(self.paths[index])
        return decode(self.encoded[index], self.label(index))

    def read(self, index: int) -> bytes:
        """One picture as it lies in its file. Raises DataError where that cannot be read."""
        return _read(self.paths[index]) if self.paths else self.encoded[index]

    def forget(self, index: int) -> None:
        """Ask the operating system to drop a picture's file from its cache. Raises DataError where none can."""
        if not self.paths or not hasattr(os, "posix_fadvise"):
            raise DataError(
                "Only files on a system with posix_fadvise (Linux) can be read cold: name a folder of pictures, "
                "or leave --cold out."
            )
        try:
            with files.opened(self.paths[index]) as stream:
                os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        except OSError as error:
            raise DataError(f"Cannot open {self.paths[index]}: {error.strerror or error}.") from error

    def label(self, index: int) -> str:
        """Name of one picture for messages: the file's, or "synthetic-003"."""
        return self.paths[index].name if self.paths else f"{self.name}-{range(len(self))[index]:03d}"


def open_dataset(folder: Path | None) -> Dataset:
    """The pictures of a folder, sorted by file name; the drawn ones where `folder` is None.

    The folder holds `coco128/images/train2017`, `images/train2017`, `images/val2017`, `images` or the
    pictures themselves: the first of these that has any is taken, without its subfolders. Hidden files
    and other suffixes are left out. Raises DataError where there is no folder or no picture.
    """
    if folder is None:
        return synthetic()
    if not folder.exists():
        raise DataError(f"No such data folder: {folder}. Give one that holds pictures, or leave it out.")
    if not folder.is_dir():
        raise DataError(f"Not a folder: {folder}. Give the folder that holds the pictures.")
    for layout in _LAYOUTS:
        paths = _pictures_in(folder / layout)
        if paths:
            name = "coco128" if layout.startswith("coco128/") else folder.resolve().name
            return Dataset(name=name, paths=paths)
    raise DataError(
        f"No pictures in {folder}, nor in {', '.join(_LAYOUTS[:-1])} below it. "
        f"Known suffixes: {' '.join(SUFFIXES)}. Without a data folder, drawn pictures are used."
    )


@cache
def synthetic(count: int = 16, seed: int = 0) -> Dataset:
    """`count` drawn pictures of COCO's usual sizes, as JPEG of quality 90 in memory.

    Same pixels before encoding on every machine; the JPEG bytes depend on OpenCV's encoder. Drawn once a
    process: 16 pictures take the better part of a second and 2 MB.
    Raises ValueError where `count` is not positive.
    """
    import cv2

    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    quality: Sequence[int] = (cv2.IMWRITE_JPEG_QUALITY, 90)
    encoded = (cv2.imencode(".jpg", picture, quality)[1].tobytes() for picture in draw_pictures(count, seed))
    return Dataset(name="synthetic", encoded=tuple(encoded))


def load_image(path: Path) -> NDArray[np.uint8]:
    """The picture in a file, (height, width, 3) BGR; see `decode`. Raises DataError naming the path."""
    # Read here and decoded from memory: OpenCV's own file reading fails on non-ASCII names on Windows.
    return decode(_read(path), str(path))


def _read(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise DataError(f"Not a picture file: {path}. Give a file, or remove it from the data folder.")
        return files.read(path)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DataError(f"Cannot read {path}: {reason}. Check the path and its permissions.") from error


def decode(data: bytes, label: str) -> NDArray[np.uint8]:
    """The picture in an encoded file's bytes, (height, width, 3) BGR, turned upright by its EXIF tag.

    Greyscale is repeated over the channels, CMYK converted, 16 bits cut to 8. Alpha is dropped, not
    composited, as OpenCV users expect: what lies under transparent pixels shows. A cut-off or damaged
    file is refused where that can be told, since a decoder would fill the rest with grey; damage inside
    JPEG's entropy-coded data cannot be told cheaply and decodes to what it decodes.
    Raises DataError naming `label`.
    """
    import cv2

    try:
        header = read_header(data)
    except BrokenPictureError as error:
        raise DataError(f"Cannot use {label}: {error}. Replace or remove it.") from error
    if header.width * header.height > MAX_PIXELS:
        raise DataError(
            f"Cannot use {label}: {header.width} x {header.height} pixels are more than "
            f"{MAX_PIXELS // 10**6} million. Make it smaller or remove it."
        )
    picture: NDArray[np.uint8] | None = None
    with _silent(), contextlib.suppress(cv2.error):
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise DataError(f"Cannot use {label}: its {header.format} data does not decode. Replace or remove it.")
    return picture


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """OpenCV prints nothing meanwhile: our own message says the same, with the name."""
    import cv2

    logging = getattr(cv2.utils, "logging", cv2)  # where these functions are before OpenCV 4.13
    level = logging.getLogLevel()
    logging.setLogLevel(0)
    try:
        yield
    finally:
        logging.setLogLevel(level)


def _pictures_in(folder: Path) -> tuple[Path, ...]:
    # A dangling link stays in: it fails with its name when loaded, rather than shrinking the data unseen.
    if not folder.is_dir():
        return ()
    try:
        entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"Cannot list {folder}: {error.strerror}. Check its permissions.") from error
    return tuple(
        entry
        for entry in entries
        if entry.suffix.lower() in SUFFIXES and not entry.name.startswith(".") and not entry.is_dir()
    )
