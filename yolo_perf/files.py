"""Files: written whole or not at all, read only where they are files. The one way for both in this package.

What is written is filled under a name of its own beside its target, flushed to disk and put there in one step.
What a kill leaves of that names its owner, and the next process that writes in that folder removes it once the
owner is gone.
"""

import contextlib
import errno
import hashlib
import os
import platform
import re
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Iterable, Iterator
from functools import cache
from io import BufferedReader
from pathlib import Path

MAX_BYTES = 1 << 28
PATTERN = ".yolo-perf-*.tmp"
"""Names of what is being written: in `.gitignore` too."""
OTHERS_S = 7 * 86400.0
"""Seconds after which what another host was writing, on a shared file system, is taken for left behind."""
_OWNER = re.compile(r"\.yolo-perf-([0-9a-f]{6})-(\d+)-(\d+)-[0-9a-f]{8}\.tmp")
_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


def read(path: Path, most: int | None = None) -> bytes:
    """The bytes of a regular file, or of what a link of that name leads to.

    Raises OSError whose `strerror` says what it is instead, or that it has more than `most` bytes (MAX_BYTES).
    Nothing but a regular file is opened: a FIFO would be waited for, a device may have no end.
    """
    most = MAX_BYTES if most is None else most
    with opened(path, most) as stream:
        content = stream.read(most + 1)
    if len(content) > most:  # it grew meanwhile
        raise _too_large(path, most)
    return content


@contextlib.contextmanager
def opened(path: Path, most: int | None = None) -> Iterator[BufferedReader]:
    """A regular file, open for reading. Raises OSError as `read` does."""
    _require_regular(path, path.stat())  # before it is opened: to open some devices is to act on them
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as stream:
        found = os.fstat(stream.fileno())
        _require_regular(path, found)
        if most is not None and found.st_size > most:
            raise _too_large(path, most)
        yield stream


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, replacing what is there with its permissions; of a link, what it leads to.

    What is no file (a device, a FIFO that somebody reads) is written to directly, and so is what this process has
    open under that name (/dev/stdout): it may be a log that others have written to. Raises OSError.
    """
    if written_through(path):
        _write_through(path, content)
        return
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    try:
        found: os.stat_result | None = target.stat()
    except FileNotFoundError:
        found = None
    with scratch(target.parent) as own:
        _fill(own, content, found)
        own.replace(target)


def append(path: Path, content: bytes) -> None:
    """Write at the end of a file, in one call, so that others who append are not written over. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags, 0o666)
    with os.fdopen(descriptor, "wb") as stream:
        if hasattr(os, "set_blocking"):
            os.set_blocking(stream.fileno(), True)  # a FIFO that nobody reads was refused by now
        stream.write(content)


def stream_of(path: Path) -> int | None:
    """The number of the open file of this process that a path names, as /dev/stdout does; else None.

    Opened by such a name, a regular file is written from its beginning; replaced, it loses what is in it.
    """
    own = re.compile(rf"/dev/fd|/proc/{os.getpid()}/(task/\d+/)?fd")
    for _ in range(40):  # links in a circle end as well
        folder = os.path.realpath(path.parent)
        if own.fullmatch(folder):
            return int(path.name) if path.name.isascii() and path.name.isdecimal() else None
        if not path.is_symlink():
            return None
        path = Path(folder) / path.readlink()
    return None


def written_through(path: Path) -> bool:
    """Whether what is at a path is written to as it is: a device, a FIFO, an open stream such as /dev/stdout.

    Of a stream that leads to a file too: who opened it goes on writing there.
    """
    if stream_of(path) is not None:
        return True
    try:
        kind = stat.S_IFMT(path.stat().st_mode)  # a pipe's name below /proc has no real path
    except OSError:
        return False
    return kind not in (stat.S_IFREG, stat.S_IFDIR)


