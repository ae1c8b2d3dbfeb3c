"""The plugin end to end, in pytest sessions of its own: a tiny image, a fake timer, known roofs."""

import json
from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from tests.session.project import Project, unavailable
from yolo_perf.archive.saved_run import read_run
from yolo_perf.backends.registry import Backend, backends


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
