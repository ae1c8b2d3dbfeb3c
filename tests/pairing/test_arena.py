"""Where two sides meet: played processes that keep what they were told, and one comparison in earnest."""

import contextlib
import json
import os
import random
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from yolo_perf.errors import ParityError, UsageError
from yolo_perf.pairing import arena as module
from yolo_perf.pairing.arena import WARMUP, Arena, Setup, rounds_for
from yolo_perf.pairing.controls import ROUNDS as CONTROL_ROUNDS
from yolo_perf.pairing.sides import Injection, Side, own_tree
from yolo_perf.records import HostUse

BASE = Side(name="ref:main", tree=own_tree(), python=Path(sys.executable))
HEAD = replace(BASE, name="as installed", threads=3)
SETUP = Setup(sizes=("n",), optimizations=(), data=None, image_size=64, batch=4, threads=2)
OUTPUT = np.linspace(0.1, 1.0, 2 * 3 * 85, dtype=np.float32).reshape(2, 3, 85)


@dataclass(slots=True)
class Character:
    """How one side answers."""

    optimizations: tuple[str, ...] = ("eager", "batched")
    unavailable: Mapping[str, str] = field(default_factory=dict)  # by optimisation
    seconds: float = 0.5  # five rounds
    weights: str = "0" * 64
    batch: int = 4
    output: "np.ndarray[Any, np.dtype[np.float32]]" = field(default_factory=OUTPUT.copy)
    python: str = "3.11.7"
    llvmlite: str = "0.45.0"
    tree: Path = field(default_factory=own_tree)
    host: tuple[float | None, ...] = (0.25, None, 2)


@dataclass(slots=True)
class Stage:
    """All that happens to the processes of an arena."""

    characters: tuple[Character, Character] = field(default_factory=lambda: (Character(), Character()))
    told: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    awake: list[bool] = field(default_factory=list)
    beside: list[tuple[bool, ...]] = field(default_factory=list)  # who was awake whenever a round was timed
    opened: int = 0

    @contextlib.contextmanager
    def processes(self, *sides: Side, time_limit_s: float) -> Iterator[tuple["Actor", ...]]:
        assert time_limit_s == 9
        self.awake = [True] * len(sides)
        self.opened += 1
        yield tuple(Actor(side, number, self) for number, side in enumerate(sides))

    def orders(self, do: str) -> list[tuple[int, dict[str, Any]]]:
        return [(number, order) for number, order in self.told if order["do"] == do]


class Actor:
    """Plays a process."""

    def __init__(self, side: Side, number: int, stage: Stage):
        self.side = side
        self._number = number
        self._stage = stage
        self._character = stage.characters[number]
        self._answers: deque[dict[str, Any]] = deque()

    def send(self, **order: Any) -> None:
        assert self._stage.awake[self._number], f"{order} was given to a side at rest"
        self._stage.told.append((self._number, order))
        self._answers.append(json.loads(json.dumps(getattr(self, f"_{order['do']}")(order))))

    def receive(self) -> dict[str, Any]:
        return self._answers.popleft()

    def ask(self, **order: Any) -> dict[str, Any]:
        self.send(**order)
        return self.receive()

    def rest(self) -> None:
        self._stage.awake[self._number] = False

    def wake(self) -> None:
        self._stage.awake[self._number] = True

    def _open(self, _: dict[str, Any]) -> dict[str, Any]:
        libraries = {"python": self._character.python, "torch": "2.13.0", "llvmlite": self._character.llvmlite}
        tree, optimizations = str(self._character.tree), list(self._character.optimizations)
        return {"tree": tree, "optimizations": optimizations, "libraries": libraries, "allocator": "keep"}

    def _prepare(self, order: dict[str, Any]) -> dict[str, Any]:
        if reason := self._character.unavailable.get(order["optimization"]):
            return {"unavailable": reason}
        if "sample" not in order:
            return {}
        np.save(order["sample"], self._character.output)
        batch = self._character.batch if order["optimization"] == "batched" else 1
        return {"seconds": self._character.seconds, "batch": batch, "weights": self._character.weights}

    def _control(self, _: dict[str, Any]) -> dict[str, Any]:
        return {}

    def _time(self, _: dict[str, Any]) -> dict[str, Any]:
        self._stage.beside.append(tuple(self._stage.awake))
        return {"seconds": 0.01 * (1 + self._number), "host": list(self._character.host)}


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    found = Stage()

    def few_controls(*, compiled: bool, python: bool) -> dict[str, dict[str, Any]]:
        kinds = {"(fma)": ("compiled", compiled), "(python)": ("python", python)}
        return {label: {"kind": kind} for label, (kind, there) in kinds.items() if there}

    monkeypatch.setattr(module, "processes", found.processes)
    monkeypatch.setattr(module, "controls", few_controls)
    return found


