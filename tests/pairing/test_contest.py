"""The best optimisation: chosen from figures by hand, measured by played processes, remembered by machine."""

import contextlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.factories import UNLABELLED, UNTRAINED, accuracy, machine
from yolo_perf.errors import UsageError
from yolo_perf.pairing import contest as module
from yolo_perf.pairing.arena import Setup
from yolo_perf.pairing.contest import (
    Contender,
    Contest,
    Limits,
    geometric_mean,
    known_best,
    race,
    remember,
)
from yolo_perf.pairing.sides import Side
from yolo_perf.report.contest import contest as table

LIMITS = Limits(max_map_drop=0.01)


def contender(
    backend: str, *seconds: float, drop: float = 0.0, memory: int | None = None, **changes: Any
) -> Contender:
    judged = accuracy(backend, **{"map50_95": 0.367 - drop, **changes})
    return Contender(case=judged.case, set_seconds=seconds, accuracy=judged, memory_bytes=memory)


def contest(*contenders: Contender, limits: Limits = LIMITS, **changes: Any) -> Contest:
    """A contest with eager, whose accuracy has these changes, too."""
    return Contest(
        created="2026-01-01T00:00:00+00:00",
        size="n",
        limits=limits,
        reference=accuracy(**changes),
        contenders=(contender("eager", 0.08, 0.1, 0.09, **changes), *contenders),
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
    assert [found.obstacle(each) for each in found.contenders] == ["", "", "loses 0.050"]
    assert found.unknown == ""


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


def test_less_agreement_is_a_place_on_the_front_only_where_it_is_enough() -> None:
    # ONNX Runtime in 8 bits has to agree in half of the boxes.
    found = contest(
        contender("onnx", 0.05, 0.05, 0.05, box_agreement=0.995, **UNTRAINED),
        contender("onnx-static-int8", 0.03, 0.03, 0.03, box_agreement=0.6, **UNTRAINED),
        contender("onnx-dynamic-int8", 0.02, 0.02, 0.02, box_agreement=0.49, **UNTRAINED),
        contender("eager-channels-last", 0.06, 0.06, 0.06, box_agreement=0.992, **UNTRAINED),
        **UNTRAINED,
    )
    assert names(found.front) == ["eager", "onnx", "onnx-static-int8"]
    assert [found.obstacle(each) for each in found.contenders] == ["", "", "", "too few boxes", ""]
    assert found.best is not None
    assert found.best.case.backend == "onnx-static-int8"


@pytest.mark.parametrize(
    ("drop", "memory", "reason"),
    [
        (0.0099, 0, ""),
        (0.0101, 0, "loses 0.010"),
        (0.0, 101, "too large"),
        (0.0, 100, ""),
        (0.0, None, "memory unknown"),
        (-0.2, 0, ""),
    ],
)
def test_limits(drop: float, memory: int | None, reason: str) -> None:
    one = contender("onnx", 0.04, 0.04, 0.04, drop=drop, memory=memory)
    assert contest(one, limits=Limits(max_map_drop=0.01, max_memory_bytes=100)).obstacle(one) == reason


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (UNLABELLED, "no box is labelled"),
        (UNTRAINED, "eager itself has mAP50-95 0.000 there"),
        ({"map50_95": 0.02, "eager_map50_95": 0.03}, "eager itself has mAP50-95 0.030 there"),
        ({"boxes": 1}, "too few labelled boxes: 1 "),
        ({"eager_map50_95": None}, "it is not recorded what eager finds there"),
    ],
)
def test_without_evidence_no_mean_average_precision_recommends(changes: dict[str, Any], why: str) -> None:
    # The fastest has mAP within the limit each time, and none of eager's boxes.
    wrong = contender("openvino-int8", 0.02, 0.02, 0.02, box_agreement=0.0, **changes)
    right = contender("onnx", 0.04, 0.05, 0.03, box_agreement=0.998, **changes)
    found = contest(wrong, right, **changes)
    assert found.best is right
    assert found.lost(wrong) is None
    assert wrong not in found.front
    text = " ".join(table(found).split())
    assert "Best: onnx, 2.29 times as fast as eager" in text
    assert "; accuracy unknown, 99.8 % of its boxes and eager's agree (at least 99 %)." in text
    assert f"Accuracy is unknown here: {why}" in text
    assert "within 0.01" not in text


