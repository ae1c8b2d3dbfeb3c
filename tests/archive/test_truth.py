"""What is the newest, what is the same, what is worst, and what one odd number may spoil."""

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.factories import machine, measurement, run
from yolo_perf.archive.baselines import promote, save_baseline
from yolo_perf.archive.benchmarks import read_benchmarks
from yolo_perf.archive.histories import sessions
from yolo_perf.archive.saved_run import BLOCK, block, read_run
from yolo_perf.errors import BaselineError
from yolo_perf.machine.naming import slug
from yolo_perf.records import Comparison, Run
from yolo_perf.report.story import headline, tell

Write = Callable[[str, Run], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def save(name: str, saved: Run) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({BLOCK: block(saved)}))
        return path

    return save


def told(*paths: Path) -> Any:
    return tell([(path, read_run(path)) for path in paths])


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-01-01T10:00:00+02:00", "2026-01-01T08:00:00+00:00"),
        ("2026-01-01T10:00:00Z", "2026-01-01T10:00:00+00:00"),
        ("2026-01-01T10:00:00", "2026-01-01T10:00:00+00:00"),
    ],
)
def test_a_moment_has_one_form(write: Write, written: str, read: str) -> None:
    assert read_run(write("a.json", run(created=written))).created == read


@pytest.mark.parametrize("created", ["", "yesterday", "2026-13-01T00:00:00", "0001-01-01T00:00:00", "20260101"])
def test_what_is_no_moment_is_refused(write: Write, created: str) -> None:
    with pytest.raises(BaselineError, match=r"has no date: .* It is damaged, or no saved run\."):
        read_run(write("a.json", run(created=created)))


def test_the_newest_is_so_in_every_zone(write: Write) -> None:
    """10:00+02:00 is before 09:30+00:00, though its text is behind it."""
    slow = write("slow.json", run(measurement((0.12,)), created="2026-01-01T09:30:00+00:00"))
    fast = write("fast.json", run(measurement((0.04,)), created="2026-01-01T10:00:00+02:00"))
    for given in ((slow, fast), (fast, slow)):
        assert headline(told(*given)).text == "Regressed: n-eager."


def test_numbers_of_baselines_stand_above_a_clock_that_was_set_back(write: Write) -> None:
    fast = write("m/0001_baseline.json", run(measurement((0.04,)), created="2026-01-02T00:00:00"))
    slow = write("m/0002_baseline.json", run(measurement((0.12,)), created="2026-01-01T00:00:00"))
    assert headline(told(slow, fast)).text == "Regressed: n-eager."


def test_a_run_is_newer_than_what_it_was_compared_with(write: Write) -> None:
    base = write("base.json", run(measurement((0.04,)), created="2026-01-02T00:00:00"))
    verdict = Comparison(label="n-eager", metric="latency", verdict="regressed", reason="", nodeid="a::b")
    late = run(measurement((0.12,)), created="2026-01-01T00:00:00")
    head = write("head.json", replace(late, comparisons=(verdict,), compared_with="base.json"))
    assert headline(told(base, head)).text == "Regressed: n-eager."


def test_a_session_is_the_same_however_its_file_is_written(tmp_path: Path, write: Write) -> None:
    baselines = tmp_path / "baselines"
    session = run(measurement((0.04,)), created="2026-01-01T10:00:00+02:00")
    first = promote(write("a.json", session), baselines)
    document = {"other": 1, BLOCK: {**block(session), "created": "2026-01-01T08:00:00Z", "data": "renamed"}}
    twin = tmp_path / "twin.json"
    twin.write_text(json.dumps(document, indent=7, sort_keys=True))
    with pytest.raises(BaselineError, match=f"is a baseline already: .*{first.name} holds the same session"):
        promote(twin, baselines)