def place(content: bytes, folder: Path, names: Iterable[str]) -> Path:
    """Write a file under the first of these names that is free in a folder; its path. Raises OSError.

    Two that do so at once get two names: a hard link fails where its name is taken.
    """
    with scratch(folder) as own:
        _fill(own, content, None)
        for name in names:
            path = folder / name
            try:
                os.link(own, path)
            except FileExistsError:
                continue
            except OSError:  # a file system without hard links: take the name first, then fill it
                try:
                    path.touch(exist_ok=False)
                except FileExistsError:
                    continue
                own.replace(path)
            return path
    raise FileExistsError(errno.EEXIST, "every name is taken", str(folder))


@contextlib.contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """A name in a folder that nobody else has, for a file or a folder; what is there at the end is removed."""
    _clean_once(folder.absolute())
    path = folder / f".yolo-perf-{_host()}-{os.getpid()}-{_started(os.getpid())}-{secrets.token_hex(4)}.tmp"
    try:
        yield path
    finally:
        _remove(path)


@cache
def _clean_once(folder: Path) -> None:
    """`clean`, for the first of many files that a process writes there: each would list the others."""
    clean(folder)


def clean(folder: Path) -> None:
    """Remove what processes that are gone were writing in a folder."""
    for path in folder.glob(PATTERN):
        with contextlib.suppress(OSError):
            if _left_behind(path):
                _remove(path)


def _fill(path: Path, content: bytes, like: os.stat_result | None) -> None:
    """Write a new file to the disk, with the owner and permissions of another; else with the user's usual ones."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    with os.fdopen(descriptor, "wb") as stream:
        if like is not None and hasattr(os, "fchmod"):
            with contextlib.suppress(OSError):  # only root may give files away
                os.fchown(stream.fileno(), like.st_uid, like.st_gid)
            with contextlib.suppress(OSError):
                os.fchmod(stream.fileno(), stat.S_IMODE(like.st_mode))
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _write_to_stream(number: int, content: bytes) -> None:
    """Write where the process's own output goes on, behind what it has printed."""
    for printed in (sys.stdout, sys.stderr):
        if printed is not None:
            with contextlib.suppress(ValueError):  # closed
                printed.flush()
    with os.fdopen(os.dup(number), "wb") as stream:
        stream.write(content)


def _write_through(path: Path, content: bytes) -> None:
    """Write to what is no file. A FIFO that nobody reads is refused, not waited for."""
    number = stream_of(path)
    if number is not None:
        _write_to_stream(number, content)
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise OSError(errno.ENXIO, "nobody reads what it leads to", str(path)) from error
        raise
    with os.fdopen(descriptor, "wb") as stream:
        if hasattr(os, "set_blocking"):
            os.set_blocking(stream.fileno(), True)
        stream.write(content)


def _require_regular(path: Path, found: os.stat_result) -> None:
    kind = stat.S_IFMT(found.st_mode)
    if kind != stat.S_IFREG:
        number = errno.EISDIR if kind == stat.S_IFDIR else errno.EINVAL
        raise OSError(number, f"it is {_KINDS.get(kind, 'something else')}, not a file", str(path))


def _too_large(path: Path, most: int) -> OSError:
    return OSError(errno.EFBIG, f"it is larger than {most >> 20} MiB", str(path))


def _left_behind(path: Path) -> bool:
    """Whether the process that was writing this is gone."""
    match = _OWNER.fullmatch(path.name)
    if match is None or match[1] != _host():
        return time.time() - path.lstat().st_mtime > OTHERS_S
    return _started(int(match[2])) != int(match[3])


def _started(process: int) -> int:
    """When a process began; 0 where it has ended. Of numbers that are used again, which one.

    In the kernel's ticks since it started, where those are told: seconds of the day move when a clock is set, and
    what a living process is writing would be taken for left behind.
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        state, *fields = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()
        return 0 if state in (b"Z", b"X") else int(fields[18])  # it was killed, and nobody has asked after it
    import psutil

    try:
        return int(psutil.Process(process).create_time())
    except (psutil.Error, OverflowError, ValueError):
        return 0


@cache
def _host() -> str:
    """Within what a process's number means this process: containers may share a name and a folder."""
    numbers = ""
    with contextlib.suppress(OSError):
        numbers = str(Path("/proc/self/ns/pid").readlink())
    return hashlib.sha256(f"{platform.node()} {numbers}".encode()).hexdigest()[:6]


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
