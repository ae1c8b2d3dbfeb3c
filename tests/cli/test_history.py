"""`yolo-perf history` through the console script's door, on a machine that is known."""

import csv
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest

from tests.calling import call_command
from tests.factories import machine, measurement, run
from yolo_perf.archive.saved_run import block
from yolo_perf.machine.naming import slug
from yolo_perf.records import Commit, Machine
from yolo_perf.records import Run as SavedRun

Call = Callable[..., tuple[int, str, str]]
XEON = machine(cpu_model="Intel Xeon")
OWN = slug(machine())


def day(number: int, onnx: float, **changes: object) -> SavedRun:
    """A session of that day of January, eager as ever."""
    values = {"created": f"2026-01-{number + 1:02d}T00:00:00+00:00", "commit": Commit(id=f"c{number}"), **changes}
    return run(measurement((0.04,)), measurement((onnx,), backend="onnx"), **values)


def write(path: Path, found: SavedRun) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"benchmarks": [], "yolo_perf": block(found)}))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve sessions of this machine: onnx became slower by a tenth on the sixth day."""
    found = tmp_path / "baselines"
    for number in range(12):
        onnx = (0.020 if number < 6 else 0.022) * (1.001 if number % 2 else 1)
        write(found / OWN / f"{number:04d}_baseline.json", day(number, onnx))
    return found


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> Call:
    def known_machine(**_: bool) -> Machine:
        return machine()

    monkeypatch.setattr("yolo_perf.machine.identity.identify", known_machine)
    monkeypatch.setenv("YOLO_PERF_CACHE", str(tmp_path / "cache"))

    def called(*arguments: str) -> tuple[int, str, str]:
        baselines = () if "--baselines" in arguments else ("--baselines", str(folder))
        return call_command(monkeypatch, capsys, "history", *arguments, *baselines)

    return called


def test_this_machines_baselines_are_looked_back_on(call: Call) -> None:
    code, out, err = call()
    assert (code, err) == (0, "")
    assert out.startswith("AMD EPYC, 2 cores: 12 sessions, 2026-01-01 to 2026-01-12\n")
    assert "SLOWER n-onnx +10.0 %: c5..c6, 2026-01-06 to 2026-01-07" in out
    assert "n-eager        12     40.00    40.00     +0.0       0.0" in out


def test_a_terminal_without_blocks_gets_ascii(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yolo_perf.cli.history._can_show", lambda *_: False)
    code, out, _ = call()
    assert (code, "▁" in out) == (0, False)
    assert "  ______######  " in " ".join(out.split("\n"))


def test_a_regression_fails_only_where_that_is_asked_for(call: Call) -> None:
    assert call("--fail-on-regression")[0] == 1
    assert call("--fail-on-regression", "--case", "n-eager")[0] == 0
    assert call("--fail-on-regression", "--last", "6")[0] == 0
    assert call("--fail-on-regression", "--since", "2026-01-07")[0] == 0


def test_a_recovered_regression_does_not_fail(call: Call, folder: Path) -> None:
    for number in range(12, 18):
        write(folder / OWN / f"{number:04d}_baseline.json", day(number, 0.02))
    code, out, _ = call("--fail-on-regression")
    assert (code, "taken back since" in out) == (0, True)


def test_json_and_csv(call: Call, tmp_path: Path) -> None:
    code, out, _ = call("--json")
    eager, onnx = json.loads(out)["machines"][0]["series"]
    assert (code, len(eager["points"]), [each["index"] for each in onnx["changes"]]) == (0, 12, [6])
    assert (onnx["changes"][0]["commit_before"], onnx["changes"][0]["commit_after"]) == ("c5", "c6")
    code, out, _ = call("--csv", "--case", "n-onnx", "--output", str(tmp_path / "a.csv"))
    assert (code, out) == (0, "")
    (row,) = csv.DictReader(StringIO((tmp_path / "a.csv").read_text()))
    assert (row["case"], row["sessions"], row["last_change_before"]) == ("n-onnx", "12", "c5")


def test_runs_are_added_and_what_is_no_observation_is_counted(call: Call, folder: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    write(runs / "later.json", day(20, 0.02))
    write(runs / "copy.json", day(3, 0.02 * 1.001))
    write(runs / "interrupted.json", day(21, 0.02, complete=False))
    write(runs / "slow.json", day(22, 0.02, configuration={"slow_down": "n-onnx=1.5"}))
    write(runs / "other.json", day(1, 0.01, machine=XEON))
    code, out, err = call("--runs", str(runs))
    assert (code, err) == (0, "")
    assert "AMD EPYC, 2 cores: 13 sessions" in out
    assert "Intel Xeon, 2 cores: 1 session," in out
    assert out.endswith("Left out: 1 interrupted, 1 slowed down on purpose, 1 saved twice.\n")


def test_files_folders_and_machines_are_named(call: Call, folder: Path) -> None:
    files = [str(folder / OWN / f"{number:04d}_baseline.json") for number in (0, 1)]
    assert "2 sessions" in call(*files)[1]
    assert "12 sessions" in call(OWN)[1]
    code, out, _ = call(str(folder), *files)  # in the folder as well: once
    assert (code, "12 sessions" in out, "2 saved twice" in out) == (0, True, True)


def test_a_damaged_file_is_named_and_the_rest_is_shown(call: Call, folder: Path) -> None:
    damaged = folder / OWN / "0003_baseline.json"
    damaged.write_text("{")
    code, out, err = call()
    assert code == 1
    assert "11 sessions" in out
    assert "Left out: 1 damaged." in out
    assert err.startswith(f"Not usable: {damaged} is damaged or not a saved run")


def test_what_is_named_and_is_no_run_is_said(call: Call, tmp_path: Path) -> None:
    foreign = tmp_path / "plain.json"
    foreign.write_text('{"benchmarks": []}')
    code, _, err = call(str(foreign))
    assert code == 1
    assert err == f"Not usable: {foreign} has no `yolo_perf` block of a session.\n"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("nowhere",), 1, "Error: No saved run, and no folder of them: nowhere."),
        (("--runs", "nowhere"), 1, "Error: No saved run, and no folder of them: nowhere."),
        (
            ("--case", "x-*"),
            1,
            "Error: None of the 12 sessions there has what --case, --since and --last ask for.",
        ),
        (("--since", "soon"), 2, "Error: The date must be such as 2026-01-31"),
        (("--last", "0"), 2, "Error: The number of sessions must be a whole number from 1 "),
        (("--json", "--csv"), 2, "--json and --csv: choose one."),
    ],
)
def test_mistakes_are_one_line(call: Call, arguments: tuple[str, ...], code: int, message: str) -> None:
    found, out, err = call(*arguments)
    assert (found, out) == (code, "")
    assert message in err


def test_without_a_baseline_of_this_machine_it_is_said_what_to_do(call: Call, tmp_path: Path) -> None:
    nowhere = ("--baselines", str(tmp_path / "none"))
    code, _, err = call(*nowhere)
    assert code == 1
    assert f"No baseline for this machine (AMD EPYC, 2 cores) in {tmp_path / 'none'}. Record one: " in err
    write(tmp_path / "runs" / "a.json", day(1, 0.02))
    assert call("--runs", str(tmp_path / "runs"), *nowhere)[0] == 0
