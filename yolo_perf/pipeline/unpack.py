"""A zip from somewhere else, unpacked as if it were hostile."""

import re
import stat
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from yolo_perf import files
from yolo_perf.errors import DataError
from yolo_perf.units import mebibytes

_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    OverflowError,
)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an archive may hold at most."""

    members: int
    bytes_each: int
    bytes_all: int


def unpack(archive: Path, into: Path, *, wanted: re.Pattern[str], limits: Limits) -> int:
    """How many files were written: the members whose whole name is as `wanted`, below the folder `into`.

    Other members are passed over, but one that could reach outside the folder, a link, a second one of a name, and
    any that goes beyond the limits condemn the archive. Nothing is written before all names and sizes are checked.
    Raises DataError where the archive cannot be used, and OSError where a file cannot be written.
    """
    with files.opened(archive) as stream:
        try:
            opened = zipfile.ZipFile(stream)
        except _DAMAGE as error:
            raise DataError(f"{archive.name} is no zip archive, or is damaged.") from error
        members = opened.infolist()
        _check_all(members, archive.name, limits)
        chosen = [member for member in members if wanted.fullmatch(member.filename)]
        for member in chosen:
            data = _read(opened, member, archive.name)
            path = into / member.filename
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as target:
                target.write(data)
    return len(chosen)


def _check_all(members: list[zipfile.ZipInfo], source: str, limits: Limits) -> None:
    if len(members) > limits.members:
        raise DataError(f"{source} has {len(members)} members, and at most {limits.members} are expected.")
    names: set[str] = set()
    for member in members:
        if (problem := _problem(member, limits)) or member.filename.casefold() in names:
            raise DataError(f"{source}: its member {member.filename[:80]!r} {problem or 'is there twice'}.")
        names.add(member.filename.casefold())
    total = sum(member.file_size for member in members)
    if total > limits.bytes_all:
        raise DataError(
            f"{source} unpacks to {mebibytes(total)} MiB, and at most {mebibytes(limits.bytes_all)} are expected."
        )


def _problem(member: zipfile.ZipInfo, limits: Limits) -> str | None:
    """What is wrong with a member, as the end of a sentence."""
    name = member.orig_filename  # as in the file: `filename` is cut at a zero byte
    if name.startswith("/") or ".." in name.split("/") or any(sign in name for sign in "\\:\0"):
        return "would be written outside its folder"
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    if member.flag_bits & 1 or member.compress_type not in _METHODS:
        return "is encrypted, or packed in an unusual way"
    if member.file_size > limits.bytes_each:
        return f"unpacks to {mebibytes(member.file_size)} MiB"
    return None


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, source: str) -> bytes:
    """The bytes of a member, as many as it declares and of the checksum that it declares."""
    try:
        with archive.open(member) as stream:
            # `read()` would unpack all that the data expands to. The one byte more brings the checksum's test.
            data = stream.read(member.file_size + 1)
    except _DAMAGE as error:
        raise DataError(f"{source}: its member {member.filename[:80]!r} is damaged.") from error
    if len(data) != member.file_size:
        raise DataError(f"{source}: its member {member.filename[:80]!r} is cut short.")
    return data
