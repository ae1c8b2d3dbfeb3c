"""The plugin end to end, in pytest sessions of its own: a tiny image, a fake timer, known roofs."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from xml.etree import ElementTree

import cv2  # noqa: F401
import onnx  # noqa: F401 - once, here: sessions in process forget what they imported, and it cannot come twice
import pytest
import torch  # noqa: F401
from rich import console  # noqa: F401

# Sessions in this process forget what they imported, which extension modules do not survive: import it first.
import yolo_perf.analysis.bench
import yolo_perf.analysis.work
import yolo_perf.pairing.confirm
import yolo_perf.report.markdown
import yolo_perf.report.tables
import yolo_perf.verdict.sessions
import yolo_perf.yolov5.seeded
from tests.factories import peaks
from yolo_perf.archive.saved_run import read_run
from yolo_perf.backends.registry import Backend, backends
from yolo_perf.errors import BackendUnavailable
from yolo_perf.machine.host import Counters
from yolo_perf.machine.identity import identify
from yolo_perf.records import Peaks

TEST = """
def test_inference(size, optimization, measure_inference):
    measure_inference(size, optimization)
"""
CLOCK = """
import itertools, os
_calls = itertools.count()
def tick():
    '''Every round takes STEP seconds.'''
    return next(_calls) * float(os.environ.get("STEP", "1"))
"""


class Project:
    """A project with benchmarks, run in this process."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
        self.pytester, self.monkeypatch = pytester, monkeypatch
        self.peaks = peaks()
        folder = pytester.mkdir("benchmarks")
        (folder / "test_inference.py").write_text(TEST)
        pytester.makepyfile(fake_clock=CLOCK)
        pytester.makeini("[pytest]\nperf_sizes = n\nperf_optimizations = eager batched\nperf_image_size = 64\n")
        pytester.syspathinsert()
        for place in ("analysis.bench", "machine.peaks"):
            monkeypatch.setattr(f"yolo_perf.{place}.measure_peaks", self._measure_peaks)
        monkeypatch.setattr("yolo_perf.analysis.timing.read", Counters)  # whatever else runs here
        monkeypatch.delenv("YOLO_PERF_DATA", raising=False)

    def _measure_peaks(self, *_: object) -> Peaks:
        return self.peaks

    def run(self, *options: str, step: float = 1.0, target: str = "benchmarks/") -> pytest.RunResult:
        self.monkeypatch.setenv("STEP", str(step))
        return self.pytester.runpytest_inprocess(
            target,
            "--perf-rounds=3",
            "--perf-confirm=off",  # what a session measures is made up: no process could confirm it
            "--benchmark-timer=fake_clock.tick",
            "-p",
            "no:hypothesispytest",  # it would import hypothesis anew in every session
            *options,
        )

    @property
    def threads(self) -> int:
        """Of every case, by default."""
        return identify(with_torch=False).usable_cores

    @property
    def baselines(self) -> list[Path]:
        return sorted(self.pytester.path.glob("baselines/*/*.json"))


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    """Fvcore too, whose import is noisy: by way of the call that keeps it quiet."""
    yolo_perf.analysis.work.count("n", 80, 64)


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(pytester, monkeypatch)


def test_a_session_ends_with_a_table_and_figures(project: Project) -> None:
    result = project.run("--benchmark-json=out.json", step=0.5)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "*optimisation*ms/image*FPS*GFLOP/s*util %*bound",
            "yolov5n  1.87 M params  7.12 MiB  0.02 GMAC  weights seeded",
            "*eager*500.00*2.0*",
            "*batched x4*125.00*8.0*",
        ]
    )
    saved = json.loads((project.pytester.path / "out.json").read_text())
    info = saved["benchmarks"][1]["extra_info"]
    assert info["latency_s"] == 0.125
    assert info["images_per_s"] == 8
    assert info["batch"] == 4
    assert info["utilization"] == pytest.approx(info["flops"] / 0.125 / 200e9)
    assert info["parity_sqnr_db"] > 60
    assert saved["yolo_perf"]["schema"] == 1
    run = read_run(project.pytester.path / "out.json")
    assert [m.round_seconds for m in run.measurements] == [(0.5,) * 3] * 2


