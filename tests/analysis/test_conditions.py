"""Conditions of timed cases, by hand: two rounds of 50 ms and one of 100 at batch 1 on 2 threads are 0.2 s."""

import math
from dataclasses import replace

import pytest

from tests.factories import measurement, run
from yolo_perf.analysis import conditions
from yolo_perf.analysis.conditions import doubts, unsteadiness, unsteady
from yolo_perf.analysis.timing import Watched
from yolo_perf.machine import host
from yolo_perf.machine.host import Counters
from yolo_perf.records import HostUse, Measurement, StageRun
from yolo_perf.report.remarks import remarks


def timed(batch: int = 1, backend: str = "eager", **found: float) -> Measurement:
    return replace(measurement((0.05, 0.05, 0.1), batch=batch, backend=backend), host=HostUse(**found))  # type: ignore[arg-type]


def test_faults_of_an_image() -> None:
    assert conditions.page_faults_per_image(timed(page_faults=30)) == 10
    assert conditions.page_faults_per_image(timed(batch=4, page_faults=30)) == 2.5
    assert conditions.page_faults_per_image(timed()) is None


def test_switches_of_a_round() -> None:
    assert conditions.switches_per_round(timed(batch=4, involuntary_switches=30)) == 10
    assert conditions.switches_per_round(timed()) is None


def test_faults_explain_a_share_of_the_time() -> None:
    assert conditions.faults_share(timed(page_faults=20_000)) == pytest.approx(0.1)  # 20 ms of 200
    assert conditions.faults_share(timed()) == 0


def test_other_work_is_set_against_what_the_threads_could_have_had() -> None:
    assert conditions.other_work_share(timed(other_cpu_s=0.2)) == pytest.approx(0.5)  # of 2 threads x 0.2 s
    assert conditions.other_work_share(timed(other_cpu_s=0.1)) == 0  # ticks, perhaps
    assert conditions.beside_other_work([timed(other_cpu_s=0.2), timed(backend="onnx")]) == {
        "n-eager": pytest.approx(0.5)
    }


def test_a_quiet_run_has_no_remark() -> None:
    assert remarks(run(timed(page_faults=20, other_cpu_s=0.01, steal_s=0.001))) == []


def test_remarks_name_the_worst_first() -> None:
    busy, busier = timed(other_cpu_s=0.2), timed(backend="onnx", other_cpu_s=0.4)
    assert remarks(run(busy, busier)) == [
        "Timed beside other work, so no evidence: n-onnx (100.0 %), n-eager (50.0 %) of their threads' CPU time."
    ]
    faulting = replace(timed(page_faults=36_000), allocator="system")
    assert remarks(run(faulting)) == [
        "Page faults an image: n-eager 12,000. Freed memory goes back to the system (allocator: system)."
    ]
    assert remarks(run(timed(steal_s=0.02))) == ["The machine's own host took time from: n-eager 10.0 %."]


def test_an_allocator_that_could_not_be_had_is_told() -> None:
    def told(allocator: str, asked: str) -> list[str]:
        return remarks(run(replace(timed(), allocator=allocator), configuration={"allocator": asked}))

    assert told("keep", "keep") == told("system", "system") == []
    assert told("system", "keep") == [
        "Allocator: system, where keep was asked for (keeping freed memory needs glibc)."
    ]
    assert told("libjemalloc.so.2", "keep") == ["Allocator: libjemalloc.so.2, where keep was asked for."]


def test_stages_without_a_round_have_no_remark() -> None:
    case = timed()
    empty = StageRun(case=case.case, weights=case.weights, data="d", pictures=1, cold=False, times=(), planned=3)
    assert remarks(run(case, stages=(empty,))) == []


def test_a_call_is_watched_from_the_end_of_its_warm_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([Counters(page_faults=n) for n in (1, 500, 507)])
    monkeypatch.setattr("yolo_perf.analysis.timing.read", lambda: next(looks))
    watched = Watched(lambda: "output", warmup_rounds=2)
    assert [watched() for _ in range(5)] == ["output"] * 5
    assert watched.host() == HostUse(page_faults=7)
    assert host.Counters is Counters


@pytest.mark.parametrize(
    ("rounds", "apart"),
    [
        ((0.1,), 1.0),
        ((0.1,) * 9 + (0.9,), 1.0),  # one slow round of ten is none of the last decile's
        ((0.1,) * 5 + (0.3, 0.35, 0.35, 0.35, 0.9), 3.5),
        ((0.0025, *(0.1,) * 6, 0.188), 40.0),
        ((0.0,) * 8, 1.0),  # a coarse clock
        ((0.0,) * 4 + (0.1,) * 4, math.inf),
    ],
)
def test_rounds_that_lie_apart(rounds: tuple[float, ...], apart: float) -> None:
    timed = measurement(rounds)
    assert unsteadiness(timed) == pytest.approx(apart)
    assert unsteady([timed]) == ({"n-eager": pytest.approx(apart)} if apart > 3 else {})
    assert unsteady([measurement((0.1, 0.9, 0.9))]) == {}, (
        "too few to tell a spell of the host from a cold machine"
    )


def test_doubts_are_one_sentence() -> None:
    assert doubts([measurement((0.1,) * 5)]) == ""
    assert doubts([measurement((0.1, 0.1, 0.4, 0.5, 0.5, 0.5, 0.6, 0.6))]) == (
        "rounds lie far apart in n-eager (5.0-fold). Measure again, on a machine that has warmed up"
    )
