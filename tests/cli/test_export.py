"""`yolo-perf export` and `yolo-perf schema` through the console script's door."""

import csv
import json
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest

from tests.archive.test_benchmarks import plain
from tests.calling import call_command
from tests.factories import machine, measurement, run
from tests.verdict.test_compare import write_reference
from yolo_perf.archive.baselines import save_baseline
from yolo_perf.archive.saved_run import block
from yolo_perf.machine.naming import slug
from yolo_perf.report.export import MODULES
from yolo_perf.report.schema import run_schema

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """Calls `yolo-perf` in an empty folder; its exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def called(*arguments: str) -> tuple[int, str, str]:
        return call_command(monkeypatch, capsys, *arguments)

    return called


@pytest.fixture
def saved(tmp_path: Path) -> str:
    path = tmp_path / "run.json"
    path.write_text(json.dumps({"benchmarks": [], "yolo_perf": block(run(measurement((0.04,))))}))
    return str(path)


@pytest.fixture
def foreign(tmp_path: Path) -> str:
    path = tmp_path / "plain.json"
    path.write_text(json.dumps(plain()))
    return str(path)


@pytest.mark.parametrize("form", [name for name in MODULES if name != "parquet"])
def test_every_text_is_the_same_on_the_terminal_and_in_a_file(call: Call, saved: str, form: str) -> None:
    code, out, err = call("export", saved, "--format", form)
    assert (code, err) == (0, "")
    assert out.endswith("\n")
    assert call("export", saved, "--format", form, "--output", "out") == (0, "", "")
    assert Path("out").read_bytes() == out.encode()


def test_a_file_of_pytest_benchmark_is_as_good(call: Call, saved: str, foreign: str) -> None:
    code, out, err = call("export", saved, foreign, "--format", "csv")
    assert (code, err) == (0, "")
    found = [(row["benchmark"], row["latency_s"]) for row in csv.DictReader(StringIO(out))]
    assert found == [("n-eager-b1-640px-t2", "0.04"), ("tests/test_sum.py::test_sum", "3.0")]


def test_a_machine_is_its_newest_baseline(call: Call) -> None:
    for seconds in (0.04, 0.05):
        saved = run(measurement((seconds,)))
        save_baseline({"yolo_perf": block(saved)}, Path("baselines"), saved.machine)
    code, out, _ = call("export", slug(machine()), "--format", "bencher")
    assert (code, json.loads(out)["n-eager-b1-640px-t2"]["latency"]["value"]) == (0, 5e7)


def test_parquet_is_for_files_and_pipes(call: Call, saved: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call("export", saved, "--format", "parquet", "--output", "out") == (0, "", "")
    content = Path("out").read_bytes()
    assert (content[:4], content[-4:]) == (b"PAR1", b"PAR1")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    code, out, err = call("export", saved, "--format", "parquet")
    assert (code, out) == (2, "")
    assert "Error: --format parquet is nothing for a terminal: give --output FILE." in err


def test_without_duckdb_there_is_one_line(call: Call, saved: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    code, out, err = call("export", saved, "--format", "parquet", "--output", "out")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "pip install 'yolo-perf[history]'" in err
    assert not Path("out").exists()


def test_an_unusual_session_is_exported_and_said(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "cut.json"
    path.write_text(json.dumps({"yolo_perf": block(run(measurement(), complete=False))}))
    code, out, err = call("export", str(path), "--format", "csv")
    assert code == 0
    assert "was interrupted" in out
    assert err == f"{path} holds a session that was interrupted: its figures are no usual ones.\n"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("run.json",), 2, "Missing option '--format'"),
        (("run.json", "--format", "xml"), 2, "'xml' is not one of 'github-action-benchmark', 'bencher', "),
        (("--format", "csv"), 2, "Missing argument 'SAVED...'"),
        (("nothing", "--format", "csv"), 1, "Error: No saved run 'nothing'."),
        (("laptop.json", "--format", "csv"), 1, "Error: laptop.json holds published figures of another machine"),
        (("damaged.json", "--format", "csv"), 1, "Error: damaged.json is damaged or not a file of benchmarks"),
        (
            ("run.json", "plain.json", "--format", "bencher"),
            2,
            "Error: Bencher keeps one machine (testbed)",
        ),
        (("plain.json", "--format", "csv-rounds"), 1, "Error: No raw rounds are saved of tests/test_sum.py"),
        (("run.json", "--format", "csv", "--output", "no/such/file"), 2, "Error: Cannot write no/such/file."),
    ],
)
@pytest.mark.usefixtures("saved", "foreign")
def test_mistakes_are_one_message(
    call: Call, tmp_path: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    write_reference(tmp_path / "laptop.json")
    (tmp_path / "damaged.json").write_text("{")
    found, out, err = call("export", *arguments)
    assert (found, out) == (code, "")
    assert message in err


def test_schema(call: Call) -> None:
    code, out, err = call("schema")
    assert (code, out, err) == (0, run_schema(), "")
    assert call("schema", "--output", "schema.json") == (0, "", "")
    assert Path("schema.json").read_text() == out