def test_compare_finds_what_was_saved_and_nothing_changed(project: Project) -> None:
    assert project.run("--perf-save").ret == pytest.ExitCode.OK
    assert len(project.baselines) == 1
    result = project.run("--benchmark-compare")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*eager*+0.0 %", "Compared with baselines/*/0001_baseline.json: 2 unchanged."])
    result.stderr.no_fnmatch_line("*No benchmark files in*")  # of the host's own, which nobody asked for
    assert len(project.baselines) == 1
    assert read_run(project.baselines[0]).peaks_after == project.peaks


def test_a_regression_fails_by_name_without_a_traceback(project: Project) -> None:
    project.run("--perf-save")
    summary = project.pytester.path / "summary.md"
    project.monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    summary = project.pytester.path / "summary.md"
    project.monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    result = project.run("--benchmark-compare", "--junitxml=junit.xml", "--perf-save", step=3.0)
    assert summary.read_text().startswith("## 🔴 Regressed: n-eager, n-batched.")
    assert summary.read_text().startswith("## 🔴 Regressed: n-eager, n-batched.")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    (kept,) = project.pytester.path.glob(".pytest_cache/**/last-run.json")
    told = read_run(kept)
    assert (told.compared_with, {c.verdict for c in told.comparisons}) == ("0001_baseline.json", {"regressed"})
    result.stdout.fnmatch_lines(
        [
            "*eager*+200.0 %",
            "Compared with *: 2 regressed.",
            "A latency that grew by less than +118.5 % would not be seen (1 session, default noise).",
            "REGRESSED n-eager: latency +200.0 %, beyond +118.5 % (1 session, default noise) (weak: *)",
            "REGRESSED n-eager: utilization -66.7 %, beyond -54.2 % (1 session, default noise) (weak: *)",
            "Not saved as a baseline*",
        ]
    )
    result.stdout.fnmatch_lines(["FAILED benchmarks/test_inference.py::gate[[]n-eager] - REGRESSED: latency*"])
    result.stdout.no_fnmatch_line("*Traceback*")
    assert len(project.baselines) == 1
    suite = ElementTree.parse(project.pytester.path / "junit.xml").getroot()[0]
    assert suite.get("failures") == "2"


def fresh(seconds: float) -> Callable[..., dict[str, float]]:
    """In the place of what times fresh processes."""
    return lambda cases, *_: dict.fromkeys(cases, seconds)


@pytest.mark.slow
def test_a_suspect_that_fresh_processes_clear_passes_and_is_told(project: Project) -> None:
    project.run("--perf-save")
    project.monkeypatch.setattr("yolo_perf.pairing.confirm.fresh_seconds", fresh(1.0))
    result = project.run("--benchmark-compare", "--perf-confirm=auto", step=3.0)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "*timing n-eager, n-batched again in 5 fresh processes",
            "*eager*3000*+0.0 %",
            "Compared with *: 2 unchanged.",
            "UNCHANGED n-eager: suspected by the saved baseline (+200.0 %), not confirmed: latency +0.0 %, *",
        ]
    )
    project.monkeypatch.setattr("yolo_perf.pairing.confirm.fresh_seconds", fresh(4.0))
    result = project.run("--benchmark-compare", "--perf-confirm=auto", step=3.0)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["REGRESSED n-eager: latency +300.0 %, *(weaker: re-measured in 5 fresh processes *"]
    )


@pytest.mark.slow
def test_ctrl_c_while_confirming_loses_nothing(project: Project) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    project.run("--perf-save")
    project.monkeypatch.setattr("yolo_perf.pairing.confirm.fresh_seconds", interrupted)
    result = project.run("--benchmark-compare", "--perf-confirm=fresh", "--perf-save", step=3.0)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        [
            "Compared with *: 2 inconclusive.",
            "INCONCLUSIVE n-eager: suspected *",
            "Interrupted: what was suspected*",
        ]
    )
    (kept,) = project.pytester.path.glob(".pytest_cache/**/last-run.json")
    assert len(read_run(kept).measurements) == 2
    assert len(project.baselines) == 1


@pytest.mark.slow
def test_strict_fails_what_cannot_be_compared(project: Project) -> None:
    project.run("--perf-save")
    assert project.run("--benchmark-compare", "--perf-batch=2").ret == pytest.ExitCode.OK
    result = project.run("--benchmark-compare", "--perf-batch=2", "--perf-strict")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["FAILED *gate[[]n-batched] - INCOMPARABLE*"])


@pytest.mark.slow
def test_an_improvement_passes(project: Project) -> None:
    project.run("--perf-save")
    result = project.run("--benchmark-compare", step=0.25)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*: 2 improved.", "IMPROVED n-eager: latency -75.0 %*"])


@pytest.mark.slow
def test_utilisation_alone_can_regress(project: Project) -> None:
    project.run("--perf-save")
    project.peaks = replace(project.peaks, flops_per_s={"fp32": 800e9, "int8": 800e9})
    result = project.run("--benchmark-compare")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["REGRESSED n-eager: utilization -75.0 %*"])
    result.stdout.no_fnmatch_line("REGRESSED *: latency*")


@pytest.mark.slow
def test_margins_can_be_set(project: Project) -> None:
    project.run("--perf-save")
    options = ("--perf-latency-margin=250", "--perf-utilization-margin=250%")
    assert project.run("--benchmark-compare", *options, step=3.0).ret == pytest.ExitCode.OK


@pytest.mark.slow
def test_a_margin_of_a_case_that_nothing_measures_is_refused(project: Project) -> None:
    project.run("--perf-save", "--perf-margins=n-batched=400")
    result = project.run("--benchmark-compare", "--perf-margins=n-batched=400", step=3.0)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["Compared with *: 1 regressed, 1 unchanged."])
    result = project.run("--benchmark-compare", "--perf-margins=n-warp=5")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --perf-margins names 'n-warp', which neither this session nor *"])


