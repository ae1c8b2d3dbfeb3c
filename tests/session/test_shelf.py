"""The baseline that a session is compared with, and what may become one."""

import os
from dataclasses import replace
from itertools import count

import pytest

from tests.session.project import TEST, Project, unavailable
from yolo_perf.archive.saved_run import read_run
from yolo_perf.backends.registry import Backend, backends
from yolo_perf.machine.host import Counters


def test_no_baseline_is_no_pass(project: Project) -> None:
    result = project.run("--benchmark-compare")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: No baseline for this machine (*) in *. Record one: pytest * --perf-save"])


@pytest.mark.slow
@pytest.mark.parametrize("content", ["", "{", "[[[[", '{"yolo_perf": {"schema": 99}}', '{"benchmarks": []}'])
def test_a_damaged_baseline_is_named_before_anything_is_measured(project: Project, content: str) -> None:
    project.run("--perf-save")
    project.baselines[0].write_text(content)
    result = project.run("--benchmark-compare")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *0001_baseline.json*"])


@pytest.mark.slow
def test_a_baseline_can_be_named(project: Project) -> None:
    project.run("--perf-save")
    project.run("--perf-save", step=9.0)
    result = project.run("--benchmark-compare=0001")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["Compared with *0001_baseline.json: 2 unchanged.", "*(1 session, default noise)."]
    )
    path = project.baselines[1].relative_to(project.pytester.path)
    result = project.run(f"--benchmark-compare={path}")
    result.stdout.fnmatch_lines(["Compared with *0002_baseline.json: *", "*(2 sessions, default noise)."])
    (project.pytester.path / "alone.json").write_bytes(path.read_bytes())
    result = project.run("--benchmark-compare=alone.json")
    result.stdout.fnmatch_lines(["Compared with alone.json: 2 improved.", "*(1 session, default noise)."])
    result = project.run("--benchmark-compare=a/b/c/none.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*No such saved run: a/b/c/none.json*"])
    assert project.run("--benchmark-compare=0009").ret == pytest.ExitCode.USAGE_ERROR


INTERRUPTED = """
import pytest
from yolo_perf.analysis import bench

def test_inference(size, optimization, measure_inference, monkeypatch):
    if optimization == "batched":
        def interrupted(*_):
            def call():
                raise KeyboardInterrupt
            return call
        monkeypatch.setattr(bench.Bench, "_target", interrupted)
    measure_inference(size, optimization)
"""


@pytest.mark.slow
def test_ctrl_c_in_a_round_keeps_what_was_measured(project: Project) -> None:
    """In a process of its own: an interrupt would end this session too."""
    (project.pytester.path / "benchmarks" / "test_inference.py").write_text(INTERRUPTED)
    result = project.pytester.runpytest_subprocess(
        "benchmarks/", "--perf-rounds=3", "--perf-save", "--benchmark-json=out.json"
    )
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["Interrupted: 1 cases were measured and kept in *last-run.json. No verdict*"])
    (kept,) = project.pytester.path.glob(".pytest_cache/**/last-run.json")
    run = read_run(kept)
    assert not run.complete
    assert [m.case.label for m in run.measurements] == ["n-eager"]
    assert not project.baselines
    refused = project.run(f"--benchmark-compare={kept.relative_to(project.pytester.path)}")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stderr.fnmatch_lines(["*holds a session that was interrupted: it is no baseline."])


@pytest.mark.slow
def test_a_session_that_stops_early_decides_nothing(project: Project) -> None:
    project.run("--perf-save")
    project.monkeypatch.setitem(backends(), "eager", replace(backends()["eager"], min_sqnr_db=999.0))
    result = project.run("--benchmark-compare", "-x", "--perf-optimizations=batched eager")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.no_fnmatch_line("MISSING*")


@pytest.mark.slow
def test_an_optimisation_that_is_no_more_is_missing(project: Project) -> None:
    # Of 64 px it sees too little to agree on, where it is installed.
    project.monkeypatch.delitem(backends(), "openvino-int8", raising=False)
    project.run("--perf-save", "--perf-optimizations=")
    project.monkeypatch.delitem(backends(), "batched")
    project.pytester.makeini("[pytest]\nperf_sizes = n\nperf_image_size = 64\n")
    result = project.run("--benchmark-compare")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["MISSING n-batched: in the baseline, not measured now"])


