"""Exported and quantised models, cached by content.

A key names everything that decides the bytes (weights digest, versions, options, our sources); a changed key
is another file, so nothing is ever stale. A file appears in one step under its final name: two runs at once may
both build it, and neither sees half of it.
"""

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from platformdirs import user_cache_path

from yolo_perf import files
from yolo_perf.errors import YoloPerfError

log = logging.getLogger(__name__)

ENVIRONMENT = "YOLO_PERF_CACHE"
DAMAGE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What reading a damaged file of ours raises."""

T = TypeVar("T")


def cache_folder() -> Path:
    """The folder of all artefacts: $YOLO_PERF_CACHE, else the user's cache folder."""
    return Path(os.environ.get(ENVIRONMENT) or user_cache_path("yolo-perf"))


def artefact(
    label: str, suffix: str, key: dict[str, str], build: Callable[[Path], None], *, quiet: bool = False
) -> Path:
    """The file of this key, built where it is not there yet by `build(path)` into a scratch folder.

    It is said when one is built, unless `quiet`. Raises YoloPerfError where the folder cannot be written.
    """
    level = logging.DEBUG if quiet else logging.INFO
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:20]
    folder = cache_folder()
    path = folder / f"{label}-{digest}{suffix}"
    if path.is_file() and path.stat().st_size:
        log.debug("reading %s, built before", path)
        return path
    log.log(level, "building %s (once; kept in %s)", label, folder)
    started = time.perf_counter()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with files.scratch(folder) as scratch:
            scratch.mkdir()
            build(scratch / path.name)
            with (scratch / path.name).open("rb+") as stream:
                os.fsync(stream.fileno())
            (scratch / path.name).replace(path)
    except OSError as error:
        raise unwritable(folder, error) from error
    log.log(level, "built %s in %.1f s", label, time.perf_counter() - started)
    return path


def kept(label: str, key: dict[str, str], kind: Any, make: Callable[[], T]) -> T:
    """A value that is made once and then read from its JSON file as `kind`; made anew where that is damaged.

    Raises YoloPerfError where the folder cannot be written.
    """

    def build(path: Path) -> None:
        path.write_bytes(msgspec.json.encode(make()))

    def read() -> T:
        path = artefact(label, ".json", key, build, quiet=True)
        try:
            found: T = msgspec.json.decode(files.read(path), type=kind)
        except DAMAGE:
            log.debug("%s is damaged: making it anew", path.name)
            discard(path)
            raise
        return found

    try:
        return read()
    except DAMAGE:
        return read()


def source_digest(*files: str | Path) -> str:
    """Digest of the model's sources and of these files: what they make is made anew when any of them changes."""
    package = Path(__file__).parent.parent
    sources = (*map(Path, files), *(package / "yolov5" / f"{name}.py" for name in ("blocks", "model", "sizes")))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def discard(path: Path) -> None:
    """Forget an artefact that turned out to be damaged."""
    path.unlink(missing_ok=True)


def unwritable(folder: Path, error: OSError) -> YoloPerfError:
    """What to say where the cache folder cannot be written, and what next."""
    return YoloPerfError(
        f"Cannot write the cache folder {folder} ({error.strerror or error}). "
        f"Free some space there, or name another folder: {ENVIRONMENT}=FOLDER"
    )
