"""Suspects measured again: what is asked of whom, and what is made of the answers. No process is started."""

import contextlib
import math
import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.factories import machine, measurement, run
from yolo_perf.analysis.work import works_of
from yolo_perf.errors import YoloPerfError
from yolo_perf.pairing import confirm as module
from yolo_perf.pairing.arena import Setup, Subject, Survey
from yolo_perf.pairing.confirm import Confirmation, Grounds, confirm, obstacle
from yolo_perf.pairing.paired import Outcome
from yolo_perf.pairing.sides import Injection, Side
from yolo_perf.records import Commit, Comparison, Interval, Pair, Peaks, Run
from yolo_perf.verdict.gate import Decision, Screening
from yolo_perf.verdict.sessions import SessionRules, compare_runs

SETUP = Setup(sizes=(), optimizations=(), data=None, image_size=640, batch=4, threads=2)
BASE = run(measurement((0.04,)), measurement((0.04,), backend="onnx"))
HEAD = run(measurement((0.12,)), measurement((0.04,), backend="onnx"), commit=Commit(id="def5678"))
COMMIT = "abc1234" + "0" * 33


def grounds(head: Run = HEAD, base: Run = BASE, **changes: Any) -> Grounds:
    values: dict[str, Any] = {"history": (base,), "head": head, "rules": SessionRules(), "setup": SETUP}
    return Grounds(**{**values, **changes})


def settled(given: Grounds, way: str) -> Confirmation:
    return confirm(compare_runs(given.history, given.head, given.rules, works=works_of), given, way)


def by_metric(confirmation: Confirmation, label: str = "n-eager") -> dict[str, Comparison]:
    return {each.metric: each for each in confirmation.comparisons if each.label == label}


