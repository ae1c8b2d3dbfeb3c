"""`yolo-perf fetch` through the console script's door, from a mirror on the loopback."""

import http.client
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from tests.calling import call_command
from tests.pipeline.site import Answer, Site, serve
from tests.pipeline.test_official import members, packed, sha256, weights
from yolo_perf.cli.fetch import _Bars
from yolo_perf.pipeline import official
from yolo_perf.pipeline.download import _Transfer

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve() as found:
        monkeypatch.setenv("YOLO_PERF_MIRROR", found.url)
        yield found


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Calls the command line; its exit code, output and errors."""
    monkeypatch.setattr("platformdirs.user_data_path", lambda name: tmp_path / "share" / name)

    def call(*arguments: str) -> tuple[int, str, str]:
        return call_command(monkeypatch, capsys, "fetch", *arguments)

    return call


def test_pictures_into_the_users_folder(run: Run, site: Site, tmp_path: Path) -> None:
    site.files["/coco128.zip"] = data = packed(members())
    folder = tmp_path / "share/yolo-perf"
    code, out, err = run("coco128")
    assert code == 0
    assert out.splitlines() == [
        f"{folder}/coco128  0.08 MiB  fetched",
        f"  sha256 of its archive {sha256(data)}",
        "",
        f"To use it: export YOLO_PERF_DATA={folder}",
    ]
    assert err.splitlines() == [
        f"fetching coco128 from {site.url}/coco128.zip",
        "coco128: 0.12 MiB have arrived and are sound",
    ]
    code, out, err = run("coco128", "--to", str(folder))
    assert (code, err) == (0, "")
    assert out.startswith(f"{folder}/coco128  0.08 MiB  there already, and sound\n")


def test_weights_as_json(run: Run, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.files["/x/yolov5n.pt"] = data = weights()
    monkeypatch.setitem(official.DIGESTS, "yolov5n.pt", sha256(data))
    code, out, _ = run("weights", "n", "n", "--to", str(tmp_path / "to"), "--from", f"{site.url}/x", "--json")
    assert code == 0
    (row,) = json.loads(out)["files"]
    assert json.loads(out)["folder"] == str(tmp_path / "to")
    assert (row["name"], row["bytes"], row["sha256"]) == ("yolov5n.pt", len(data), sha256(data))


def test_without_sizes_all_are_fetched(run: Run, site: Site, tmp_path: Path) -> None:
    data = tmp_path / "share/yolo-perf/weights/yolov5s.pt"
    data.parent.mkdir(parents=True)
    data.write_bytes(b"mine")
    code, _, err = run("weights")
    assert code == 1
    assert "yolov5n.pt: the server answered 404 (Not Found)." in err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("weights", "q"), 2, "Error: Unknown model size 'q'. Choose from: n, s, m, l, x."),
        (("weights", "n", "--from", ""), 2, "Error: The source must be a base address as in https://"),
        (("weights", "n", "--from", "file:///etc"), 2, "Error: The source must be a base address as in https://"),
        (("weights", "n", "--sha256", "12"), 2, "Error: A SHA-256 digest has 64 hexadecimal digits, got '12'."),
        (("weights", "n", "--sha256", ""), 2, "Error: A SHA-256 digest has 64 hexadecimal digits, got ''."),
        (("weights", "n", "s", "--sha256", "0" * 64), 2, "--sha256 is the digest of one file: name one SIZE."),
        (("weights", "--sha256", "0" * 64), 2, "--sha256 is the digest of one file: name one SIZE."),
        (("weights", "n", "--output", "/no/such/folder/file"), 2, "Cannot write /no/such/folder/file."),
        (("coco128", "--sha256", "x" * 64), 2, "Error: A SHA-256 digest has 64 hexadecimal digits"),
        (("coco128", "n"), 2, "unexpected extra argument"),
        (("pictures",), 2, "No such command 'pictures'"),
    ],
)
def test_mistakes_are_one_line(run: Run, arguments: tuple[str, ...], code: int, message: str) -> None:
    found, out, err = run(*arguments)
    assert (found, out) == (code, "")
    assert message in err


def test_without_a_network_one_message(run: Run, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr("socket.create_connection", unreachable)
    code, out, err = run("coco128")
    assert (code, out) == (1, "")
    message = err.splitlines()[1]
    assert message.startswith(
        f"Error: Cannot fetch {site.url}/coco128.zip: no connection (Network is unreachable). Repeat the command "
        "later, name another source (--from URL), or fetch it by hand and unpack it at "
    )
    assert len(err.splitlines()) == 2


def test_ctrl_c_keeps_what_has_arrived(
    run: Run, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = packed(members())
    site.answers = [Answer(body=data[:5000], length=len(data))]
    read = _Transfer._read

    def interrupted(transfer: _Transfer, response: http.client.HTTPResponse) -> bytes:
        if transfer.part.stat().st_size == 5000:
            raise KeyboardInterrupt
        return read(transfer, response)

    monkeypatch.setattr(_Transfer, "_read", interrupted)
    code, out, err = run("coco128")
    assert (code, out) == (130, "")
    assert err.split("\n")[1:] == [
        "What has arrived is kept: the same command goes on from there.",
        "",  # click ends the terminal's line with the ^C
        "Interrupted.",
        "",
    ]
    assert (tmp_path / "share/yolo-perf/coco128.zip.part").read_bytes() == data[:5000]
    assert not (tmp_path / "share/yolo-perf/coco128").exists()


def test_bars_on_a_terminal() -> None:
    stream = StringIO()
    console = Console(file=stream, force_terminal=True, width=100, color_system=None)
    with Progress(console=console, auto_refresh=False) as progress:
        bars = _Bars(progress)
        bars.at(1, 2)  # before anything has begun
        bars.begin("yolov5n.pt", "https://a.example/[x]/yolov5n.pt")
        bars.at(0, None)
        bars.at(25, 100)
        (task,) = progress.tasks
        assert (task.description, task.completed, task.total) == ("yolov5n.pt", 25, 100)
        bars.say("[b] is no markup")
    assert "fetching yolov5n.pt from https://a.example/[x]/yolov5n.pt" in stream.getvalue()
    assert "[b] is no markup" in stream.getvalue()


def test_help_needs_nothing_heavy() -> None:
    code = (
        "import sys; from yolo_perf.cli import cli; cli(['fetch', 'weights', '--help'], standalone_mode=False);"
        "print([name for name in ('torch', 'cv2', 'numpy', 'urllib.request', 'filelock') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.endswith("[]\n")
