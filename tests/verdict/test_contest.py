"""The best optimisation: chosen from figures by hand, measured by played processes, remembered by machine."""

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.factories import accuracy, machine
from yolo_perf.errors import UsageError
from yolo_perf.report.contest import contest as table
from yolo_perf.verdict import contest as module
from yolo_perf.verdict.arena import Setup
from yolo_perf.verdict.contest import (
    Contender,
    Contest,
    Limits,
    geometric_mean,
    known_best,
    obstacle,
    race,
    remember,
)
from yolo_perf.verdict.sides import Side

LIMITS = Limits(max_map_drop=0.01)


def contender(backend: str, *seconds: float, drop: float | None = 0.0, memory: int | None = None) -> Contender:
    judged = accuracy(backend, map50_95=None if drop is None else 0.367 - drop)
    return Contender(
        case=judged.case,
        set_seconds=seconds,
        accuracy=judged,
        map_drop=drop,
        memory_bytes=memory,
        obstacle=obstacle(LIMITS, drop, memory),
    )


def contest(*contenders: Contender) -> Contest:
    return Contest(
        created="2026-01-01T00:00:00+00:00",
        size="n",
        limits=LIMITS,
        contenders=(contender("eager", 0.08, 0.1, 0.09), *contenders),
    )


def names(contenders: tuple[Contender, ...]) -> list[str]:
    return [each.case.backend for each in contenders]


def test_the_best_is_the_fastest_that_is_accurate_enough() -> None:
    found = contest(
        contender("onnx", 0.04, 0.05, 0.045), contender("onnx-static-int8", 0.03, 0.03, 0.03, drop=0.05)
    )
    assert found.best is not None
    assert found.best.case.backend == "onnx"
    assert found.speed_ups(found.best) == pytest.approx((2, 2, 2))
    assert [each.obstacle for each in found.contenders] == ["", "", "loses 0.050"]


def test_what_is_sometimes_faster_than_the_best_is_as_fast() -> None:
    found = contest(contender("onnx", 0.04, 0.05, 0.045), contender("compile", 0.05, 0.049, 0.06))
    assert names(found.level) == ["compile"]
    assert names(contest(contender("onnx", 0.04, 0.05, 0.045)).level) == []


def test_the_front_is_what_nothing_else_beats_everywhere() -> None:
    found = contest(
        contender("onnx", 0.04, 0.04, 0.04),
        contender("onnx-static-int8", 0.03, 0.03, 0.03, drop=0.05),
        contender("onnx-dynamic-int8", 0.05, 0.05, 0.05, drop=0.02),
    )
    assert names(found.front) == ["onnx", "onnx-static-int8"]


def test_less_memory_is_a_place_on_the_front() -> None:
    slow_and_small = contender("onnx-dynamic-int8", 0.05, 0.05, 0.05, memory=10)
    assert slow_and_small in contest(contender("onnx", 0.04, 0.04, 0.04, memory=20), slow_and_small).front


@pytest.mark.parametrize(
    ("drop", "memory", "reason"),
    [
        (0.01, None, ""),
        (0.0101, None, "loses 0.010"),
        (None, None, ""),
        (0.0, 101, "too large"),
        (0.0, 100, ""),
        (-0.2, 0, ""),
    ],
)
def test_limits(drop: float | None, memory: int | None, reason: str) -> None:
    assert obstacle(Limits(max_map_drop=0.01, max_memory_bytes=100), drop, memory) == reason


def test_the_geometric_mean_of_ratios_inverts_with_them() -> None:
    assert geometric_mean([2, 8]) == pytest.approx(4)
    assert geometric_mean([1 / 2, 1 / 8]) == pytest.approx(1 / 4)


def test_the_table_names_the_best_with_its_evidence() -> None:
    lines = table(
        contest(
            contender("onnx", 0.04, 0.05, 0.03),
            contender("onnx-static-int8", 0.03, 0.03, 0.03, drop=0.05),
        )
    ).splitlines()
    assert lines[2:] == [
        "eager               90.00    1.00 1.00..1.00 0.367   100.0   -",
        "onnx                40.00    2.29 2.00..3.00 0.367   100.0   - best",
        "onnx-static-int8    30.00    2.99 2.67..3.33 0.317   100.0   - loses 0.050",
        "Best: onnx, 2.29 times as fast as eager (2.00 to 3.00 over 3 sets of processes,",
        "  all in turn); mAP50-95 within 0.01 of eager's.",
    ]


def test_without_labels_the_table_does_not_claim_an_accuracy() -> None:
    text = table(contest(contender("onnx", 0.04, 0.05, 0.03, drop=None)))
    assert "not known, as there are no labels" in " ".join(text.split())


def test_nothing_within_the_limits_is_said() -> None:
    whole = contest()
    none = Contest(
        created=whole.created,
        size="n",
        limits=LIMITS,
        contenders=(contender("eager", 0.1, drop=0.5),),
    )
    assert none.best is None
    assert "None: nothing has mAP50-95 within 0.01 of eager's." in table(none)


def test_the_best_is_remembered_for_its_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("YOLO_PERF_CACHE", str(tmp_path))
    with pytest.raises(UsageError, match=r"No best optimisation of yolov5n .* yolo-perf best --sizes n"):
        known_best(machine(), "n")
    remember(contest(contender("onnx", 0.04, 0.05, 0.03)), machine())
    assert known_best(machine(), "n") == "onnx"
    for other in ((machine(model=9), "n"), (machine(), "s")):
        with pytest.raises(UsageError):
            known_best(*other)
    (path,) = tmp_path.iterdir()
    path.write_text("[" * 5000)
    with pytest.raises(UsageError):
        known_best(machine(), "n")


class Runner:
    """A process that takes as long as its name says; it must be the only one awake when it is timed."""

    def __init__(self, side: Side, stage: list["Runner"]):
        self.side = side
        self.stage = stage
        self.awake = True
        self.orders: list[str] = []

    def ask(self, **order: Any) -> dict[str, Any]:
        assert self.awake
        self.orders.append(order["do"])
        if order["do"] == "time" and len(self.stage) == 2 and "prepare" in self.stage[1].orders:
            assert [each.awake for each in self.stage].count(True) == 1
        return {"seconds": 1.0 if self.side.name == "n-eager" else 0.5}

    def wake(self) -> None:
        self.awake = True

    def rest(self) -> None:
        self.awake = False


def test_a_race_takes_turns_in_fresh_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    stages: list[list[Runner]] = []

    @contextlib.contextmanager
    def played(*sides: Side, time_limit_s: float) -> Iterator[list[Runner]]:
        stage: list[Runner] = []
        stage += [Runner(side, stage) for side in sides]
        stages.append(stage)
        yield stage

    monkeypatch.setattr(module, "processes", played)
    told: list[int] = []
    setup = Setup(sizes=("n",), optimizations=(), data=None, image_size=64, batch=1, threads=2)
    cases = [accuracy(name).case for name in ("eager", "onnx")]
    times = race(cases, setup, sets=2, time_limit_s=9, rng=random.Random(1), tell=told.append)
    assert times == {"eager": (1.0, 1.0), "onnx": (0.5, 0.5)}
    assert told == [1, 2]
    assert [len(stage) for stage in stages] == [2, 2]
    assert all(runner.orders.count("time") == 7 for stage in stages for runner in stage)  # 2 to plan by, 5 rounds