def test_a_limit_that_one_which_finds_nothing_would_keep_decides_nothing() -> None:
    blind = contender("openvino-int8", 0.02, 0.02, 0.02, drop=0.367, box_agreement=0.0)
    loose = contest(blind, limits=Limits(max_map_drop=0.4))
    assert (loose.obstacle(blind), loose.lost(blind)) == ("too few boxes", None)
    assert "eager itself has mAP50-95 0.367 there (at least 0.4 would tell)" in " ".join(table(loose).split())
    assert contest(blind, limits=Limits(max_map_drop=0.36)).obstacle(blind) == "loses 0.367"


def test_where_eager_finds_nothing_nothing_is_recommended() -> None:
    nothing = Contest(
        created="2026",
        size="s",
        limits=LIMITS,
        reference=accuracy(**UNLABELLED, compared_boxes=0),
        contenders=(),
    )
    assert (nothing.best, nothing.level, nothing.front) == (None, (), ())
    text = " ".join(table(nothing).split())
    assert text.startswith(
        "yolov5s: nothing is recommended, and nothing was timed. Accuracy is unknown here: no box"
    )
    assert "Eager finds no box on the 128 pictures of coco128 either" in text


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


def test_the_table_has_no_mean_average_precision_that_is_no_evidence() -> None:
    lines = table(contest(contender("onnx", 0.04, 0.05, 0.03, **UNTRAINED), **UNTRAINED)).splitlines()
    assert lines[2:] == [
        "eager      90.00    1.00 1.00..1.00   ?   100.0   -",
        "onnx       40.00    2.29 2.00..3.00   ?   100.0   - best",
        "Best: onnx, 2.29 times as fast as eager (2.00 to 3.00 over 3 sets of processes,",
        "  all in turn); accuracy unknown, 100.0 % of its boxes and eager's agree (at",
        "  least 99 %).",
        "Accuracy is unknown here: eager itself has mAP50-95 0.000 there (at least 0.1",
        "  would tell).",
    ]


def test_eager_as_the_best_is_no_find() -> None:
    lost = contender("onnx", 0.04, 0.05, 0.03, drop=0.05)
    assert "Best: eager itself. Nothing that has mAP50-95 within 0.01 of eager's is faster." in table(
        contest(lost)
    )


def test_nothing_within_the_limits_is_said() -> None:
    none = contest(limits=Limits(max_map_drop=0.01, max_memory_bytes=2**20))
    assert none.best is None
    assert "None: nothing has mAP50-95 within 0.01 of eager's, at most 1 MiB." in table(none)


def test_the_best_is_remembered_for_its_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("YOLO_PERF_CACHE", str(tmp_path))
    with pytest.raises(UsageError, match=r"No best optimisation of yolov5n .* yolo-perf best --sizes n"):
        known_best(machine(), "n")
    remember(contest(contender("onnx", 0.04, 0.05, 0.03)), machine())
    assert known_best(machine(), "n") == "onnx"
    for other in ((machine(model=9), "n"), (machine(), "s")):
        with pytest.raises(UsageError):
            known_best(*other)
    with pytest.raises(UsageError, match=r"known for the weights seeded, and these are yolov5n\.pt\. Find it"):
        known_best(machine(), "n", "yolov5n.pt")
    (path,) = tmp_path.iterdir()
    path.write_text("[" * 5000)
    with pytest.raises(UsageError):
        known_best(machine(), "n")


def test_what_was_kept_without_evidence_is_not_trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("YOLO_PERF_CACHE", str(tmp_path))
    blind = contender("openvino-int8", 0.02, 0.02, 0.02, box_agreement=0.0, **UNTRAINED)
    remember(contest(blind, **UNTRAINED), machine())
    assert known_best(machine(), "n") == "eager"  # decided when it is read
    (path,) = tmp_path.iterdir()
    older = json.loads(path.read_bytes())
    for each in older["contenders"]:
        each |= {"map_drop": 0.0, "obstacle": ""}
        for name in ("eager_map50_95", "compared_boxes"):
            del each["accuracy"][name]
    del older["reference"]
    path.write_text(json.dumps({**older, "schema": 1}))
    with pytest.raises(UsageError, match="No best optimisation of yolov5n is known"):
        known_best(machine(), "n")


def test_a_contest_that_recommended_nothing_is_told_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("YOLO_PERF_CACHE", str(tmp_path))
    remember(contest(limits=Limits(max_map_drop=0.01, max_memory_bytes=1)), machine())
    with pytest.raises(UsageError, match=r"best found none to recommend for yolov5n .* \(2026-01-01T"):
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
