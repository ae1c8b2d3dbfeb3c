"""`yolo-perf ab` through the console script's door; the arena is played."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.calling import call_command
from tests.factories import machine, pairs, turn
from yolo_perf.errors import ParityError
from yolo_perf.pairing.arena import Setup, Subject, Survey
from yolo_perf.pairing.processes import SideError, alone
from yolo_perf.pairing.sides import Side
from yolo_perf.records import Machine, Pair
from yolo_perf.verdict.gate import Decision

Call = Callable[..., tuple[int, str, str]]
PLAIN = ("--base", "threads:1")


class PlayedArena:
    """Two sides that differ by what the test sets."""

    labels: Sequence[str] = ("n-eager", "n-onnx")
    absent: tuple[Decision, ...] = ()
    difference: Callable[[str, int], float]
    fails_at: dict[int, BaseException]
    made: "list[PlayedArena]"

    def __init__(self, base: Side, head: Side, setup: Setup, **options: Any):
        self.sides, self.setup, self.options = (base, head), setup, options
        self.measured = 0
        self.made.append(self)

    def survey(self) -> Survey:
        if -1 in self.fails_at:
            raise self.fails_at[-1]
        subjects = tuple(
            Subject(label=label, size="n", optimization=label[2:], rounds=5, batch=1) for label in self.labels
        )
        return Survey(subjects=subjects, absent=self.absent, libraries=({}, {}))

    def measure(self, labels: Sequence[str]) -> Pair:
        number, self.measured = self.measured, self.measured + 1
        if number in self.fails_at:
            raise self.fails_at[number]
        every = (*labels, "(fma)", "(triad)", "(python)")
        (pair,) = pairs({label: [type(self).difference(label, number)] for label in every})
        return pair


def noise(_: str, number: int) -> float:
    return (0.001, -0.001)[number % 2]


def slow(label: str, number: int) -> float:
    return noise(label, number) + (0.05 if label == "n-onnx" else 0.0)


def wild(label: str, number: int) -> float:
    return 0.0 if label.startswith("(") else (0.06, -0.06)[number % 2]


def unfair(label: str, number: int) -> float:
    return slow(label, number) + (0.04 if label == "(fma)" else 0.0)


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> type[PlayedArena]:
    class Played(PlayedArena):
        difference = staticmethod(noise)
        fails_at: dict[int, BaseException] = {}  # noqa: RUF012 - one class a test
        made: list[PlayedArena] = []  # noqa: RUF012

    monkeypatch.setattr("yolo_perf.pairing.arena.Arena", Played)
    return Played


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    played: type[PlayedArena],
) -> Call:
    """Calls `yolo-perf ab`; its exit code, output and errors."""

    def known_machine(**_: bool) -> Machine:
        return machine()

    monkeypatch.setattr("yolo_perf.machine.identity.identify", known_machine)
    monkeypatch.setenv("YOLO_PERF_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("YOLO_PERF_DATA", raising=False)

    def called(*arguments: str) -> tuple[int, str, str]:
        return call_command(monkeypatch, capsys, "ab", *arguments)

    return called


def absent(verdict: Any, label: str = "n-int8") -> Decision:
    return Decision(label=label, verdict=verdict, reason="it is not there")


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Name a side: yolo-perf ab --base ref:main"),
        (("--base", "main"), "A side reads ref:GITREF, path:FOLDER"),
        (("--base", "path:/no/such/folder"), "/no/such/folder holds no yolo_perf package"),
        (("--head", "threads:0"), "threads must be a whole number from 1 to 1024, got '0'."),
        ((*PLAIN, "--pairs", "0"), "The number of pairs must be a whole number"),
        ((*PLAIN, "--pairs", "4"), "Too few pairs: "),
        ((*PLAIN, "--budget", "-1"), "The time budget in seconds must be a positive number"),
        ((*PLAIN, "--time-limit", "soon"), "The time limit in seconds must be a positive number"),
        ((*PLAIN, "--sizes", "q"), "Unknown model size 'q'. Choose from: n, s, m, l, x."),
        ((*PLAIN, "--image-size", "33"), "Image size 33 is not a positive multiple of 32"),
        ((*PLAIN, "--batch", "none"), "The batch must be a whole number"),
        ((*PLAIN, "--json", "/no/such/folder/ab.json"), "Cannot write /no/such/folder/ab.json."),
    ],
)
def test_a_usage_error_exits_with_2_before_a_side_is_started(
    call: Call, played: type[PlayedArena], arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert played.made == []


def test_a_folder_without_pictures_is_said_before_a_side_is_started(
    call: Call, played: type[PlayedArena], tmp_path: Path
) -> None:
    code, out, err = call(*PLAIN, "--data", str(tmp_path / "none"))
    assert (code, out) == (1, "")
    assert err.startswith("Error: ")
    assert played.made == []


@pytest.mark.parametrize(
    "error", [ParityError("The sides compute different things."), SideError("ref:main: it ended.")]
)
@pytest.mark.parametrize("after", [-1, 0])
def test_a_side_that_fails_is_one_line(
    call: Call, played: type[PlayedArena], error: BaseException, after: int
) -> None:
    played.fails_at, played.difference = {after: error}, staticmethod(slow)
    code, out, err = call(*PLAIN)
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == f"Error: {error}"


def test_a_side_that_fails_once_there_are_pairs_fails_and_loses_nothing(
    call: Call, played: type[PlayedArena]
) -> None:
    played.fails_at, played.difference = {8: SideError("ref:main: it ended.")}, staticmethod(slow)
    code, out, _ = call(*PLAIN)
    assert code == 1
    assert "INCONCLUSIVE" in out
    assert out.splitlines()[-1] == "FAILED: ref:main: it ended. What was measured until then is above."


def test_two_comparisons_at_once_are_refused(call: Call, played: type[PlayedArena]) -> None:
    with alone():
        code, _, err = call(*PLAIN)
    assert code == 1
    assert err.startswith("Error: Another comparison is timing on this machine")
    assert played.made == []


# Verdicts


def test_nothing_that_differs_exits_with_0(call: Call) -> None:
    code, out, err = call(*PLAIN)
    assert code == 0
    assert out.startswith("base  threads:1\nhead  as installed\n")
    assert "n-eager" in out
    assert "2 unchanged in 0.0 min" in out
    assert err.splitlines()[0] == "screen 1/6: n-eager +0.1 %, n-onnx +0.1 %"


def test_a_regression_exits_with_1(call: Call, played: type[PlayedArena]) -> None:
    played.difference = staticmethod(slow)
    code, out, _ = call(*PLAIN)
    assert code == 1
    assert "REGRESSED" in out
    assert "1 regressed, 1 unchanged" in out


def test_a_regression_without_a_flaw_in_strict_mode_exits_with_1_too(
    call: Call, played: type[PlayedArena]
) -> None:
    played.difference = staticmethod(lambda label, number: (slow if label == "n-onnx" else wild)(label, number))
    assert call(*PLAIN, "--strict")[0] == 1


def test_a_case_that_is_gone_exits_with_1(call: Call, played: type[PlayedArena]) -> None:
    played.absent = (absent("missing"),)
    code, out, _ = call(*PLAIN)
    assert code == 1
    assert "n-int8: it is not there." in out


@pytest.mark.parametrize(("arguments", "code"), [((), 0), (("--strict",), 3)])
def test_what_is_inconclusive_fails_in_strict_mode(
    call: Call, played: type[PlayedArena], arguments: tuple[str, ...], code: int
) -> None:
    played.difference = staticmethod(wild)
    found, out, _ = call(*PLAIN, *arguments)
    assert found == code
    assert "2 inconclusive" in out


@pytest.mark.parametrize(("arguments", "code"), [((), 0), (("--strict",), 3)])
def test_what_is_incomparable_fails_in_strict_mode(
    call: Call, played: type[PlayedArena], arguments: tuple[str, ...], code: int
) -> None:
    played.absent = (absent("incomparable"),)
    assert call(*PLAIN, *arguments)[0] == code


def test_new_cases_fail_nothing(call: Call, played: type[PlayedArena]) -> None:
    played.absent = (absent("new"),)
    assert call(*PLAIN, "--strict")[0] == 0


def test_a_host_that_is_not_fair_exits_with_4(call: Call, played: type[PlayedArena]) -> None:
    played.difference = staticmethod(unfair)
    code, out, _ = call(*PLAIN)
    assert code == 4
    assert "HOST INVALID: (fma) differ between the sides" in out


# Nothing fails open


def test_without_any_case_there_is_nothing_to_measure(call: Call, played: type[PlayedArena]) -> None:
    played.labels = ()
    code, out, err = call(*PLAIN)
    assert (code, out) == (1, "")
    assert err.startswith("Error: Nothing to measure: neither side can run any of these cases here.")


@pytest.mark.parametrize("verdict", ["new", "incomparable"])
def test_a_comparison_of_nothing_fails(call: Call, played: type[PlayedArena], verdict: str) -> None:
    played.labels, played.absent = (), (absent(verdict),)
    code, out, _ = call(*PLAIN)
    assert code == 1
    assert out.endswith("NOTHING MEASURED: no pair of any case.\n")
    assert played.made[0].measured == 0


def test_a_comparison_of_which_everything_was_dropped_fails(
    call: Call, played: type[PlayedArena], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stolen(_: PlayedArena, labels: Sequence[str]) -> Pair:
        return Pair(turns=tuple(turn(label, steal_s=1.0) for label in labels))

    monkeypatch.setattr(played, "measure", stolen)
    code, out, _ = call(*PLAIN)
    assert code == 1
    assert "NOTHING MEASURED" in out


def test_an_interrupt_keeps_what_was_measured(call: Call, played: type[PlayedArena], tmp_path: Path) -> None:
    played.difference, played.fails_at = staticmethod(slow), {8: KeyboardInterrupt()}
    code, out, _ = call(*PLAIN, "--json", str(tmp_path / "ab.json"))
    assert code == 130
    assert out.endswith("PARTIAL: interrupted.\n")
    found = json.loads((tmp_path / "ab.json").read_text())["yolo_perf_ab"]
    assert (found["complete"], len(found["screen"]), len(found["decide"])) == (False, 6, 2)


def test_a_budget_that_is_spent_decides_nothing_more(
    call: Call, played: type[PlayedArena], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(10_000))
    monkeypatch.setattr("yolo_perf.archive.result.time.monotonic", lambda: float(next(clock)))
    played.difference = staticmethod(slow)
    code, out, _ = call(*PLAIN, "--budget", "9.5", "--strict")  # a second a look at the clock, once a pair
    assert code == 3
    assert out.endswith("PARTIAL: the time budget ran out.\n")
    assert played.made[0].measured == 9


# What is handed on


def test_options_reach_the_arena(call: Call, played: type[PlayedArena], tmp_path: Path) -> None:
    words = ("--base", "env:A=1", "--base", "threads:1", "--head", "inject:spin=3%@n-onnx")
    code, out, _ = call(
        *words, "--sizes", "s,n", "--optimizations", "eager,onnx", "--image-size", "64", "--batch", "2",
        "--threads", "3", "--time-limit", "7", "--pairs", "7", "--json", str(tmp_path / "ab.json"),
    )  # fmt: skip
    assert code == 0
    (arena,) = played.made
    base, head = arena.sides
    assert (base.name, base.environment, base.threads) == ("env:A=1 threads:1", (("A", "1"),), 1)
    assert head.inject[0].amount == pytest.approx(0.03)
    assert arena.setup == Setup(
        sizes=("n", "s"), optimizations=("eager", "onnx"), data=None, image_size=64, batch=2, threads=3
    )
    assert arena.options["time_limit_s"] == 7
    assert arena.measured == 7
    found = json.loads((tmp_path / "ab.json").read_text())["yolo_perf_ab"]
    assert len(found["screen"]) == 7
    assert found["rules"]["screen_pairs"] == 7
    assert "n-eager" in out  # the table is printed all the same


def test_all_usable_cores_are_threads_where_none_are_named(call: Call, played: type[PlayedArena]) -> None:
    call(*PLAIN)
    assert played.made[0].setup.threads == machine().usable_cores
    assert played.made[0].setup.batch == 4


def test_a_slow_down_of_all_calls_is_told_in_per_cent(call: Call, played: type[PlayedArena]) -> None:
    played.labels, played.difference = ("n-onnx",), staticmethod(lambda *_: math.log(1.5))
    _, out, err = call(*PLAIN)
    assert "screen 6/6: n-onnx +50.0 %" in err
    assert "+50.0..+50.0" in out


def test_the_verdict_is_on_the_page_of_a_job(
    call: Call, played: type[PlayedArena], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    played.difference = staticmethod(slow)
    assert call(*PLAIN)[0] == 1
    text = (tmp_path / "summary.md").read_text()
    assert text.startswith("## 🔴 Regressed: n-onnx.")
    assert "| n-onnx |" in text
