"""Files are written whole or not at all, and read only where they are files."""

import ast
import errno
import os
import select
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from tests.sources import nodes_of
from yolo_perf import files

PACKAGE = Path(__file__).parent.parent / "yolo_perf"
POSIX = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")


def test_a_file_is_read_and_written(tmp_path: Path) -> None:
    path = tmp_path / "a"
    files.write(path, b"one")
    files.write(path, b"two")
    assert files.read(path) == b"two"
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


def test_what_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert files.read(path, 5) == b"12345"
    with pytest.raises(OSError, match="larger than") as caught:
        files.read(path, 4)
    assert caught.value.errno == errno.EFBIG


@POSIX
@pytest.mark.parametrize("kind", ["a FIFO", "a device", "a folder", "a socket"])
def test_what_is_no_file_is_named_and_not_opened(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "link"
    if kind == "a FIFO":
        os.mkfifo(tmp_path / "it")
    elif kind == "a folder":
        (tmp_path / "it").mkdir()
    elif kind == "a socket":
        os.mknod(tmp_path / "it", stat.S_IFSOCK | 0o600)
    path.symlink_to("/dev/zero" if kind == "a device" else tmp_path / "it")
    with pytest.raises(OSError, match=f"it is {kind}, not a file"):
        files.read(path)


@POSIX
def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    target = tmp_path / "far" / "target"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(Path("far") / "target")
    files.write(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


@POSIX
def test_a_link_to_nothing_is_filled(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    files.write(tmp_path / "link", b"new")
    assert (tmp_path / "target").read_bytes() == b"new"


@POSIX
def test_a_pipe_that_nobody_reads_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="nobody reads what it leads to"):
        files.write(tmp_path / "pipe", b"x")


@POSIX
def test_an_open_stream_is_written_to_as_it_is(tmp_path: Path) -> None:
    """Piped, and where it leads to a file to which others write too."""
    code = (
        "import sys; from pathlib import Path; from yolo_perf import files\n"
        "print('before', flush=True); files.write(Path('/dev/stdout'), b'within\\n'); print('after', flush=True)"
    )
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"before\nwithin\nafter\n"
    path = tmp_path / "log"
    with path.open("ab") as stream:
        subprocess.run(command, stdout=stream, check=True)
    assert path.read_bytes() == b"before\nwithin\nafter\n"


@POSIX
def test_a_pipe_that_is_read_gets_all(tmp_path: Path) -> None:
    pipe, content = tmp_path / "pipe", bytes(1 << 20)
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    writer = threading.Thread(target=files.write, args=(pipe, content))
    writer.start()
    select.select([reader], [], [])  # before the writer has come, a read would be at the end
    with os.fdopen(reader, "rb") as stream:
        assert len(stream.read()) == len(content)
    writer.join()
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_the_longest_names_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 252)
    files.write(path, b"x")
    assert path.read_bytes() == b"x"


@POSIX
def test_a_planted_link_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even under the very name that is drawn."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    monkeypatch.setattr("yolo_perf.files.secrets.token_hex", lambda size: "ab" * size)
    with files.scratch(tmp_path) as name:
        pass
    name.symlink_to(victim)
    with pytest.raises(FileExistsError):
        files.write(tmp_path / "a", b"x")
    assert victim.read_bytes() == b"mine"


@pytest.mark.parametrize("fails", ["replace", "fsync"])
def test_what_fails_leaves_the_old_file_and_no_scratch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*((Path, "replace", full) if fails == "replace" else (os, "fsync", full)))
    with pytest.raises(OSError, match="No space left"):
        files.write(path, b"new")
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_places_are_taken_once(tmp_path: Path) -> None:
    (tmp_path / "1").touch()
    names = (str(number) for number in count(1))
    assert files.place(b"x", tmp_path, names) == tmp_path / "2"
    with pytest.raises(FileExistsError):
        files.place(b"x", tmp_path, iter(["1", "2"]))


@POSIX
@pytest.mark.parametrize("name", ["/dev/fd/{}", "/proc/self/fd/{}", "link"])
def test_an_open_file_is_written_on_where_it_is(tmp_path: Path, name: str) -> None:
    """Neither replaced nor written from its beginning: others have written there."""
    log = tmp_path / "log"
    with log.open("wb", buffering=0) as stream:
        stream.write(b"before\n")
        (tmp_path / "link").symlink_to(f"/dev/fd/{stream.fileno()}")
        path = Path(name.format(stream.fileno())) if "/" in name else tmp_path / name
        files.write(path, b"result\n")
        stream.write(b"after\n")
    assert log.read_bytes() == b"before\nresult\nafter\n"
    assert len(list(tmp_path.iterdir())) == 2


@POSIX
def test_a_pipe_is_written_to_under_the_name_of_an_open_file() -> None:
    reader, writer = os.pipe()
    files.write(Path(f"/dev/fd/{writer}"), b"result")
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        assert stream.read() == b"result"
    with pytest.raises(OSError, match="Bad file descriptor"):
        files.write(Path(f"/dev/fd/{writer}"), b"result")


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no /dev/shm here")
def test_a_file_below_dev_is_a_file() -> None:
    """Replaced whole: written in place, a shorter result would end in what is left of the longer one."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        path = Path(folder) / "a"
        files.write(path, b"a longer one")
        files.write(path, b"short")
        assert files.read(path) == b"short"
        assert not files.written_through(path)


@POSIX
def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert files.stream_of(tmp_path / "a") is None
    with pytest.raises(OSError, match="symbolic links"):
        files.write(tmp_path / "a", b"x")


@POSIX
def test_nothing_is_lost_of_what_others_append(tmp_path: Path) -> None:
    for _ in range(2):
        files.append(tmp_path / "log", b"line\n")
    assert files.read(tmp_path / "log") == b"line\nline\n"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="No such device or address"):
        files.append(tmp_path / "pipe", b"x")


KILLED = """
import os, signal, sys
from pathlib import Path
from yolo_perf import files
with files.scratch(Path(sys.argv[1])) as name:
    name.mkdir()
    (name / "big").write_bytes(b"x")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@POSIX
