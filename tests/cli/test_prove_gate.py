"""`prove-gate` through the console script's door, on pairs by hand: no process is measured."""

import json
import lzma
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.calling import call_command
from tests.factories import machine
from tests.proof import recorded
from yolo_perf.cli import prove_gate
from yolo_perf.pace import Left
from yolo_perf.proof.rows import read_rows, write_rows
from yolo_perf.records import Machine, Pair

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> Run:
    def known_machine(**_: bool) -> Machine:
        return machine()

    monkeypatch.setattr("yolo_perf.machine.identity.identify", known_machine)
    monkeypatch.setattr("yolo_perf.proof.proof.RESAMPLED_SUITES", 1)
    monkeypatch.setattr("yolo_perf.proof.proof.RESAMPLES", 2)
    monkeypatch.setattr("yolo_perf.proof.other_rules.RESAMPLES", 20)
    monkeypatch.delenv("YOLO_PERF_DATA", raising=False)
    # A lock of its own: whoever else times on this machine meanwhile is no reason to fail.
    monkeypatch.setenv("YOLO_PERF_CACHE", str(tmp_path_factory.mktemp("cache")))

    def call(*arguments: str) -> tuple[int, str, str]:
        return call_command(monkeypatch, capsys, "prove-gate", *arguments)

    return call


class Arena:
    """Measures nothing: the head takes as much longer as is injected, until somebody interrupts a pair."""

    measured: list[tuple[str, str]]
    interrupt_at = 0

    def __init__(self, _: object, head: Any, *__: object, **___: object) -> None:
        self._head = head

    def survey(self) -> SimpleNamespace:
        return SimpleNamespace(subjects=[SimpleNamespace(label=label) for label in recorded.CASES])

    def measure(self, labels: Sequence[str]) -> Pair:
        if len(Arena.measured) + 1 == Arena.interrupt_at:
            raise KeyboardInterrupt
        amount = sum(each.amount for each in self._head.inject)
        Arena.measured.append((self._head.name, disturbances[-1]))
        assert tuple(labels) == recorded.CASES
        return recorded.pair(lambda: 1 + amount)


disturbances: list[str] = []


@pytest.fixture
def arena(monkeypatch: pytest.MonkeyPatch) -> type[Arena]:
    @contextmanager
    def disturbed(kind: str) -> Iterator[None]:
        disturbances.append(kind)
        yield

    Arena.measured, Arena.interrupt_at = [], 0
    monkeypatch.setattr("yolo_perf.pairing.arena.Arena", Arena)
    monkeypatch.setattr("yolo_perf.proof.disturb.disturbed", disturbed)
    monkeypatch.setattr("yolo_perf.pairing.processes.alone", nullcontext)
    return Arena