def arena(setup: Setup = SETUP, *, base: Side = BASE, head: Side = HEAD) -> Arena:
    return Arena(base, head, setup, time_limit_s=9, rng=random.Random(1))


# The survey


@pytest.mark.parametrize(
    ("seconds", "rounds"), [(100.0, 5), (0.5, 5), (0.49, 5), (0.25, 10), (0.03, 60), (1e-3, 60)]
)
def test_rounds_are_two_and_a_half_seconds_within_bounds(seconds: float, rounds: int) -> None:
    assert rounds_for(seconds) == rounds


def test_what_both_sides_can_run_is_measured(stage: Stage) -> None:
    stage.characters[1].seconds = 0.25  # the slower side says how many rounds there are
    survey = arena().survey()
    assert [(each.label, each.size, each.optimization) for each in survey.subjects] == [
        ("n-eager", "n", "eager"),
        ("n-batched", "n", "batched"),
    ]
    assert [each.rounds for each in survey.subjects] == [5, 5]
    assert [each.batch for each in survey.subjects] == [1, 4]
    assert survey.absent == ()
    libraries = {"python": "3.11.7", "torch": "2.13.0", "llvmlite": "0.45.0"}
    assert survey.libraries[0] == {**libraries, "allocator": "keep"}


def test_sides_are_opened_with_what_is_theirs(stage: Stage, tmp_path: Path) -> None:
    head = replace(HEAD, inject=(Injection(kind="spin", amount=0.5, case="n-eager"),))
    arena(replace(SETUP, data=tmp_path), head=head).survey()
    (_, base), (_, other) = stage.orders("open")
    assert base == {
        "do": "open",
        "tree": str(own_tree()),
        "sizes": ("n",),
        "data": str(tmp_path),
        "image_size": 64,
        "batch": 4,
        "threads": 2,
        "allocator": "keep",
        "inject": [],
    }
    assert (other["threads"], other["inject"]) == (3, [("spin", 0.5, "n-eager")])


def test_the_other_side_is_at_rest_while_one_prepares(stage: Stage) -> None:
    arena().survey()
    assert stage.awake == [False, False]
    assert {number for number, _ in stage.orders("prepare")} == {0, 1}


def test_only_what_is_asked_for_is_prepared(stage: Stage) -> None:
    survey = arena(replace(SETUP, optimizations=("batched",), sizes=("n", "s"))).survey()
    assert [each.label for each in survey.subjects] == ["n-batched", "s-batched"]
    assert len(stage.orders("prepare")) == 4


def test_an_optimisation_that_neither_side_has_is_a_mistake(stage: Stage) -> None:
    stage.characters[0].optimizations = ("eager", "onnx")
    with pytest.raises(
        UsageError, match=r"^Neither side has the optimisation 'warp'\. They have: eager, batched,"
    ):
        arena(replace(SETUP, optimizations=("warp",))).survey()


@pytest.mark.parametrize("case", ["n-onnx", "s-eager", "eager"])
def test_a_slow_down_of_no_case_is_a_mistake(case: str, stage: Stage) -> None:
    head = replace(HEAD, inject=(Injection(kind="spin", amount=0.5, case=case),))
    with pytest.raises(UsageError, match=rf"there is no case '{case}'\. Choose from: n-eager, n-batched\."):
        arena(head=head).survey()


