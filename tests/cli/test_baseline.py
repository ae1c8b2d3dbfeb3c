"""`yolo-perf baseline` through the console script's door, on a machine that is known."""

import csv
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest

from tests.calling import call_command
from tests.factories import machine, measurement, run
from tests.verdict.test_compare import write_reference
from yolo_perf.archive.baselines import save_baseline
from yolo_perf.archive.saved_run import block
from yolo_perf.machine.naming import slug
from yolo_perf.records import Machine
from yolo_perf.records import Run as SavedRun

Call = Callable[..., tuple[int, str, str]]
XEON = machine(cpu_model="Intel Xeon")
OWN, OTHER = slug(machine()), slug(XEON)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two sessions of this machine, one of another, and a published one."""
    found = tmp_path / "baselines"
    for latency in (0.04, 0.05):
        keep(found, run(measurement((latency,)), measurement((latency,), backend="onnx")))
    keep(found, run(measurement((0.02,)), machine=XEON))
    write_reference(found / "reference" / "laptop.json")
    return found


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path) -> Call:
    """Calls `yolo-perf baseline`; its exit code, output and errors."""

    def known_machine(**_: bool) -> Machine:
        return machine()

    monkeypatch.setattr("yolo_perf.machine.identity.identify", known_machine)

    def called(*arguments: str) -> tuple[int, str, str]:
        baselines = () if "--baselines" in arguments else ("--baselines", str(folder))
        return call_command(monkeypatch, capsys, "baseline", *arguments, *baselines)

    return called


def keep(folder: Path, found: SavedRun) -> Path:
    return save_baseline({"yolo_perf": block(found)}, folder, found.machine)


def write(path: Path, found: SavedRun) -> str:
    path.write_text(json.dumps({"benchmarks": [], "yolo_perf": block(found)}))
    return str(path)


def test_the_list_marks_this_machine(call: Call) -> None:
    code, out, err = call("list")
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()[2:5]]
    assert rows == [
        ["*", OWN, "2", "2026-01-01", "abc1234", "2"],
        [OTHER, "1", "2026-01-01", "abc1234", "1"],
        ["laptop", "-", "-", "-", "2", "published"],
    ]
    code, out, _ = call("list", "--csv")
    assert [row["this_machine"] for row in csv.DictReader(StringIO(out))] == ["True", "False", "False"]


def test_a_damaged_file_is_named_after_the_whole_list(call: Call, folder: Path, tmp_path: Path) -> None:
    damaged = folder / OWN / "0002_baseline.json"
    damaged.write_text("{")
    code, out, _ = call("list")
    assert code == 1
    assert "laptop" in out
    assert "Not usable:" in out
    path = tmp_path / "list.json"
    code, out, _ = call("list", "--json", "--output", str(path))
    assert (code, out) == (1, "")
    first, *others = json.loads(path.read_text())
    assert (first["sessions"], len(first["damaged"])) == (1, 1)
    assert first["damaged"][0].startswith(f"{damaged} is damaged or not a saved run")
    assert [each["damaged"] for each in others] == [[], []]


def test_nothing_saved_is_an_empty_list(call: Call, tmp_path: Path) -> None:
    nowhere = ("--baselines", str(tmp_path / "none"))
    assert call("list", *nowhere, "--json")[:2] == (0, "[]\n")
    assert call("list", *nowhere)[1].startswith("Nothing is saved there.")


def test_the_newest_of_this_machine_is_shown_with_its_spread(call: Call, folder: Path) -> None:
    code, out, err = call("show", "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert document["path"] == str(folder / OWN / "0002_baseline.json")
    assert document["peaks"]["ridge_point"] == 5.0
    assert [case["sessions"] for case in document["cases"]] == [2, 2]
    # Of two sessions: their distance over the square root of 2.
    assert document["cases"][0]["spread"] == pytest.approx(0.1578, abs=0.0001)
    code, out, _ = call("show")
    assert "n-onnx                   2      15.8" in out
    rows = list(csv.DictReader(StringIO(call("show", "--csv")[1])))
    assert [row["latency_s"] for row in rows] == ["0.05", "0.05"]


def test_any_saved_run_is_shown(call: Call, tmp_path: Path) -> None:
    code, out, _ = call("show", OTHER)
    assert (code, "Intel Xeon" in out, "Fewer than two saved sessions" in out) == (0, True, True)
    code, out, _ = call("show", write(tmp_path / "last-run.json", run(measurement((0.03,)), complete=False)))
    assert (code, "INTERRUPTED" in out, "n-eager                  2      15.8" in out) == (0, True, True)


def test_a_run_is_shown_though_another_session_is_damaged(call: Call, folder: Path) -> None:
    damaged = folder / OWN / "0001_baseline.json"
    damaged.write_text("{")
    code, out, err = call("show")
    assert code == 1
    assert "0002_baseline.json: session of" in " ".join(out.split())
    assert err.startswith(f"Without the spread between sessions: {damaged} is damaged")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "laptop"), "without raw rounds: it is no baseline."),
        (("show", "nothing"), "No saved run 'nothing'."),
        (("prune", "reference"), "No baselines of 'reference' in "),
        (("prune", "nothing"), f"Machines there: {OWN}, {OTHER}."),
        (("promote", "/no/such/file"), "Cannot read /no/such/file: No such file or directory."),
    ],
)
def test_what_is_not_there_is_said(call: Call, arguments: tuple[str, ...], message: str) -> None:
    code, out, err = call(*arguments)
    assert (code, out) == (1, "")
    assert err.startswith("Error: ")
    assert message in err


def test_without_a_baseline_of_this_machine_the_others_are_named(call: Call, folder: Path, tmp_path: Path) -> None:
    for path in (folder / OWN).iterdir():
        path.unlink()
    code, _, err = call("show")
    assert code == 1
    assert f"No baseline for this machine (AMD EPYC, 2 cores) in {folder}; there are some for {OTHER}. Re" in err
    _, _, err = call("show", "--baselines", str(tmp_path / "none"))
    assert f"in {tmp_path / 'none'}. Record one: pytest benchmarks/ --perf-save" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("prune", "--keep", "0"), "The number of sessions must be a whole number from 1 "),
        (("list", "--json", "--csv"), "--json and --csv: choose one."),
        (("promote",), "Missing argument 'RUN'"),
    ],
)
def test_a_usage_error_exits_with_2(call: Call, arguments: tuple[str, ...], message: str) -> None:
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert message in err


def test_a_run_of_another_machine_is_promoted(call: Call, folder: Path, tmp_path: Path) -> None:
    code, out, err = call("promote", write(tmp_path / "run.json", run(measurement((0.03,)), machine=XEON)))
    path = folder / OTHER / "0002_baseline.json"
    assert (code, err) == (0, "")
    assert out == f"Saved as the newest baseline of Intel Xeon, 2 cores: {path}\n"
    assert path.read_bytes() == (tmp_path / "run.json").read_bytes()


def test_fewer_cases_are_promoted_only_when_asked_for(call: Call, folder: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "run.json", run(measurement((0.03,))))
    code, out, err = call("promote", path)
    assert (code, out) == (1, "")
    assert f"{path} lacks n-onnx, which {folder / OWN / '0002_baseline.json'} has" in err
    assert call("promote", "--shrink", path)[0] == 0


def test_all_but_the_newest_sessions_are_deleted(call: Call, folder: Path) -> None:
    old, new = sorted((folder / OWN).iterdir())
    assert call("prune") == (0, "Nothing to delete: every machine has no more than 5.\n", "")
    assert call("prune", OTHER, "--keep", "1")[1] == f"Nothing to delete: {OTHER} has no more than 1.\n"
    assert call("prune", "--keep", "1", "--dry-run") == (0, f"Would delete {old}\n", "")
    assert old.exists()
    assert call("prune", "--keep", "1") == (0, f"Deleted {old}\n", "")
    assert list((folder / OWN).iterdir()) == [new]
    assert (folder / "reference" / "laptop.json").exists()