@pytest.mark.slow
def test_missing_is_seen_with_a_node_id(project: Project) -> None:
    project.run("--perf-save")
    project.monkeypatch.setattr(Backend, "check_available", unavailable)
    result = project.run("--benchmark-compare", target="benchmarks/test_inference.py::test_inference")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["Not measured: n-batched: skipped: needs luck. pip install luck"])


@pytest.mark.slow
def test_a_baseline_does_not_shrink_unseen(project: Project) -> None:
    project.run("--perf-save")
    result = project.run("--perf-save", "-k", "eager")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["Not saved as a baseline: *0001_baseline.json has n-batched too*"])
    assert len(project.baselines) == 1


@pytest.mark.parametrize("value", ["", "benchmarks"])
def test_a_value_that_is_no_run_is_refused(project: Project, value: str) -> None:
    result = project.run(f"--benchmark-compare={value}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --benchmark-compare took '{value}' for the saved run*"])


def test_a_test_file_is_not_taken_for_a_damaged_run(project: Project) -> None:
    for value in ("benchmarks/test_inference.py", "benchmarks/test_inference.py::test_inference"):
        result = project.run("--benchmark-compare", value)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([f"ERROR: --benchmark-compare took '{value}' for the saved run*"])


def test_a_pipe_is_not_waited_for(project: Project) -> None:
    os.mkfifo(project.pytester.path / "run.json")
    result = project.run("--benchmark-compare=run.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: run.json is no regular file: not a saved run.*"])


def test_a_missing_case_of_an_installed_package_is_seen(project: Project) -> None:
    inner = project.pytester.mkpydir("package") / "benchmarks"
    (project.pytester.path / "benchmarks").rename(inner)
    (inner / "__init__.py").touch()
    project.run("--pyargs", "--perf-save", target="package.benchmarks")
    assert len(project.baselines) == 1
    (inner / "test_inference.py").write_text(TEST.replace("test_inference(size", "test_renamed(size"))
    project.monkeypatch.setattr(Backend, "check_available", unavailable)
    result = project.run("--pyargs", "--benchmark-compare", target="package.benchmarks")
    result.stdout.fnmatch_lines(["MISSING n-batched: *"])


@pytest.mark.slow
def test_the_installed_benchmarks_are_the_repositorys(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess(
        "--pyargs", "yolo_perf.benchmarks", "--collect-only", "-q", "--perf-sizes=n"
    )
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*test_inference.py::test_inference[[]n-eager]"])


def test_a_baseline_without_a_commit_says_why(project: Project) -> None:
    result = project.run("--perf-save")
    result.stdout.fnmatch_lines(["It names no commit, *: git rev-parse: fatal: not a git repository*"])


def test_another_allocator_is_another_measurement(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    assert project.run("--perf-save").ret == pytest.ExitCode.OK
    monkeypatch.setattr("yolo_perf.analysis.bench.settle", lambda policy: policy)
    result = project.run("--benchmark-compare", "--perf-allocator=system")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["INCOMPARABLE n-eager: allocator keep -> system", "No case could be compared: that is no pass."]
    )


def test_what_was_timed_beside_other_work_is_no_baseline_unless_asked_twice(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = count(0.0, 1.5)  # seconds of others' CPU time, seen before and after three rounds of a second
    monkeypatch.setattr("yolo_perf.analysis.timing.read", lambda: Counters(other_cpu_s=next(reads)))
    result = project.run("--perf-save")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert project.baselines == []
    threads = project.threads
    result.stdout.fnmatch_lines(
        [
            f"Timed beside other work, so no evidence: n-eager ({50 / threads:.1f} %), *their threads' CPU time.",
            "Not saved as a baseline: other work ran beside n-eager, n-batched. *--perf-save-anyway.",
        ]
    )
    assert project.run("--perf-save", "--perf-save-anyway").ret == pytest.ExitCode.OK
    (path,) = project.baselines
    assert [m.host.other_cpu_s for m in read_run(path).measurements] == [1.5, 1.5]