def test_what_a_process_left_that_nobody_asked_after_is_removed(tmp_path: Path) -> None:
    """A killed process whose parent does not wait for it is in the list of processes for as long as that lives."""
    with subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)]) as killed:
        os.waitid(os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)
        assert list(tmp_path.glob(files.PATTERN))
        files.clean(tmp_path)
        assert not list(tmp_path.glob(files.PATTERN))


@POSIX
def test_what_a_kill_left_is_removed_by_the_next_writer(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    (left,) = tmp_path.glob(files.PATTERN)
    with files.scratch(tmp_path) as mine:
        mine.touch()
        files.write(tmp_path / "a", b"x")
        assert mine.exists(), "whose owner lives"
        assert not left.exists()


def test_what_another_host_writes_is_left_for_a_week(tmp_path: Path) -> None:
    path = tmp_path / ".yolo-perf-000000-1-1-00000000.tmp"
    path.touch()
    files.clean(tmp_path)
    assert path.exists()
    os.utime(path, (0, 0))
    files.clean(tmp_path)
    assert not path.exists()


def test_a_number_of_a_process_that_is_used_again_is_another(tmp_path: Path) -> None:
    path = tmp_path / f".yolo-perf-{files._host()}-{os.getpid()}-12345-00000000.tmp"
    path.touch()
    files.clean(tmp_path)
    assert not path.exists()


ALLOWED = {
    "files.py": "the one way",
    "backends/artefacts.py": "fills a scratch folder",
    "machine/memory.py": "asks the kernel",
    "pipeline/download.py": "goes on with a part that was broken off, under a lock",
    "pipeline/unpack.py": "fills a scratch folder",
    "report/export/parquet.py": "fills a temporary folder",
    "pairing/processes.py": "a lock",
    "proof/recording.py": "appends row by row, under a lock",
    "pairing/worker.py": "its own standard output",
    "pairing/lockstep.py": "its own standard output",
}
WRITERS = {"write_bytes", "write_text", "mkstemp", "mkdtemp", "NamedTemporaryFile"}


def writes(node: ast.AST) -> bool:
    """Whether this is a call that writes a file in a way of its own."""
    match node:
        case ast.Call(func=ast.Attribute(attr=name)) if name in WRITERS:
            return True
        case ast.Call(func=ast.Attribute(attr="open" | "fdopen") | ast.Name(id="open"), args=args, keywords=named):
            given = [*args, *(each.value for each in named if each.arg == "mode")]
            modes = [each.value for each in given if isinstance(each, ast.Constant)]
            return any(isinstance(mode, str) and len(mode) < 4 and {*mode} & {*"wax+"} for mode in modes)
    return False


def modules_that(do: Callable[[ast.AST], bool]) -> set[str]:
    """Those of the package in which something does."""
    return {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if any(map(do, nodes_of(path)))}


def test_nothing_is_written_in_another_way() -> None:
    found = modules_that(writes)
    assert found - set(ALLOWED) == set(), "use files.write"
    assert set(ALLOWED) - found == set(), "no longer needed"


READS = {
    "analysis/accuracy.py": "its own sources",
    "analysis/profilers.py": "what was written into a temporary folder",
    "analysis/roofs.py": "its own sources",
    "analysis/runtime_layers.py": "what the runtime wrote into a temporary folder",
    "backends/artefacts.py": "its own sources",
    "cli/report.py": "a library of the package",
    "files.py": "the one way",
    "guest.py": "Python files that were found to be files",
    "machine/host.py": "asks the kernel",
    "machine/memory.py": "asks the kernel",
    "machine/sysfs.py": "asks the kernel",
    "report/export/parquet.py": "what was written into a temporary folder",
    "archive/thin.py": "its own source",
    "pairing/arena.py": "what workers wrote into a temporary folder",
}
READERS = {"read_bytes", "read_text", "imread", "fromfile", "loadtxt", "memmap"}


def reads(node: ast.AST) -> bool:
    """Whether this is a call that reads a file in a way of its own."""
    match node:
        case ast.Call(func=ast.Attribute(attr=name)) if name in READERS:
            return True
        case ast.Call(func=ast.Attribute(value=ast.Name(id="np" | "numpy" | "torch"), attr="load")):
            return True
        case (
            ast.Call(func=ast.Name(id="open"), args=[_, *modes])
            | ast.Call(
                func=ast.Attribute(value=ast.Name(id="path" | "os") | ast.Subscript(), attr="open"), args=[*modes]
            )
        ):
            return not modes or (isinstance(modes[0], ast.Constant) and modes[0].value in ("r", "rb", "rt"))
    return False


def test_nothing_is_read_in_another_way() -> None:
    found = modules_that(reads)
    assert found - set(READS) == set(), "use files.read or files.opened"
    assert set(READS) - found == set(), "no longer needed"