@pytest.mark.slow
def test_rows_are_scored(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.xz"
    write_rows(recorded.recording(recorded.rows(12)), path)
    code, out, err = run(str(path), "--suites", "3")
    assert (code, err) == (0, "")
    assert out.startswith("Recorded on AMD EPYC, 2 cores, 2026-01-01, n.\n\nUndisturbed: false alarms a suite")
    code, out, _ = run(str(path), "--suites", "3", "--pairs", "6", "--seed", "7", "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["rules"]["screen_pairs"], found["seed"], found["suites"]) == (6, 7, 3)
    code, out, _ = run(str(path), "--suites", "3", "--csv")
    assert out.splitlines()[1].startswith("none,this gate,paired,,3,0.0,")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "Name a file of rows to score, or one to record with --record."),
        (("a", "--record", "b"), 2, "Name a file of rows to score, or one to record with --record."),
        (("none.jsonl",), 1, "Cannot read none.jsonl: No such file or directory."),
        (("a", "--suites", "0"), 2, "The number of suites must be a whole number"),
        (("a", "--pairs", "x"), 2, "The number of pairs must be a whole number"),
        (("a", "--seed", "-1"), 2, "-1 is not in the range"),
        (("--record", "rows", "--minutes", "0"), 2, "The time in minutes must be a positive number"),
        (("--record", "rows", "--disturb", "earthquake"), 2, "'earthquake' is not one of"),
        (("--record", "/no/such/folder/rows"), 2, "Cannot write /no/such/folder/rows."),
        (("--record", "rows", "--inject", "magic=1%", "--pairs", "1"), 2, "inject reads KIND=AMOUNT"),
    ],
)
@pytest.mark.usefixtures("arena")
def test_a_mistake_is_one_message(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*arguments)[:2] == (code, "")
    assert message in run(*arguments)[2]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rows.jsonl", "--sizes", "s"), "--sizes is for when rows are recorded."),
        (("rows.jsonl", "--minutes", "3"), "--minutes is for when rows are recorded."),
        (("--record", "rows.jsonl", "--suites", "9"), "--suites is for when rows are scored."),
        (("--record", "rows.jsonl", "--csv"), "--csv is for when rows are scored."),
    ],
)
def test_options_that_would_do_nothing_are_refused(run: Run, arguments: tuple[str, ...], message: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert message in err


def test_pairs_of_another_setup_are_not_mixed(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_rows(recorded.recording(recorded.rows(3)), path)
    before = path.read_bytes()
    code, _, err = run("--record", str(path), "--pairs", "1")
    assert code == 2
    assert "Name another file." in err
    assert path.read_bytes() == before


def test_too_few_pairs_to_decide_on_are_refused(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_rows(recorded.recording(recorded.rows(12)), path)
    code, _, err = run(str(path), "--suites", "3", "--pairs", "2")
    assert code == 2
    assert "Raise --pairs." in err


@pytest.mark.usefixtures("arena")
def test_conditions_are_recorded_in_turn(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    call = ("--record", str(path), "--inject", "spin=3%", "--disturb", "memory")
    code, out, err = run(*call, "--pairs", "7")
    assert (code, out) == (0, f"Recorded 7 pairs, 7 in all, in {path}.\n")
    assert [line.split(":")[0] for line in err.splitlines()] == [
        *["identical, none"] * 4,
        "identical, memory",
        "spin=3%, none",
        "identical, none",
    ]
    assert Arena.measured[4:6] == [("as installed", "memory"), ("inject:spin=3%", "none")]
    assert run(*call, "--pairs", "2")[1] == f"Recorded 2 pairs, 9 in all, in {path}.\n"
    found = read_rows(path)
    assert found.header.machine.startswith("AMD EPYC")
    assert [row.inject for row in found.rows].count("spin=3%") == 1


@pytest.mark.usefixtures("arena")
def test_what_was_recorded_before_an_interrupt_is_kept_and_packed(run: Run, tmp_path: Path) -> None:
    Arena.interrupt_at = 4
    path = tmp_path / "rows.jsonl.xz"
    call = ("--record", str(path), "--disturb", "none", "--inject", "spin=5%")
    code, out, _ = run(*call)
    assert (code, out) == (130, f"Recorded 3 pairs, 3 in all, in {path}.\n")
    assert [each.name for each in tmp_path.iterdir()] == ["rows.jsonl.xz"]
    assert lzma.decompress(path.read_bytes()).startswith(b'{"yolo_perf_rows"')
    assert len(read_rows(path).rows) == 3
    code, _, err = run(*call)
    assert code == 2
    assert "is there already, and packed: record into another file." in err


@pytest.mark.parametrize(
    ("pairs", "seconds", "text"),
    [
        (None, None, ""),  # until Ctrl-C
        (120, None, ", about 2 min left"),
        (None, 600.0, ", about 10 min left"),
        (120, 600.0, ", about 2 min left"),
        (900, 600.0, ", about 10 min left"),
        (None, -5.0, ""),
    ],
)
def test_a_recording_ends_with_its_pairs_or_its_time(
    pairs: float | None, seconds: float | None, text: str
) -> None:
    assert prove_gate._left(None if pairs is None else Left(seconds=pairs), seconds).text == text
