"""Two sides' tests: what is no case and why, how a case is timed, and real processes of pytest."""

import random
import sys
from pathlib import Path
from typing import Any

import pytest

from yolo_perf.errors import UsageError
from yolo_perf.pairing.sides import Injection, Side
from yolo_perf.pairing.suites import MAX_ROUNDS, Ground, Suites, _lacking, _timing

REPEATED = {"ready": "benchmark", "seconds": 1e-5, "iterations": None, "rounds": None, "warmups": None}
PEDANTIC = {"ready": "pedantic", "seconds": 0.01, "iterations": 2, "rounds": 9, "warmups": 1}
PASSED = {"ended": "passed", "why": "", "foreign": ""}
FAILED = {"ended": "failed", "why": "no good", "foreign": ""}


@pytest.mark.parametrize(
    ("base", "head", "found"),
    [
        ({**REPEATED, **PASSED}, {**REPEATED, **PASSED}, None),
        ({**REPEATED, **PASSED}, {**REPEATED, **FAILED}, ("missing", "on the head it failed: no good")),
        (FAILED, {**REPEATED, **PASSED}, ("new", "on the base it failed: no good")),
        (FAILED, FAILED, ("incomparable", "on both sides it failed: no good")),
        ({**REPEATED, **PASSED}, PASSED, ("missing", "on the head it timed nothing")),
        (
            {**PEDANTIC, **PASSED},
            {**PEDANTIC, **PASSED, "iterations": 3},
            ("incomparable", "timed in unlike ways: iterations 2 -> 3"),
        ),
        (
            {**PEDANTIC, **PASSED},
            {**REPEATED, **PASSED},
            ("incomparable", "timed in unlike ways: ready pedantic -> benchmark, iterations 2 -> None"),
        ),
    ],
)
def test_what_is_no_case_and_why(base: dict[str, Any], head: dict[str, Any], found: object) -> None:
    assert _lacking(base, head) == found


def test_a_round_of_short_calls_lasts_two_milliseconds() -> None:
    case = _timing(REPEATED, {**REPEATED, "seconds": 2e-5})
    assert (case.iterations, case.rounds) == (200, MAX_ROUNDS)


def test_long_calls_are_few() -> None:
    case = _timing({**REPEATED, "seconds": 1.0}, {**REPEATED, "seconds": 2.0})
    assert (case.iterations, case.rounds) == (1, 5)


def test_no_target_is_called_more_often_than_pedantic_says() -> None:
    case = _timing(PEDANTIC, {**PEDANTIC, "rounds": 3, "warmups": 0})
    assert (case.iterations, case.rounds, case.warmup) == (2, 3, 0)


# Real processes

TESTS = """
import os, signal, sys
import pytest

def test_sum(benchmark):
    assert benchmark(sum, range(500)) == 124750
    assert benchmark.stats.stats.min > 0

def test_once(benchmark):
    calls = []
    benchmark.pedantic(lambda: calls.append(1), rounds=1)
    assert calls == [1]

def test_prepared(benchmark):
    calls = []
    benchmark.pedantic(calls.append, setup=lambda: ((1,), {}), rounds=8, warmup_rounds=2)
    assert len(calls) <= 10

def test_twice(benchmark):
    benchmark(int)
    benchmark(int)

@pytest.mark.skipif(SIDE == "head", reason="not on the head")
def test_base_only(benchmark):
    benchmark(int)

def test_kills(benchmark):
    if SIDE == "head":
        os.kill(os.getpid(), signal.SIGKILL)
    benchmark(int)

def test_prints(benchmark):
    os.write(1, b"x" * 100000)
    print("y" * 100000)
    assert sys.stdin is not None
    benchmark(int)

def test_elsewhere(benchmark, tmp_path):
    os.chdir(tmp_path)
    benchmark(int)
"""


