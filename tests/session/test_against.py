"""`--perf-against` through pytest's door: two suites that are played, and once real ones."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.factories import pairs
from yolo_perf.archive.saved_pairs import SavedPairs, read_told
from yolo_perf.errors import UsageError
from yolo_perf.pairing.arena import Subject, Survey
from yolo_perf.pairing.processes import MARK
from yolo_perf.pairing.sides import Side
from yolo_perf.pairing.suites import Ground
from yolo_perf.records import Pair
from yolo_perf.verdict.gate import Decision

TESTS = """
import pytest

@pytest.mark.parametrize("number", [1, 2])
def test_sum(benchmark, number):
    raise AssertionError("no test runs in the process that asks")

def test_plain():
    raise AssertionError("a test that measures nothing is no case")
"""
ONE, TWO = "test_it.py::test_sum[1]", "test_it.py::test_sum[2]"


class PlayedSuites:
    """Two sides that differ by what the test sets."""

    ground: Ground
    sides: tuple[Side, Side]
    difference: Callable[[str, int], float]
    absent: tuple[Decision, ...] = ()
    failure: Exception | None = None
    seen: "list[PlayedSuites]"

    def __init__(self, base: Side, head: Side, ground: Ground, **_: Any):
        self.sides, self.ground, self.measured = (base, head), ground, 0
        self.seen.append(self)

    def survey(self) -> Survey:
        if self.failure:
            raise self.failure
        left_out = {each.label for each in self.absent}
        subjects = tuple(
            Subject(label=test, size="", optimization="", rounds=5, batch=1)
            for test in self.ground.tests
            if test not in left_out
        )
        return Survey(subjects=subjects, absent=self.absent, libraries=({}, {}))

    def measure(self, labels: Sequence[str]) -> Pair:
        number, self.measured = self.measured, self.measured + 1
        (pair,) = pairs({label: [type(self).difference(label, number)] for label in (*labels, "(python)")})
        return pair


def noise(_: str, number: int) -> float:
    return (0.001, -0.001)[number % 2]


def slow(label: str, number: int) -> float:
    return noise(label, number) + (0.05 if label == TWO else 0)


def unfair(label: str, number: int) -> float:
    return 0.05 if label == "(python)" else noise(label, number)


def wild(label: str, number: int) -> float:
    return 0.0 if label == "(python)" else (0.06, -0.06)[number % 2]


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> type[PlayedSuites]:
    class Played(PlayedSuites):
        difference = staticmethod(noise)
        seen: list[PlayedSuites] = []  # noqa: RUF012 - one class a test

    monkeypatch.setattr("yolo_perf.pairing.suites.Suites", Played)
    monkeypatch.setenv("YOLO_PERF_CACHE", str(tmp_path_factory.mktemp("cache")))
    return Played


@pytest.fixture
def run(pytester: pytest.Pytester, played: type[PlayedSuites]) -> Callable[..., pytest.RunResult]:
    pytester.makepyfile(test_it=TESTS)
    pytester.makeini("[pytest]\n")

    def called(*arguments: str) -> pytest.RunResult:
        return pytester.runpytest_inprocess("-p", "no:hypothesispytest", "--perf-against=path:.", *arguments)

    return called


Run = Callable[..., pytest.RunResult]


def test_benchmarks_are_compared_and_nothing_else_runs(run: Run, played: type[PlayedSuites]) -> None:
    result = run()
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=2, deselected=1)
    result.stdout.fnmatch_lines(["base  path:.", "head  this session", "test_sum[[]1] *UNCHANGED*"])
    (suites,) = played.seen
    assert suites.ground.tests == (ONE, TWO)


def test_a_regression_fails_its_test_and_junit(
    run: Run, played: type[PlayedSuites], pytester: pytest.Pytester
) -> None:
    played.difference = staticmethod(slow)
    result = run("--junitxml=out.xml")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=1, failed=1, deselected=1)
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_sum[[]2] - REGRESSED: surely more than +0.5 %*"])
    result.stdout.no_fnmatch_line("*Traceback*")
    (failure,) = ElementTree.parse(pytester.path / "out.xml").iter("failure")
    assert failure.attrib["message"].startswith("REGRESSED")


def test_what_is_missing_fails_though_it_is_no_test_of_this_session(run: Run, played: type[PlayedSuites]) -> None:
    gone = Decision(label="test_it.py::test_gone", verdict="missing", reason="the head does not have it")
    skipped = Decision(label=ONE, verdict="incomparable", reason="on both sides it skipped")
    played.absent = (gone, skipped)
    result = run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=1, failed=1, skipped=1, deselected=1)
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_gone - MISSING: the head does not have it"])


def test_an_unfair_host_and_what_is_not_decided_have_their_own_status(
    run: Run, played: type[PlayedSuites]
) -> None:
    played.difference = staticmethod(unfair)
    assert run().ret == 4
    played.difference = staticmethod(wild)
    assert run().ret == 0
    strict = run("--perf-strict")
    assert strict.ret == 3
    strict.assert_outcomes(failed=2, deselected=1)


def test_a_side_that_fails_is_one_line(run: Run, played: type[PlayedSuites]) -> None:
    played.failure = UsageError(
        "path:.: it ended with exit code 1 (ModuleNotFoundError: No module named 'pytest')."
    )
    result = run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["path:.: it ended with exit code 1 (ModuleNotFoundError*"])
    result.stdout.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--benchmark-disable",),
            "*on two sides, and nothing else: leave out --benchmark-disable.",
        ),
        (("--benchmark-compare", "--perf-save"), "*leave out --benchmark-compare, --perf-save."),
        (("-n2",), "*leave out -n (pytest-xdist)."),
        (("--perf-against=nowhere:1",), "*A side reads ref:GITREF*got 'nowhere:1'."),
        (("--perf-against=inject:convolution=3%",), "*inject:convolution is for this suite's own cases*"),
        (("--perf-pairs=2",), "*Too few pairs*"),
        (("-p", "no:benchmark"), "*which is off (-p no:benchmark)."),
        (("test_it.py::test_plain",), "*Nothing to compare: no collected test uses*`benchmark`.*"),
    ],
)
def test_mistakes_are_one_message(run: Run, arguments: tuple[str, ...], message: str) -> None:
    result = run(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


def test_collecting_compares_nothing(run: Run, played: type[PlayedSuites]) -> None:
    assert run("--collect-only", "-q").ret == pytest.ExitCode.OK
    assert played.seen == []


def test_a_side_asks_for_none_itself(
    run: Run, played: type[PlayedSuites], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MARK, "0123")
    assert run().ret == pytest.ExitCode.TESTS_FAILED  # the tests themselves, which raise
    assert played.seen == []


def test_options_go_to_the_sides_but_for_this_sessions_own(run: Run, played: type[PlayedSuites]) -> None:
    own = ("--junitxml", "out.xml", "--perf-strict", "-x", "--benchmark-sort", "name", "--durations", "3", "--lf")
    run("-k", "sum and not plain", *own, "test_it.py::test_sum", "-v", "-m", "not test_it")
    (suites,) = played.seen
    plain = ("-p", "no:hypothesispytest", "-k", "sum and not plain", "-v", "-m", "not test_it")
    assert suites.ground.options == plain
    assert suites.ground.places == ("test_it.py",)
    assert suites.ground.named == ("test_it.py::test_sum",)


def test_places_are_named_from_where_pytest_runs(
    run: Run, played: type[PlayedSuites], pytester: pytest.Pytester
) -> None:
    run()
    run(str(pytester.path / "test_it.py"))
    assert [suites.ground.places for suites in played.seen] == [(), ("test_it.py",)]
    assert [suites.ground.named for suites in played.seen] == [(), ("test_it.py",)]
    (pytester.path.parent / "elsewhere").mkdir(exist_ok=True)
    (pytester.path.parent / "elsewhere" / "test_other.py").write_text("def test_other(benchmark): pass\n")
    outside = run("../elsewhere")
    outside.stdout.fnmatch_lines(["*lies outside of*"])


def test_threads_are_variables_of_the_base(run: Run, played: type[PlayedSuites]) -> None:
    run("--perf-against=threads:3")
    base, head = played.seen[0].sides
    assert dict(base.environment)["OMP_NUM_THREADS"] == "3"
    assert head.environment == ()


def test_what_could_not_be_collected_fails_too(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_broken="import nowhere")
    assert run("--continue-on-collection-errors").ret == pytest.ExitCode.TESTS_FAILED
    assert run().ret == pytest.ExitCode.INTERRUPTED


def test_the_verdicts_go_to_a_file_and_to_the_jobs_page(
    run: Run, played: type[PlayedSuites], pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    played.difference = staticmethod(slow)
    page = pytester.path / "page.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    run("--perf-against-json=pairs.json")
    told = read_told(pytester.path / "pairs.json")
    assert isinstance(told, SavedPairs)
    assert {each.label: each.verdict for each in told.decisions}[TWO] == "regressed"
    text = page.read_text()
    assert "test&#95;it.py::test&#95;sum&#91;2&#93;" in text or TWO in text
    assert "`pytest --perf-against path:.`" in text


def test_a_file_that_cannot_be_written_is_no_pass(run: Run, pytester: pytest.Pytester) -> None:
    (pytester.path / "file").touch()
    result = run("--perf-against-json=file/pairs.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["Cannot write *pairs.json: *"])


@pytest.mark.slow
def test_two_commits_of_a_project_that_has_never_heard_of_this(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = src\n")
    (tmp_path / "src" / "lump.py").write_text("def work(): return sum(range(2000))\n")
    (tmp_path / "test_it.py").write_text("import lump\ndef test_work(benchmark): assert benchmark(lump.work)\n")
    git = ["git", "-c", "user.email=a@example.org", "-c", "user.name=a"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    (tmp_path / "src" / "lump.py").write_text("def work(): return sum(range(4000))\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--perf-against", "ref:HEAD"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAILED test_it.py::test_work - REGRESSED" in done.stdout
