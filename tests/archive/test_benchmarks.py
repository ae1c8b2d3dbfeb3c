import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import machine, measurement, run
from tests.verdict.test_compare import write_reference
from yolo_perf.archive.benchmarks import read_benchmarks
from yolo_perf.archive.saved_run import block
from yolo_perf.errors import BaselineError
from yolo_perf.escape import spelled as printable
from yolo_perf.machine.naming import slug
from yolo_perf.records import Commit

TEST = """
import pytest
@pytest.mark.parametrize("text", ["a", "=1+1"])
def test_length(benchmark, text):
    benchmark.pedantic(len, args=(text,), rounds=12, iterations=7)
"""


def entry(name: str = "tests/test_sum.py::test_sum", *data: float, **stats: object) -> dict[str, Any]:
    """A benchmark as pytest-benchmark saves it, with the statistics of (1, 2, 3, 4, 5) s."""
    values: dict[str, object] = {"min": 1.0, "q1": 1.75, "median": 3.0, "q3": 4.25, "max": 5.0, "rounds": 5}
    return {"fullname": name, "stats": {**values, **({"data": data} if data else {}), **stats}}


def plain(*entries: dict[str, Any], **changes: object) -> dict[str, Any]:
    """A file as pytest-benchmark writes it."""
    values: dict[str, Any] = {
        "machine_info": {"node": "host", "machine": "x86_64", "cpu": {"brand_raw": "AMD EPYC", "count": 2}},
        "commit_info": {"id": "abc1234", "branch": "main", "dirty": True, "time": None},
        "benchmarks": entries or (entry(),),
        "datetime": "2026-01-02T03:04:05.5+01:00",
        "version": "5.3.1",
    }
    return {**values, **changes}


def write(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document))
    return path


def test_a_run_is_read_for_its_block(tmp_path: Path) -> None:
    saved = run(
        measurement(tuple(i / 100 for i in range(20, 0, -1))), measurement((0.4, 0.2), backend="batched", batch=4)
    )
    found = read_benchmarks(write(tmp_path / "run.json", {**plain(), "yolo_perf": block(saved)}))
    assert (found.run, found.created, found.machine) == (
        saved,
        datetime(2026, 1, 1, tzinfo=UTC),
        slug(machine()),
    )
    assert found.commit == Commit(id="abc1234", branch="main")
    one, four = found.benchmarks
    # Of twenty rounds of 0.01 to 0.20 s: the second least and the second greatest are the deciles.
    assert (one.name, one.rounds) == ("n-eager-b1-640px-t2", 20)
    assert (one.min_s, one.low_s, one.median_s, one.high_s, one.max_s) == pytest.approx(
        (0.01, 0.02, 0.105, 0.19, 0.2)
    )
    # Of one image of four.
    assert (four.min_s, four.median_s, four.max_s) == pytest.approx((0.05, 0.075, 0.1))
    assert four.round_seconds == (0.4, 0.2)
    assert four.measurement == saved.measurements[1]


def test_a_plain_file_is_read_from_its_rounds(tmp_path: Path) -> None:
    found = read_benchmarks(write(tmp_path / "plain.json", plain(entry("a::b", 3.0, 1.0, 2.0, rounds=3))))
    assert (found.run, found.machine, found.cpu_model) == (None, "amd-epyc-2-cpus", "AMD EPYC")
    assert found.created == datetime(2026, 1, 2, 2, 4, 5, 500_000, tzinfo=UTC)
    assert found.commit == Commit(id="abc1234", branch="main", dirty=True)
    (one,) = found.benchmarks
    assert (one.name, one.rounds, one.round_seconds) == ("a::b", 3, (3.0, 1.0, 2.0))
    assert (one.min_s, one.low_s, one.median_s, one.high_s, one.max_s) == (1, 1, 2, 3, 3)


def test_without_rounds_the_saved_statistics_stand(tmp_path: Path) -> None:
    (one,) = read_benchmarks(write(tmp_path / "plain.json", plain())).benchmarks
    assert (one.min_s, one.low_s, one.median_s, one.high_s, one.max_s) == (1, 1.75, 3, 4.25, 5)
    assert (one.rounds, one.round_seconds) == (5, ())
    (one,) = read_benchmarks(write(tmp_path / "old.json", plain(entry("a\nb", q1=None, q3=None)))).benchmarks
    assert (one.name, one.low_s, one.high_s) == (r"a\nb", 1, 5)


def test_what_pytest_benchmark_itself_writes(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TEST)
    arguments = ("--benchmark-json=saved.json", "--benchmark-save=saved", "--benchmark-storage=store")
    pytester.runpytest_subprocess(*arguments).assert_outcomes(passed=2)
    whole = read_benchmarks(pytester.path / "saved.json")
    (path,) = (pytester.path / "store").rglob("*_saved.json")  # without the rounds
    for found, rounds in ((whole, 12), (read_benchmarks(path), 0)):
        assert (found.run, found.commit.id, found.commit.branch) == (None, None, None)  # outside of a repository
        names = [each.name.removesuffix("]").partition("[")[2] for each in found.benchmarks]
        assert names == ["a", "=1+1"]
        for each in found.benchmarks:
            assert each.min_s <= each.low_s <= each.median_s <= each.high_s <= each.max_s
            assert (each.rounds, len(each.round_seconds)) == (12, rounds)


