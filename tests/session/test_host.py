"""Beside pytest-benchmark and other plugins: its switches and table, repeated attempts, xdist, what is loaded."""

import json
import subprocess
import sys

import pytest

from tests.session.project import Project
from yolo_perf.archive.saved_run import read_run

REPEATS = """
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item, nextitem):
    '''A second attempt, as plugins for flaky tests make it.'''
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    if any(report.failed for report in reports):
        item._initrequest()
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    return True
"""


FLAKY = """
attempts = []

def test_inference(size, optimization, measure_inference):
    measure_inference(size, optimization)
    attempts.append(optimization)
    assert len(attempts) > 1
"""


def test_a_repeated_attempt_takes_the_place_of_the_failed_one(project: Project) -> None:
    project.pytester.makeconftest(REPEATS)
    (project.pytester.path / "benchmarks" / "test_inference.py").write_text(FLAKY)
    result = project.run("--perf-save", "--benchmark-json=out.json")
    assert result.ret == pytest.ExitCode.OK
    (path,) = project.baselines
    for written in (path, project.pytester.path / "out.json"):
        assert [m.case.label for m in read_run(written).measurements] == ["n-eager", "n-batched"]
        names = [each["name"] for each in json.loads(written.read_text())["benchmarks"]]
        assert names == ["test_inference[n-eager]", "test_inference[n-batched]"]


@pytest.mark.parametrize(("options", "outcome"), [((), "skipped"), (("--benchmark-compare",), "failed")])
def test_a_process_of_xdist_passes_nothing_that_it_did_not_measure(
    project: Project, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], outcome: str
) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    result = project.run(*options, "-rfs")
    result.assert_outcomes(**{outcome: 2})
    result.stdout.fnmatch_lines(["*pytest-xdist switches benchmarks off: nothing is measured*Use -n0.*"])


def test_another_plugins_stopwatch_is_none(project: Project) -> None:
    project.monkeypatch.setattr("pytest_benchmark.fixture.BenchmarkFixture.__module__", "another_plugin")
    result = project.run("-rf")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*Another plugin took the fixture `benchmark` from pytest-benchmark*"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_skipped_benchmarks_pass(project: Project) -> None:
    assert project.run("--benchmark-skip").ret == pytest.ExitCode.OK


@pytest.mark.slow
def test_disabled_benchmarks_run_untimed(project: Project) -> None:
    result = project.run("--benchmark-disable")
    assert result.ret == pytest.ExitCode.OK
    assert project.run("--benchmark-disable", "--perf-save").ret == pytest.ExitCode.TESTS_FAILED


HOST_TABLE = "*-- benchmark: 2 tests --*"


def test_our_table_stands_in_for_the_hosts(project: Project) -> None:
    result = project.run()
    result.stdout.no_fnmatch_line(HOST_TABLE)
    result.stdout.fnmatch_lines(["*optimisation*ms/image*"])


@pytest.mark.parametrize("option", ["-v", "--benchmark-columns=min", "--benchmark-sort=min"])
def test_the_hosts_table_is_there_where_it_is_asked_for(project: Project, option: str) -> None:
    project.run(option).stdout.fnmatch_lines([HOST_TABLE, "*optimisation*ms/image*"])


def test_the_hosts_table_is_there_for_benchmarks_of_others(project: Project) -> None:
    (project.pytester.path / "benchmarks" / "test_other.py").write_text(
        "def test_other(benchmark):\n    benchmark.pedantic(int, rounds=3)\n"
    )
    project.run("--perf-optimizations=eager").stdout.fnmatch_lines([HOST_TABLE, "test_other*"])
    (project.pytester.path / "benchmarks" / "test_inference.py").unlink()
    result = project.run()
    result.stdout.fnmatch_lines(["*-- benchmark: 1 tests --*"])
    result.stdout.no_fnmatch_line("*- yolo-perf -*")


def test_collect_only_measures_nothing(project: Project) -> None:
    result = project.run("--collect-only", "-q")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*test_inference[[]n-eager]", "*test_inference[[]n-batched]"])


def test_a_session_without_benchmarks_loads_nothing_heavy(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys
        def test_modules():
            heavy = {"torch", "onnxruntime", "onnx", "cv2", "llvmlite", "numpy", "rich", "cpuinfo"}
            assert sorted(heavy & set(sys.modules)) == []
        """
    )
    pytester.makeconftest(
        """
        import atexit, sys
        heavy = {"torch", "onnxruntime", "onnx", "cv2", "llvmlite", "numpy", "rich", "cpuinfo", "scipy"}
        atexit.register(lambda: print("loaded at the end:", sorted(heavy & set(sys.modules))))
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:hypothesispytest")
    result.stdout.fnmatch_lines(["loaded at the end: []"])
    assert result.ret == pytest.ExitCode.OK
    result.stdout.no_fnmatch_line("*yolo-perf*---*")


def test_help_of_the_command_line_loads_nothing_heavy() -> None:
    code = (
        "import sys; from yolo_perf.cli import cli; cli(['--help'], standalone_mode=False); "
        "sys.exit(bool({'torch', 'numpy', 'rich', 'onnxruntime', 'cv2', 'msgspec', 'pytest'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0