def test_what_the_head_lacks_is_missing_and_what_the_base_lacks_is_new(stage: Stage) -> None:
    stage.characters[0].optimizations = ("eager", "onnx", "batched")
    stage.characters[0].unavailable = {"batched": "no room"}
    survey = arena().survey()
    assert [each.label for each in survey.subjects] == ["n-eager"]
    assert {each.label: (each.verdict, each.reason) for each in survey.absent} == {
        "n-onnx": ("missing", "this tree does not have it"),
        "n-batched": ("new", "no room"),
    }
    assert [each.fails for each in survey.absent] == [each.verdict == "missing" for each in survey.absent]


def test_what_neither_side_can_run_is_said(stage: Stage) -> None:
    for character in stage.characters:
        character.unavailable = {"batched": "no room"}
    survey = arena().survey()
    assert [each.label for each in survey.subjects] == ["n-eager"]
    assert [(each.label, each.verdict, each.reason) for each in survey.absent] == [
        ("n-batched", "incomparable", "neither side can run it: no room")
    ]


def test_different_weights_are_not_compared(stage: Stage) -> None:
    stage.characters[1].weights = "1" * 64
    survey = arena().survey()
    assert survey.subjects == ()
    assert [(each.label, each.verdict, each.reason) for each in survey.absent] == [
        (label, "incomparable", "the weights differ") for label in ("n-eager", "n-batched")
    ]


def test_outputs_that_disagree_are_not_timed(stage: Stage) -> None:
    stage.characters[1].output[..., 5:] *= 1.5  # SQNR of 20 log10(2) dB
    with pytest.raises(
        ParityError, match=r"^The sides compute different things, so nothing is timed: n-eager agrees to 6\.0 dB, "
    ) as raised:
        arena().survey()
    assert "n-batched agrees to 6.0 dB" in str(raised.value)


def test_outputs_of_another_shape_are_not_timed(stage: Stage) -> None:
    stage.characters[1].output = OUTPUT[:, :2]
    with pytest.raises(ParityError, match=r"n-eager gives \(2, 3, 85\) and \(2, 2, 85\)"):
        arena().survey()


def test_outputs_that_are_not_finite_are_not_timed(stage: Stage) -> None:
    stage.characters[1].output[0, 0, 7] = np.nan
    with pytest.raises(ParityError, match="n-eager agrees to -200"):
        arena().survey()


def test_a_tree_that_is_not_the_one_asked_for_is_refused(stage: Stage, tmp_path: Path) -> None:
    stage.characters[1].tree = tmp_path
    with pytest.raises(UsageError, match=f"^as installed: its interpreter loads yolo_perf from {tmp_path}"):
        arena().survey()


# A pair


def surveyed(stage: Stage, setup: Setup = SETUP) -> Arena:
    found = arena(setup)
    found.survey()
    stage.told.clear()
    return found


def test_a_pair_holds_cases_and_controls_in_order(stage: Stage) -> None:
    pair = surveyed(stage).measure(("n-batched", "n-eager"))
    assert [(each.label, each.control) for each in pair.turns] == [
        ("n-batched", False),
        ("n-eager", False),
        ("(fma)", True),
        ("(python)", True),
    ]
    rounds = [(len(each.base.round_seconds), len(each.head.round_seconds)) for each in pair.turns]
    assert rounds == [(5, 5), (5, 5), (CONTROL_ROUNDS,) * 2, (CONTROL_ROUNDS,) * 2]
    assert (pair.turns[0].base.round_seconds, pair.turns[0].head.round_seconds) == ((0.01,) * 5, (0.02,) * 5)