def test_twins_that_lie_there_count_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for session in (run(measurement((0.04,))), run(measurement((0.04,))), run(measurement((0.05,)))):
        save_baseline({BLOCK: block(session)}, tmp_path, machine())
    with caplog.at_level(logging.WARNING):
        found = sessions(tmp_path, machine())
    assert [path.name for path, _ in found] == ["0001_baseline.json", "0003_baseline.json"]
    assert "0002_baseline.json holds the same session as" in caplog.text


PROMOTE = """
import sys
from pathlib import Path
from yolo_perf.errors import BaselineError
from yolo_perf.archive.baselines import promote
sys.stdin.readline()
try:
    promote(Path(sys.argv[1]), Path(sys.argv[2]))
except BaselineError:
    sys.exit(1)
"""


@pytest.mark.slow
def test_of_four_that_promote_one_session_at_once_one_does(tmp_path: Path, write: Write) -> None:
    path = write("a.json", run(measurement((0.04,))))
    for number in range(5):
        folder = tmp_path / f"baselines-{number}"
        command = [sys.executable, "-c", PROMOTE, str(path), str(folder)]
        four = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(4)]
        for each in four:
            each.communicate(b"\n")
        assert sorted(each.returncode for each in four) == [0, 1, 1, 1]
        assert len(list((folder / slug(machine())).glob("*.json"))) == 1


def plain(*entries: dict[str, Any]) -> str:
    return json.dumps({"datetime": "2026-01-01T00:00:00", "benchmarks": entries})


def entry(name: str, **stats: Any) -> dict[str, Any]:
    return {"fullname": name, "stats": {"min": 1.0, "median": 2.0, "max": 3.0, "rounds": 5, **stats}}


@pytest.mark.parametrize(
    "odd",
    [
        entry("odd", min=0.0),
        entry("odd", median="2"),
        entry("odd", max=float("inf")),
        entry("odd", rounds=10**400),
        {"fullname": "odd", "stats": None},
        {"fullname": 5},
        None,
    ],
)
def test_one_odd_benchmark_spoils_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture, odd: Any) -> None:
    path = tmp_path / "plain.json"
    path.write_text(plain(entry("good"), odd))
    with caplog.at_level(logging.WARNING):
        assert [each.name for each in read_benchmarks(path).benchmarks] == ["good"]
    assert f"{path}: left out is benchmark" in caplog.text


def test_numbers_that_json_has_not_spoil_nothing_beside_them(tmp_path: Path) -> None:
    extra = {"loss": float("nan"), "bounds": [float("inf"), float("-inf")]}
    path = tmp_path / "plain.json"
    path.write_text(plain({**entry("good"), "extra_info": extra}))
    assert len(read_benchmarks(path).benchmarks) == 1
    path.write_text(json.dumps({"benchmarks": [{"extra_info": extra}], BLOCK: block(run(measurement()))}))
    assert read_run(path) == run(measurement())


def test_a_baseline_is_json_whatever_a_test_left(tmp_path: Path) -> None:
    odd = {"nan": float("nan"), "list": [float("inf"), 1], (1, 2): {"deep": float("-inf")}, "path": tmp_path}
    path = save_baseline(
        {"benchmarks": [{"extra_info": odd}], BLOCK: block(run(measurement()))}, tmp_path, machine()
    )
    saved = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert saved["benchmarks"][0]["extra_info"] == {
        "nan": None,
        "list": [None, 1],
        "(1, 2)": {"deep": None},
        "path": str(tmp_path),
    }


@pytest.mark.parametrize("nodes", [("a", "b"), ("", "a")])
def test_machines_of_unknown_cpus_are_two(tmp_path: Path, nodes: tuple[str, str]) -> None:
    found = set()
    for node in nodes:
        info = {"machine": "", "node": node, "system": "Linux", "cpu": {}}
        path = tmp_path / "plain.json"
        path.write_text(json.dumps({**json.loads(plain(entry("x"))), "machine_info": info}))
        found.add(read_benchmarks(path).machine)
    assert len(found) == 2
