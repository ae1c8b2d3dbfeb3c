"""In a session of pytest that is somebody else's the plugin is as if it were not there."""

import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from tests.factories import measurement, run
from yolo_perf.archive.baselines import save_baseline
from yolo_perf.archive.saved_run import BLOCK, block
from yolo_perf.guest import HeldWarnings, mention
from yolo_perf.machine.identity import identify

FOREIGN = """
import os
import time


def test_nap(benchmark):
    benchmark.pedantic(lambda: time.sleep(float(os.environ.get("NAP", "0.002"))), rounds=5)


def test_odd_figures(benchmark):
    benchmark.extra_info["loss"] = float("nan")
    benchmark.pedantic(time.sleep, args=(0.03,), rounds=3)  # far from any limit, on a busy machine too
"""
OPTIONS = (
    ("--benchmark-compare", "--benchmark-compare-fail=mean:50%"),
    ("--benchmark-compare",),
    ("--benchmark-compare=0001", "--benchmark-compare-fail=min:50%"),
    ("--benchmark-compare=0009",),
    ("--benchmark-compare=",),
    ("--benchmark-compare=no/such/file/at.json",),
    ("--benchmark-compare", "tests/"),  # which pytest-benchmark takes for a saved run
    ("--benchmark-compare", "tests/test_own.py"),
    ("--benchmark-compare", "--benchmark-storage=elsewhere"),
    ("--benchmark-compare", "--collect-only", "-q"),
    ("--benchmark-compare", "-p", "no:benchmark"),
    ("--benchmark-compare", "--benchmark-disable"),
    ("--benchmark-compare", "--benchmark-skip"),
    ("--benchmark-compare", "-W", "error"),
    ("--benchmark-json=out.json", "-k", "nap"),
    ("--benchmark-autosave", "--benchmark-save-data", "-v"),
    ("--benchmark-only", "-q", "--benchmark-columns=min,max"),
    (
        "-k",
        "nothing_is_called_so",
    ),
    ("tests/no_such_test.py",),
)
QUICK = OPTIONS[:2]
"""Of which every change is told; the others are tried beside the slow tests."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with saved runs of its own, and with a baseline of this suite for this machine."""
    folder = tmp_path_factory.mktemp("foreign")
    (folder / "tests").mkdir()
    (folder / "tests" / "test_own.py").write_text(FOREIGN)
    (folder / "pytest.ini").write_text("[pytest]\ntestpaths = tests\n")
    machine = identify(with_torch=False)
    save_baseline(
        {
            "benchmarks": [],
            "machine_info": {},
            "commit_info": {},
            BLOCK: block(run(measurement(), machine=machine)),
        },
        folder / "baselines",
        machine,
    )
    session(folder, "--benchmark-autosave")
    return folder


def session(folder: Path, *options: str, nap: float = 0.002) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly", *options],
        cwd=folder,
        env={**os.environ, "NAP": str(nap), "COLUMNS": "160", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def timeless(text: str) -> list[str]:
    """Lines without figures, rules and the list of plugins; sorted, as rows are by time."""
    lines = (line for line in text.splitlines() if not line.startswith(("plugins:", "benchmark:")))
    plain = (re.sub(r"[-=]{3,}", "-", re.sub(r"\(?[\d.,:>]+\)?(?:[um]?s\b)?", "0", line)) for line in lines)
    return sorted(" ".join(line.split()) for line in plain)


def documents(folder: Path) -> list[Any]:
    """The JSON that was written since, with its figures, and what tells of the moment, left out; it is removed."""
    found = []
    for path in sorted([*folder.glob("out.json"), *folder.glob(".benchmarks/*/0002*.json")]):
        document = json.loads(path.read_text())
        path.unlink()
        document.pop("datetime")
        for moving in ("hz_actual", "hz_actual_friendly"):
            document["machine_info"]["cpu"].pop(moving, None)
        for benchmark in document["benchmarks"]:
            benchmark["stats"] = sorted(benchmark["stats"])
        found.append(json.dumps(document))  # NaN is unlike itself, its text is not
    return found


@pytest.mark.parametrize(
    "options",
    [pytest.param(each, id=" ".join(each), marks=() if each in QUICK else pytest.mark.slow) for each in OPTIONS],
)
def test_a_session_of_others_is_as_without_the_plugin(project: Path, options: tuple[str, ...]) -> None:
    without = session(project, "-p", "no:yolo-perf", *options, nap=0.01)
    written = documents(project)
    within = session(project, *options, nap=0.01)
    assert within.returncode == without.returncode
    assert timeless(within.stdout) == timeless(without.stdout)
    # A traceback of pytest-benchmark's has the frames of each plugin that wraps a hook.
    within_stderr, without_stderr = (each.stderr.partition("Traceback")[0] for each in (within, without))
    assert timeless(within_stderr) == timeless(without_stderr)
    assert documents(project) == written


def test_that_project_is_judged_by_its_own_run(project: Path) -> None:
    """Five times slower, beside a baseline of this suite: what the host is asked for, it says."""
    options = ("--benchmark-compare", "--benchmark-compare-fail=mean:50%", "-k", "nap")
    assert session(project, *options, nap=0.01).returncode == pytest.ExitCode.TESTS_FAILED
    assert session(project, *options).returncode == pytest.ExitCode.OK


def test_saving_where_nothing_of_ours_is_collected_is_refused(project: Path) -> None:
    ended = session(project, "--perf-save")
    assert ended.returncode == pytest.ExitCode.USAGE_ERROR
    assert "Nothing to compare or save here: no test uses measure_inference." in ended.stderr


def test_warnings_of_others_are_not_held(recwarn: pytest.WarningsRecorder) -> None:
    held = HeldWarnings()
    warnings.warn("of somebody else", UserWarning, stacklevel=1)
    held.stop()
    assert [str(each.message) for each in recwarn] == ["of somebody else"]


def test_stopping_leaves_alone_who_came_later(monkeypatch: pytest.MonkeyPatch) -> None:
    held = HeldWarnings()
    later = print
    monkeypatch.setattr(warnings, "showwarning", later)
    held.stop()
    assert warnings.showwarning is later


def test_only_python_that_names_a_fixture_mentions_this_suite(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text("def test_a(benchmark): ...\n")
    (tmp_path / "notes.txt").write_text("measure_inference")
    assert not mention([tmp_path, tmp_path / "absent.py"])
    (tmp_path / "tests" / "test_b.py").write_text("def test_b(perf_bench): ...\n")
    assert mention([tmp_path])
    assert mention([tmp_path / "tests" / "test_b.py"])
    assert not mention([tmp_path / "tests" / "test_a.py"])