def suites(folder: Path, *tests: str, base: str = TESTS, **head: Any) -> Suites:
    sides = []
    for name, text in (("base", base), ("head", TESTS)):
        tree = folder / name
        (tree / "tests").mkdir(parents=True)
        (tree / "pytest.ini").write_text("[pytest]\n")
        (tree / "tests" / "test_it.py").write_text(f"SIDE = {name!r}\n{text}")
        sides.append(Side(name=name, tree=tree, python=Path(sys.executable), **(head if name == "head" else {})))
    ground = Ground(
        tree=folder / "head",
        folder=folder / "head",
        options=("-p", "no:yolo-perf"),
        places=("tests",),
        tests=tuple(f"tests/test_it.py::{test}" for test in tests),
        libraries=("pytest",),
        named=(),
        beside=False,
    )
    return Suites(sides[0], sides[1], ground, time_limit_s=60, rng=random.Random(1))


@pytest.mark.slow
def test_tests_are_looked_at_and_timed_in_step(tmp_path: Path) -> None:
    names = ("sum", "once", "prepared", "twice", "base_only", "kills", "prints", "elsewhere")
    found = suites(tmp_path, *(f"test_{name}" for name in names))
    survey = found.survey()
    assert [each.label.partition("::test_")[2] for each in survey.subjects] == [
        "sum",
        "once",
        "prepared",
        "prints",
        "elsewhere",
    ]
    absent = {each.label.partition("::test_")[2]: (each.verdict, each.reason) for each in survey.absent}
    assert absent["twice"][0] == "incomparable"
    assert "Fixture can only be used once" in absent["twice"][1]
    assert absent["base_only"] == ("missing", "on the head it skipped: Skipped: not on the head")
    assert absent["kills"][0] == "missing"
    assert absent["kills"][1].startswith("on the head it failed: it ended with SIGKILL")
    assert all("pytest" in each for each in survey.libraries)
    labels = [each.label for each in survey.subjects]
    pair = found.measure(labels)
    assert [turn.label for turn in pair.turns] == [*labels, "(python)"]
    assert [len(turn.base.round_seconds) for turn in pair.turns[:3]] == [MAX_ROUNDS, 1, 7]
    assert all(len(turn.base.round_seconds) == len(turn.head.round_seconds) for turn in pair.turns)


@pytest.mark.slow
def test_what_one_side_does_not_have_is_new_or_missing(tmp_path: Path) -> None:
    base = TESTS.replace("test_sum", "test_total")
    survey = suites(tmp_path, "test_sum", "test_once", base=base).survey()
    verdicts = {each.label.partition("::")[2]: each.verdict for each in survey.absent}
    assert verdicts["test_sum"] == "new"
    assert verdicts["test_total"] == "missing"
    assert [each.label for each in survey.subjects] == ["tests/test_it.py::test_once"]


@pytest.mark.slow
def test_a_file_that_cannot_be_collected_says_why(tmp_path: Path) -> None:
    survey = suites(tmp_path, "test_sum", base="import nowhere\n").survey()
    (unknown,) = survey.absent
    assert unknown.verdict == "incomparable"
    assert "No module named 'nowhere'" in unknown.reason


@pytest.mark.slow
def test_an_injected_slow_down_is_timed(tmp_path: Path) -> None:
    inject = (Injection(kind="spin", amount=1.0, case="test_sum"),)
    found = suites(tmp_path, "test_sum", inject=inject)
    labels = [each.label for each in found.survey().subjects]
    (turn, _) = found.measure(labels).turns
    assert min(turn.head.round_seconds) > 1.5 * min(turn.base.round_seconds)


@pytest.mark.slow
def test_a_side_that_loads_the_other_sides_code_is_refused(tmp_path: Path) -> None:
    base = f"import sys\nsys.path.insert(0, {str(tmp_path / 'head')!r})\nimport lump\n{TESTS}"
    found = suites(tmp_path, "test_sum", base=base)
    (tmp_path / "head" / "lump.py").touch()
    with pytest.raises(UsageError, match=r"^A side loads lump from the other side's tree"):
        found.survey()