def test_a_date_without_a_zone_is_utc(tmp_path: Path) -> None:
    found = read_benchmarks(write(tmp_path / "old.json", plain(datetime="2015-08-12T00:26:55")))
    assert found.created == datetime(2015, 8, 12, 0, 26, 55, tzinfo=UTC)


@pytest.mark.parametrize(
    ("info", "name"),
    [
        (None, "unknown-cpu"),
        ({"machine": "arm64"}, "arm64"),
        ({"machine": "arm64", "cpu": None}, "arm64"),
        ({"cpu": {"brand": "Intel(R) Core(TM) i7-6700K CPU @ 4.00GHz", "count": 8}}, "intel-core-i7-6700k-8-cpus"),
        ({"cpu": {"brand_raw": "../..\n", "count": 1}}, "unknown-cpu-1-cpus"),
    ],
)
def test_a_machine_has_a_harmless_name(tmp_path: Path, info: object, name: str) -> None:
    assert read_benchmarks(write(tmp_path / "plain.json", plain(machine_info=info))).machine == name


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is damaged or not a file of benchmarks"),
        (b"[1, 2]", "is damaged or not a file of benchmarks"),
        (b"[" * 100_000, "is damaged or not a file of benchmarks"),
        (b'{"\xff": 1}', "is damaged or not a file of benchmarks"),
        (json.dumps(plain()).encode().replace(b"test_sum", b"\xff"), "and is no sound file of pytest-benchmark's"),
        (b"{}", "no `yolo_perf` block, and is no sound file of pytest-benchmark's"),
        (b'{"yolo_perf": {}}', "is damaged or not a saved run"),
        (b'{"yolo_perf": {"schema": 99}}', "has schema 99"),
    ],
)
def test_what_is_no_file_of_benchmarks_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "hostile.json"
    path.write_bytes(content)
    with pytest.raises(BaselineError, match=f"^{path}.*{message}"):
        read_benchmarks(path)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (plain(entry(min=-1.0)), "stats.min"),
        (plain(entry(median=0.0)), "stats.median"),
        (plain(entry("a", 0.1, -0.1)), "stats.data"),
        (plain(entry(min=2.9, q1=1.0)), "statistics out of order in"),
        (plain(entry(median=6.0)), "statistics out of order in"),
        (plain(entry(rounds=0)), "stats.rounds"),
        (plain(entry(max="1")), "stats.max"),
        (plain(entry("")), "fullname"),
        (plain(benchmarks=[]), "holds no timed benchmark"),
        (plain(datetime="yesterday"), "datetime"),
        (plain(datetime="0001-01-01T00:00:00+23:00"), "a date that no calendar holds"),
        ({**plain(), "yolo_perf": block(run())}, "holds no timed benchmark"),
        ({"yolo_perf": block(run(measurement(), created="yesterday"))}, "has no date: 'yesterday'"),
    ],
)
def test_figures_that_cannot_be_are_refused(tmp_path: Path, document: object, message: str) -> None:
    path = write(tmp_path / "hostile.json", document)
    with pytest.raises(BaselineError, match=f"^{path}.*{message}"):
        read_benchmarks(path)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_what_is_no_number_is_refused(tmp_path: Path, number: str) -> None:
    path = tmp_path / "hostile.json"
    path.write_text(json.dumps(plain()).replace("3.0", number))
    with pytest.raises(BaselineError):
        read_benchmarks(path)


def test_a_published_machine_holds_no_benchmark(tmp_path: Path) -> None:
    path = write_reference(tmp_path / "laptop.json")
    with pytest.raises(BaselineError, match=f"no benchmark was timed there.*compare {path}"):
        read_benchmarks(path)


def test_a_file_of_any_size_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "plain.json", plain())
    monkeypatch.setattr("yolo_perf.files.MAX_BYTES", 10)
    with pytest.raises(BaselineError, match="is larger than"):
        read_benchmarks(path)


@pytest.mark.parametrize(
    ("changes", "caution"),
    [
        ({}, ""),
        ({"complete": False}, "was interrupted"),
        ({"configuration": {"slow_down": "n-eager:2"}}, "was slowed down on purpose"),
    ],
)
def test_what_is_no_usual_session_says_so(tmp_path: Path, changes: dict[str, Any], caution: str) -> None:
    path = write(tmp_path / "run.json", {"yolo_perf": block(run(measurement(), **changes))})
    assert read_benchmarks(path).caution == caution


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("n-eager", "n-eager"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\x1b[31m", r"\x1b[31m"),
        ("ä漢", "ä漢"),
        ("\ud800", r"\ud800"),
    ],
)
def test_control_characters_are_shown(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(st.characters()))
def test_printable_texts_are_one_line_and_stay(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert shown.encode().decode() == shown
    assert printable(shown) == shown