@pytest.mark.slow
def test_a_drill_slows_one_case_and_is_never_saved(project: Project) -> None:
    result = project.run("--perf-slow-down=n-eager=2", "--perf-save")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*a drill never becomes a baseline*"])
    result = project.run("--perf-slow-down=x-eager=2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*'x-eager', which is not measured here*"])
    assert project.run("--perf-slow-down=n-eager=1.5").ret == pytest.ExitCode.OK


def test_no_baseline_is_no_pass(project: Project) -> None:
    result = project.run("--benchmark-compare")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: No baseline for this machine (*) in *. Record one: pytest * --perf-save"])


def unavailable(self: Backend) -> None:
    if self.name == "batched":
        raise BackendUnavailable("batched needs luck. pip install luck")


def test_a_missing_case_fails_with_its_reason(project: Project) -> None:
    project.run("--perf-save")
    project.monkeypatch.setattr(Backend, "check_available", unavailable)
    result = project.run("--benchmark-compare", "-rs")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["MISSING n-batched: skipped: batched needs luck. pip install luck"])
    assert project.run("-rs").ret == pytest.ExitCode.OK


@pytest.mark.slow
@pytest.mark.parametrize("options", [("--perf-optimizations=eager",), ("-k", "eager")])
def test_a_case_left_out_on_purpose_is_not_missing(project: Project, options: tuple[str, ...]) -> None:
    project.run("--perf-save")
    result = project.run("--benchmark-compare", *options)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["Compared with *: 1 unchanged."])


@pytest.mark.slow
def test_a_new_case_is_said(project: Project) -> None:
    project.run("--perf-save", "--perf-optimizations=eager")
    result = project.run("--benchmark-compare")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["*batched x4*new", "*: 1 unchanged, 1 new.", "NEW n-batched: not in the baseline"]
    )


@pytest.mark.slow
def test_other_settings_are_incomparable_and_no_pass(project: Project) -> None:
    project.run("--perf-save")
    result = project.run("--benchmark-compare", "--perf-image-size=96")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["INCOMPARABLE n-eager: image_size 64 -> 96*", "No case could be compared*"])


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


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--perf-sizes=n,q", "Unknown model size 'q'. Choose from: n, s, m, l, x."),
        ("--perf-optimizations=warp", "Unknown optimisation 'warp'. Choose from: eager,*"),
        ("--perf-batch=0", "The batch must be a whole number from 1 to 256, got '0'."),
        ("--perf-batch=two", "The batch must be a whole number*"),
        ("--perf-threads=-1", "The number of threads must be*"),
        ("--perf-rounds=0", "The number of rounds must be*"),
        ("--perf-image-size=641", "Image size 641 is not a positive multiple of 32; try 640."),
        ("--perf-budget=0", "The time budget in seconds must be a positive number*"),
        ("--perf-analysis-budget=0", "The time budget of an analysis in seconds must be a positive number*"),
        ("--perf-analysis-optimizations=warp", "Unknown optimisation 'warp'. Choose from: eager,*"),
        ("--perf-stages-sizes=q", "Unknown model size 'q'. Choose from: n, s, m, l, x."),
        ("--perf-budget=nan", "The time budget in seconds must be a positive number*"),
        ("--perf-latency-margin=-3", "The latency margin must be a positive number*"),
        ("--perf-confirm=maybe", "The way to confirm is one of auto, fresh, off; got 'maybe'."),
        ("--perf-margins=n-eager", "A case's margin reads CASE=PERCENT or *; got 'n-eager'."),
        ("--perf-margins=n-eager:speed=5", "A case's margin reads *; got 'n-eager:speed=5'."),
        ("--perf-margins=n-eager=-1", "The margin of n-eager must be a positive number, got '-1'."),
        ("--perf-margins=n-eager=1 n-eager=2", "n-eager has two margins."),
        ("--perf-slow-down=n-eager", "A slow-down reads CASE=FACTOR*"),
        ("--perf-slow-down=n-eager=0.5", "A slow-down's factor is at least 1*"),
        ("--perf-data=nowhere", "No such data folder: nowhere*"),
    ],
)
def test_wrong_options_are_one_message(project: Project, option: str, message: str) -> None:
    result = project.run(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])


def test_an_output_that_differs_is_not_timed(project: Project) -> None:
    wrong = backends()["batched"]
    project.monkeypatch.setitem(backends(), "batched", replace(wrong, min_sqnr_db=999.0))
    result = project.run("--benchmark-json=out.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["*n-batched does not agree with eager, so it is not timed: SQNR * dB (at least 999)*"]
    )
    run = read_run(project.pytester.path / "out.json")
    assert [m.case.label for m in run.measurements] == ["n-eager"]


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
    result = pytester.runpytest_subprocess("-p", "no:hypothesispytest")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.no_fnmatch_line("*yolo-perf*---*")


def test_help_of_the_command_line_loads_nothing_heavy() -> None:
    code = (
        "import sys; from yolo_perf.cli import cli; cli(['--help'], standalone_mode=False); "
        "sys.exit(bool({'torch', 'numpy', 'rich', 'onnxruntime', 'cv2', 'msgspec', 'pytest'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0


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
