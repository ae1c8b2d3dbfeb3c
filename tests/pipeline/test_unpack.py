"""Archives, honest and hostile, made here."""

import io
import re
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo_perf.errors import DataError
from yolo_perf.pipeline.unpack import Limits, unpack

WANTED = re.compile(r"top/[a-z]+\.txt")
LIMITS = Limits(members=5, bytes_each=1000, bytes_all=2000)


def packed(*members: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return stream.getvalue()


def tried(data: bytes, folder: Path) -> dict[str, bytes]:
    """What comes out, by its path below the folder."""
    path = folder / "some.zip"
    path.write_bytes(data)
    into = folder / "into"
    count = unpack(path, into, wanted=WANTED, limits=LIMITS)
    found = {str(each.relative_to(into)): each.read_bytes() for each in into.rglob("*") if each.is_file()}
    assert count == len(found)
    return found


def mode(name: str, kind: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (kind | 0o777) << 16
    return info


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_wanted_members_come_out_and_others_do_not(tmp_path: Path, method: int) -> None:
    folder = mode("top/", stat.S_IFDIR)
    data = packed(
        (folder, b""), ("top/a.txt", b"one"), ("top/b.txt", b""), ("top/LICENSE", b"free"), method=method
    )
    assert tried(data, tmp_path) == {"top/a.txt": b"one", "top/b.txt": b""}


def test_files_get_no_rights_from_the_archive(tmp_path: Path) -> None:
    tried(packed((mode("top/a.txt", stat.S_IFREG | stat.S_ISUID), b"one")), tmp_path)
    assert (tmp_path / "into/top/a.txt").stat().st_mode & 0o7111 == 0


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        ("/top/x.txt", "would be written outside its folder"),
        ("../x.txt", "would be written outside its folder"),
        ("top/../../x.txt", "would be written outside its folder"),
        ("top/..", "would be written outside its folder"),
        ("..\\x.txt", "would be written outside its folder"),
        ("C:/x.txt", "would be written outside its folder"),
        (mode("top/x.txt", stat.S_IFLNK), "is a link or a device"),
        (mode("top/x.txt", stat.S_IFCHR), "is a link or a device"),
        (mode("other", stat.S_IFIFO), "is a link or a device"),
        ("top/A.txt", "is there twice"),
    ],
)
def test_one_hostile_member_condemns_the_archive(
    tmp_path: Path, member: str | zipfile.ZipInfo, reason: str
) -> None:
    data = packed(("top/a.txt", b"one"), (member, b"/etc/passwd"))
    with pytest.raises(DataError, match=reason):
        tried(data, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["some.zip"]


def test_a_zero_byte_in_a_name_is_seen(tmp_path: Path) -> None:
    data = packed(("top/a.txt", b"one"), ("top/b.txtX/../..", b"two")).replace(
        b"top/b.txtX/../..", b"top/b.txt\0/../.."
    )
    with pytest.raises(DataError, match="outside its folder"):
        tried(data, tmp_path)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (
            packed(*((f"top/{letter}.txt", b"") for letter in "abcdef")),
            "has 6 members, and at most 5 are expected",
        ),
        (packed(("top/a.txt", bytes(1001))), "'top/a.txt' unpacks to 0.00 MiB"),
        (packed(*((f"top/{letter}.txt", bytes(900)) for letter in "abc")), "unpacks to 0.00 MiB, and at most"),
        (packed(("other", bytes(1001))), "'other' unpacks to"),
        (packed(("top/a.txt", b"one"), method=zipfile.ZIP_LZMA), "packed in an unusual way"),
        (packed(("top/a.txt", b"one"), method=zipfile.ZIP_BZIP2), "packed in an unusual way"),
        (b"", "is no zip archive, or is damaged"),
        (b"<html>Sign in to this network</html>", "is no zip archive, or is damaged"),
        (packed(("top/a.txt", b"one"))[:-30], "is no zip archive, or is damaged"),
    ],
    ids=range(9),  # the archives hold the time of day
)
def test_beyond_the_limits(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=re.escape(reason)):
        tried(data, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["some.zip"]


@pytest.mark.parametrize("claimed", [10, 0, 1000])
def test_a_size_that_is_a_lie_unpacks_no_more_than_it_says(tmp_path: Path, claimed: int) -> None:
    honest = 9_000_000
    data = packed(("top/a.txt", bytes(honest))).replace(struct.pack("<I", honest), struct.pack("<I", claimed))
    with pytest.raises(DataError, match=r"'top/a\.txt' is damaged"):
        tried(data, tmp_path)


def test_a_member_that_is_cut_short(tmp_path: Path) -> None:
    data = packed(("top/a.txt", b"x" * 500)).replace(struct.pack("<I", 500), struct.pack("<I", 900))
    with pytest.raises(DataError, match=r"'top/a\.txt' is (damaged|cut short)"):
        tried(data, tmp_path)


@given(edits=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4))
def test_damage_is_a_message_or_does_no_harm(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[int, int]]
) -> None:
    data = bytearray(packed(("top/a.txt", b"one" * 50), ("top/b.txt", b"two")))
    for place, value in edits:
        data[place % len(data)] = value
    folder = tmp_path_factory.mktemp("damaged")
    try:
        found = tried(bytes(data), folder)
    except DataError as error:
        assert str(error).isprintable()
    else:
        assert set(found.values()) <= {b"one" * 50, b"two"}
    assert {path.name for path in folder.iterdir()} <= {"some.zip", "into"}