def test_what_the_host_did_is_added_up_by_side(stage: Stage) -> None:
    found = surveyed(stage)
    stage.characters[1].host = (None, 0.5, 0)
    (turn, *_) = found.measure(("n-eager",)).turns
    assert turn.base.host == HostUse(steal_s=1.25, run_delay_s=None, involuntary_switches=10)
    assert turn.head.host == HostUse(steal_s=None, run_delay_s=2.5, involuntary_switches=0)


def test_the_other_side_is_at_rest_whenever_one_is_timed(stage: Stage) -> None:
    surveyed(stage).measure(("n-eager", "n-batched"))
    assert len(stage.beside) == 2 * (2 * 5 + 2 * CONTROL_ROUNDS)
    assert set(stage.beside) == {(True, False), (False, True)}


def test_rounds_alternate_in_a_drawn_order(stage: Stage) -> None:
    found = surveyed(stage)
    orders = set()
    for _ in range(4):
        found.measure(("n-eager",))
    timed = [number for number, order in stage.orders("time") if order["label"] == "n-eager"]
    for first, second in zip(timed[::2], timed[1::2], strict=True):
        assert {first, second} == {0, 1}
        orders.add(first)
    assert orders == {0, 1}


def test_each_side_is_warmed_up_once_a_turn(stage: Stage) -> None:
    surveyed(stage).measure(("n-eager",))
    for side in (0, 1):
        warmups = [
            order["warmup"]
            for number, order in stage.orders("time")
            if (number, order["label"]) == (side, "n-eager")
        ]
        assert warmups == [WARMUP, 0, 0, 0, 0]


def test_processes_are_fresh_and_prepare_only_what_is_measured(stage: Stage) -> None:
    found = surveyed(stage, replace(SETUP, sizes=("n", "s")))
    found.measure(("s-eager",))
    assert [order["sizes"] for _, order in stage.orders("open")] == [("s",), ("s",)]
    assert {order["label"] for _, order in stage.orders("prepare")} == {"s-eager"}
    found.measure(("s-eager",))
    assert stage.opened == 3  # the survey's too


def test_which_case_and_which_side_come_first_is_drawn(stage: Stage) -> None:
    found = surveyed(stage)
    cases, sides = set(), set()
    for _ in range(8):
        stage.told.clear()
        found.measure(("n-eager", "n-batched"))
        cases.add(stage.orders("time")[0][1]["label"])
        sides.add(stage.orders("prepare")[0][0])
    assert (cases, sides) == ({"n-eager", "n-batched"}, {0, 1})


def test_two_pythons_have_no_python_control(stage: Stage) -> None:
    stage.characters[1].python = "3.12.1"
    pair = surveyed(stage).measure(("n-eager",))
    assert [each.label for each in pair.turns] == ["n-eager", "(fma)"]


# In earnest


AS_FEW_AS_CAN_DECIDE = """
from yolo_perf.verdict.gate import Rules
Rules.__init__.__kwdefaults__["decide_pairs"] = 7
from yolo_perf.cli import main
main()
"""


@pytest.mark.slow
def test_a_call_that_takes_twice_as_long_is_found(tmp_path: Path) -> None:
    path = tmp_path / "ab.json"
    case = ("--sizes", "n", "--optimizations", "eager", "--image-size", "64")
    slower = ("--head", "inject:spin=100%@n-eager", "--pairs", "6")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            AS_FEW_AS_CAN_DECIDE,
            "ab",
            *case,
            *slower,
            "--json",
            str(path),
        ],
        cwd=own_tree(),
        env={**os.environ, "YOLO_PERF_CACHE": str(tmp_path / "cache")},  # its lock is no other test's
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "REGRESSED" in done.stdout
    found = json.loads(path.read_text())["yolo_perf_ab"]
    verdicts = {each["label"]: each["verdict"] for each in found["decisions"]}
    assert verdicts["n-eager"] == "regressed"
    ratio = found["decisions"][0]["ratio"]
    assert ratio["low"] > 1.01
    assert found["complete"]
    assert len(found["screen"]) >= 5
    assert len(found["decide"]) >= 7  # more where the host disturbed one
