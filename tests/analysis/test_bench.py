import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.clocks import Clock
from tests.factories import machine, peaks
from yolo_perf.analysis.bench import Bench, parity_pictures
from yolo_perf.analysis.rounds import Plan
from yolo_perf.backends.registry import Backend, Subject, backends
from yolo_perf.errors import ParityError
from yolo_perf.pipeline.images import synthetic
from yolo_perf.records import Work
from yolo_perf.settings import Settings


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr("yolo_perf.analysis.bench.measure_peaks", lambda *_: peaks())
    monkeypatch.setattr("yolo_perf.analysis.bench.identify", machine)
    yield Bench(Settings(sizes=("n",), image_size=32, batch=3, slow_down=(("n-eager", 5.0),)), Clock(tick=1))


def rounds_by(clock: Callable[[], float], timed: list[Plan]) -> Callable[..., tuple[float, ...]]:
    """Times as pytest-benchmark does, by the given clock."""

    def time_rounds(target: Callable[[], object], plan: Plan) -> tuple[float, ...]:
        timed.append(plan)
        durations = []
        for _ in range(plan.rounds):
            started = clock()
            target()
            durations.append(clock() - started)
        return tuple(durations)

    return time_rounds


def test_a_measurement_is_complete(bench: Bench) -> None:
    plans: list[Plan] = []
    found = bench.measure("n", backends()["batched"], "file::test", rounds_by(bench.clock, plans))
    assert (found.case.id, found.nodeid) == ("n-batched-b3-32px-t2", "file::test")
    assert plans == [Plan(warmup_rounds=1, rounds=3)]  # a call lasts a second of this clock, the budget three
    assert found.round_seconds == (1.0,) * 3
    assert (found.weights.source, found.weights.parameters) == ("seeded", 1_867_405)
    assert found.parity.images == 8
    assert found.work.macs == 2_234_675_200 // 400


@pytest.mark.parametrize(
    ("flops", "pictures"), [(4.7e9, 8), (12.5e9, 8), (12.6e9, 7), (20e9, 5), (49e9, 2), (50.1e9, 2), (211e9, 2)]
)
def test_the_pictures_of_parity_are_as_many_as_cost_little(flops: float, pictures: int) -> None:
    # 100 GFLOP of eager in all, 2 to 8 pictures.
    work = Work(macs=int(flops / 2), other_flops=0, weight_bytes=1, activation_bytes=1)
    assert parity_pictures(work) == pictures


@pytest.mark.parametrize(("batch", "calls"), [(1, [1] * 8), (3, [3] * 3), (4, [4] * 2), (16, [16])])
def test_parity_is_checked_at_the_batch_of_the_case_on_every_picture(
    monkeypatch: pytest.MonkeyPatch, batch: int, calls: list[int]
) -> None:
    monkeypatch.setattr("yolo_perf.analysis.bench.measure_peaks", lambda *_: peaks())
    monkeypatch.setattr("yolo_perf.analysis.bench.identify", machine)
    bench = Bench(Settings(sizes=("n",), image_size=32, batch=4))
    eager = backends()["eager"].prepare(bench.subject("n"), bench.case("n", backends()["eager"]))
    seen: list[int] = []
    spoiled = False

    def prepare(*_: object) -> Any:
        def infer(images: Any) -> Any:
            seen.append(len(images))
            output = np.array(eager(images))
            if spoiled and len(seen) == len(calls):
                output[(8 - 1) % batch if batch < 8 else 7, :, 2:4] = 0  # of the last picture alone
            return output

        return infer

    case = replace(bench.case("n", backends()["eager"]), batch=batch)
    backend = replace(backends()["onnx"], prepare=prepare)
    _, agreed = bench.prepare(backend, case, pictures=8)
    assert (seen, agreed.images) == (calls, 8)
    spoiled = True
    seen.clear()
    with pytest.raises(ParityError):
        bench.prepare(backend, case, pictures=8)


def test_pictures_are_compared_once_each(bench: Bench) -> None:
    bench.__dict__["dataset"] = synthetic(3)
    bench.settings = replace(bench.settings, batch=1)
    assert bench.measure("n", backends()["eager"], "", rounds_by(bench.clock, [])).parity.images == 3


def test_a_drill_really_slows_its_case(bench: Bench) -> None:
    plain = bench.measure("n", backends()["batched"], "", rounds_by(bench.clock, []))
    slow = bench.measure("n", backends()["eager"], "", rounds_by(bench.clock, []))
    assert slow.round_seconds[0] >= 5 * plain.round_seconds[0]


def test_a_wrong_output_is_never_timed(bench: Bench) -> None:
    def prepare(subject: Subject, case: Any) -> Any:
        right = backends()["eager"].prepare(subject, case)

        def wrong(images: Any) -> Any:
            output = np.array(right(images))
            output[..., 4:] = 0
            return output

        return wrong

    def never(*_: object) -> tuple[float, ...]:
        raise AssertionError("timed")

    with pytest.raises(ParityError, match="n-onnx does not agree"):
        bench.measure("n", replace(backends()["onnx"], prepare=prepare), "", never)


@pytest.mark.parametrize(
    ("value", "message"),
    [(float("nan"), "itself is not finite"), (0.0, "says the same in every place")],
)
def test_weights_that_see_nothing_are_no_reference(bench: Bench, value: float, message: str) -> None:
    """Every backend would agree with a blind model; none can with NaN."""
    for convolution in bench.subject("n").model.head.m:
        torch.nn.init.constant_(convolution.get_parameter("weight"), value)
    for name in ("eager", "batched"):
        with pytest.raises(ParityError, match=message):
            bench.prepare(backends()[name], bench.case("n", backends()[name]))


def test_one_size_is_held_at_a_time(bench: Bench) -> None:
    first = bench._reference("n")
    assert bench._reference("n") is first
    bench._reference("s")
    assert list(bench._references) == ["s"]


def test_more_threads_than_cores_are_warned_of(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    monkeypatch.setattr("yolo_perf.analysis.bench.identify", machine)
    assert Bench(Settings(threads=8)).threads == 8
    assert "8 threads on 2 usable cores" in caplog.text
    assert Bench(Settings()).threads == 2


def test_a_dtype_without_a_roof_is_set_beside_the_fp32_one(bench: Bench) -> None:
    int8: Backend = backends()["onnx-static-int8"]
    assert bench.case("n", int8).dtype == "int8"
    bench.__dict__["peaks"] = replace(peaks(), flops_per_s={"fp32": 1e9})
    assert bench.case("n", int8).dtype == "fp32"


def test_it_is_said_beforehand_how_long_an_analysis_takes(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "yolo_perf")
    bench.settings = replace(bench.settings, budget_s=20)
    assert (bench.rounds(0.5), bench.rounds(0.5, most=30), bench.rounds(10)) == (40, 30, 5)
    assert bench.threads == 2
    assert bench.plan(0.5) == Plan(warmup_rounds=1, rounds=40)
    assert [record.getMessage() for record in caplog.records] == [
        "timing 40 rounds, about 20 s",
        "timing 30 rounds, about 15 s",
        "timing 5 rounds, about 50 s",
        "2 threads, one a usable core",
        "40 rounds of 500.00 ms after 1 untimed ones",
    ]