class Host:
    """Plays git, the arena and fresh processes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.decision: dict[str, Any] = {"verdict": "unchanged", "reason": "surely within 3 %"}
        self.ratio = Interval(point=1.002, low=0.994, high=1.011, confidence=0.95)
        self.asked: list[tuple[str, ...]] = []
        self.sides: tuple[Side, ...] = ()
        self.fresh: dict[str, float] | BaseException = {"n-eager": 0.04}
        self.failure: BaseException | None = None
        self.late_failure = ""
        self.unfair: tuple[str, ...] = ()
        monkeypatch.setattr(module, "checked_out", lambda *_: (COMMIT, Path("tree")))
        monkeypatch.setattr(module, "Arena", self.arena)
        monkeypatch.setattr("yolo_perf.pairing.paired.confirm", self.paired)
        monkeypatch.setattr(module, "fresh_seconds", self.fresh_seconds)
        monkeypatch.setattr(module, "alone", self.alone)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        yield

    def arena(self, base: Side, head: Side, setup: Setup, **_: Any) -> "Host":
        self.sides, self.setup = (base, head), setup
        return self

    def survey(self) -> Survey:
        subjects = [
            Subject(label=f"{s}-{o}", size=s, optimization=o, rounds=5, batch=1)
            for s in self.setup.sizes
            for o in self.setup.optimizations
        ]
        return Survey(subjects=tuple(subjects), absent=(), libraries=({}, {}))

    def measure(self, labels: Sequence[str]) -> Pair:
        if self.failure:
            raise self.failure
        return Pair(turns=())

    def paired(self, measure: Any, labels: Sequence[str], rules: Any, **_: Any) -> Outcome:
        self.rules = rules
        self.asked.append(tuple(labels))
        interrupted = False
        try:
            measure(labels)
        except KeyboardInterrupt:
            interrupted = True
        decisions = (Decision(label=label, ratio=self.ratio, pairs=16, **self.decision) for label in labels)
        return Outcome(
            decisions=tuple(decisions),
            screening=Screening(suspects=tuple(labels), unresolved=()),
            first=(),
            second=(),
            invalid_controls=self.unfair,
            complete=not interrupted,
            interrupted=interrupted,
            failure=self.late_failure,
        )

    def fresh_seconds(self, cases: Any, setup: Setup, side: Side) -> dict[str, float]:
        self.asked.append(("fresh", *cases))
        self.sides = (side,)
        if isinstance(self.fresh, BaseException):
            raise self.fresh
        return {label: seconds for label, seconds in self.fresh.items() if label in cases}


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(monkeypatch)


def test_without_a_suspect_nothing_is_measured(host: Host) -> None:
    given = grounds(head=BASE)
    assert settled(given, "auto").comparisons == compare_runs((BASE,), BASE, given.rules, works=works_of)
    assert host.asked == []


def test_a_suspect_is_paired_with_the_baseline_s_commit_and_cleared(host: Host) -> None:
    found = by_metric(settled(grounds(), "auto"))
    assert host.asked == [("n-eager",)]
    assert [(side.name, side.commit) for side in host.sides] == [("ref:abc1234", COMMIT), ("as installed", "")]
    assert {each.verdict for each in found.values()} == {"unchanged"}
    assert {each.suspected for each in found.values()} == {True}
    assert found["latency"].reason == (
        "suspected by the saved baseline (+200.0 %), paired with abc1234 in 16 pairs: "
        "unchanged, +0.2 % (-0.6 .. +1.1 %); surely within 3 %"
    )
    assert found["latency"].ratio == 1.002
    assert found["utilization"].reason.endswith("so utilisation moved with the host's roofs")
    assert by_metric(settled(grounds(), "auto"), "n-onnx")["latency"].suspected is False


@pytest.mark.parametrize("verdict", ["regressed", "inconclusive"])
def test_the_pairs_decide_on_both_metrics(host: Host, verdict: str) -> None:
    host.decision["verdict"] = verdict
    host.ratio = Interval(point=1.25, low=1.2, high=math.inf, confidence=0.95)
    found = by_metric(settled(grounds(), "auto"))
    assert {each.verdict for each in found.values()} == {verdict}
    assert found["utilization"].ratio == 0.8
    assert "+25.0 % (+20.0 .. any)" in found["latency"].reason


def test_a_pairing_with_itself_says_so(host: Host) -> None:
    head = replace(HEAD, commit=BASE.commit)
    assert "paired with the same commit abc1234" in by_metric(settled(grounds(head), "auto"))["latency"].reason
    dirty = replace(head, commit=replace(BASE.commit, dirty=True))
    assert "paired with abc1234" in by_metric(settled(grounds(dirty), "auto"))["latency"].reason


def test_a_host_that_is_not_fair_decides_nothing(host: Host) -> None:
    host.unfair = ("(triad)",)
    found = by_metric(settled(grounds(), "auto"))
    assert {each.verdict for each in found.values()} == {"inconclusive"}
    assert "the host was not fair ((triad) differed)" in found["latency"].reason


def test_a_drill_and_the_margins_go_along(host: Host) -> None:
    rules = SessionRules(margins=(("n-eager", "latency", 0.05), ("n-eager", "utilization", 0.5)))
    given = grounds(rules=rules, slow_down=(("n-eager", 3.0),), floors={"n-onnx": 0.02, "n-eager": 0.01})
    settled(given, "auto")
    assert host.sides[1].inject == (Injection(kind="spin", amount=2.0, case="n-eager"),)
    assert host.sides[0].inject == ()
    assert (host.rules.margin_of("n-eager"), host.rules.margin_of("n-onnx")) == (0.05, 0.02)


@pytest.mark.parametrize(
    ("base", "why"),
    [
        ({"commit": Commit()}, "the baseline names no commit"),
        ({"commit": Commit(id="abc1234", dirty=True)}, "the baseline's tree had changes that were not committed"),
        ({"machine": machine(libraries={"torch": "1.0"})}, "torch 1.0 -> 2.13.0"),
        ({"machine": machine(python="3.12.1")}, "Python 3.12.1 -> 3.11.7"),
        ({}, ""),
    ],
)
def test_what_forbids_pairing_is_named(base: dict[str, Any], why: str) -> None:
    assert obstacle(replace(BASE, **base), HEAD) == why


def test_without_a_second_side_fresh_processes_decide(host: Host) -> None:
    given = grounds(base=replace(BASE, commit=Commit()))
    found = by_metric(settled(given, "auto"))
    assert host.asked == [("fresh", "n-eager")]
    assert found["latency"].verdict == "unchanged"
    assert found["latency"].reason == (
        "suspected by the saved baseline (+200.0 %), not confirmed: latency +0.0 %, unchanged within +118.5 % "
        "(1 session, default noise) (weaker: re-measured in 5 fresh processes against figures of another session; "
        "not paired: the baseline names no commit)"
    )
    host.fresh = {"n-eager": 0.1}
    found = by_metric(settled(given, "fresh"))
    assert {each.verdict for each in found.values()} == {"regressed"}
    assert found["latency"].ratio == pytest.approx(2.5)
    assert found["latency"].reason.endswith(
        "(weaker: re-measured in 5 fresh processes against figures of another session)"
    )


def test_a_speed_up_in_fresh_processes_is_no_improvement(host: Host) -> None:
    host.fresh = {"n-eager": 0.001}
    assert by_metric(settled(grounds(), "fresh"))["latency"].verdict == "unchanged"


def test_what_cannot_be_measured_again_stays_regressed_and_says_so(host: Host) -> None:
    host.failure = YoloPerfError("no such tree.")
    host.fresh = YoloPerfError("no such case.")
    found = by_metric(settled(grounds(), "auto"))
    assert host.asked == [("n-eager",), ("fresh", "n-eager")]
    assert {each.verdict for each in found.values()} == {"regressed"}
    assert found["latency"].reason.endswith("noise) (weak: this session's figures alone; no such case)")


def test_off_leaves_the_session_s_figures(host: Host) -> None:
    found = by_metric(settled(grounds(), "off"))
    assert host.asked == []
    assert found["latency"].verdict == "regressed"
    assert found["latency"].reason.endswith("(weak: this session's figures alone)")


def test_a_case_that_no_fresh_process_would_run_alike_stands_on_the_session(host: Host) -> None:
    custom = grounds(
        head=run(measurement((0.12,), image_size=320)), base=run(measurement((0.04,), image_size=320))
    )
    host.fresh = {}
    assert by_metric(settled(custom, "fresh"))["latency"].reason.endswith("(weak: this session's figures alone)")


@pytest.mark.parametrize("way", ["auto", "fresh"])
def test_ctrl_c_leaves_the_suspects_inconclusive(host: Host, way: str) -> None:
    host.failure = host.fresh = KeyboardInterrupt()
    confirmation = settled(grounds(), way)
    assert confirmation.interrupted
    found = by_metric(confirmation)
    assert {each.verdict for each in found.values()} == {"inconclusive"}
    assert found["utilization"].reason == (
        "suspected by the saved baseline (utilization -66.7 %); interrupted before it was confirmed"
    )
    assert by_metric(confirmation, "n-onnx")["latency"].verdict == "unchanged"


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP here")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_to_go_leaves_them_inconclusive_too(
    host: Host, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    number = getattr(signal, name)
    inherited = signal.signal(number, signal.SIG_DFL)

    def asked_to_go(*_: object) -> None:
        if signal.getsignal(number) != signal.SIG_DFL:  # else it would end the tests
            signal.raise_signal(number)

    monkeypatch.setattr(module, "fresh_seconds", asked_to_go)
    try:
        confirmation = settled(grounds(), "fresh")
        assert confirmation.interrupted
        assert {each.verdict for each in by_metric(confirmation).values()} == {"inconclusive"}
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, inherited)


def test_a_utilisation_alone_is_paired_too(host: Host) -> None:
    faster = replace(BASE.peaks, flops_per_s={"fp32": 2e12, "int8": 4e12})
    assert isinstance(faster, Peaks)
    given = grounds(head=replace(BASE, peaks=faster))
    found = by_metric(settled(given, "auto"))
    assert host.asked == [("n-eager", "n-onnx")]
    assert (found["latency"].suspected, found["utilization"].verdict) == (False, "unchanged")
    assert found["utilization"].reason == (
        "suspected by the saved baseline (utilization -90.0 %), paired with the same commit abc1234 in 16 pairs: "
        "latency +0.2 % (-0.6 .. +1.1 %), so utilisation moved with the host's roofs"
    )


class Worker:
    """Plays the process of a side."""

    seconds: Iterator[float]
    orders: list[dict[str, Any]]

    def ask(self, **order: Any) -> dict[str, Any]:
        self.orders.append(order)
        return {"seconds": next(self.seconds)} if order["do"] == "time" else {}


def test_fresh_seconds_are_medians_of_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three rounds in each of five processes: the low quantile is each one's least, of those the median."""
    worker = Worker()
    worker.orders, worker.seconds = [], iter([9.0, 5, 7, 1, 2, 3, 4, 4, 4, 8, 2, 9, 6, 6, 6])
    sides: list[Side] = []

    @contextlib.contextmanager
    def processes(side: Side, **_: Any) -> Iterator[tuple[Worker]]:
        sides.append(side)
        yield (worker,)

    monkeypatch.setattr(module, "processes", processes)
    side = Side(name="", tree=Path(), python=Path(), inject=(Injection(kind="spin", amount=1.0, case="n-eager"),))
    cases = {"n-eager": measurement((1.0, 1.0, 1.0))}
    setup = replace(SETUP, sizes=("n",), allocator="system")
    assert module.fresh_seconds(cases, setup, side) == {"n-eager": pytest.approx(4.0)}
    assert len(sides) == 5
    assert worker.orders[0]["allocator"] == "system"  # the session's own: unlike ones would not be comparable
    assert [order["do"] for order in worker.orders[:5]] == ["open", "prepare", "time", "time", "time"]
    assert [order["warmup"] for order in worker.orders[2:5]] == [2, 0, 0]
    assert worker.orders[0]["inject"] == [("spin", 1.0, "n-eager")]
