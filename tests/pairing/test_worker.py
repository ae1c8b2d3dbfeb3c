import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from yolo_perf.machine.allocator import settle
from yolo_perf.pairing import worker
from yolo_perf.pairing.processes import processes
from yolo_perf.pairing.sides import Injection, Side, own_tree, parse_side
from yolo_perf.pairing.worker import Worker, injected

TICK = 1 / 1024
OPEN: dict[str, Any] = {"do": "open", "sizes": [], "data": None, "allocator": "keep"}


class Clock:
    """Stands in for `time`: goes on by a tick with every look at it."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        self.now += TICK
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(worker, "time", found)
    return found


def taking(clock: Clock, seconds: float) -> Callable[[], None]:
    def call() -> None:
        clock.now += seconds

    return call


def durations(clock: Clock, call: Callable[[], object], calls: int) -> list[float]:
    found = []
    for _ in range(calls):
        before = clock.now
        call()
        found.append(clock.now - before)
    return found


def no_work(_: float) -> Callable[[], object]:
    raise AssertionError("nothing is computed on top")


# Known slow-downs


def test_a_spin_is_a_share_of_each_call(clock: Clock) -> None:
    call = injected(taking(clock, 1.0), "spin", 0.5, no_work)
    assert durations(clock, call, 3) == pytest.approx([1.5] * 3, abs=8 * TICK)


def test_one_call_in_five_takes_longer(clock: Clock) -> None:
    call = injected(taking(clock, 1.0), "intermittent", 4.0, no_work)
    assert durations(clock, call, 10) == pytest.approx([1.0] * 4 + [5.0] + [1.0] * 4 + [5.0], abs=16 * TICK)


def test_a_convolution_is_sized_once_by_a_warm_call(clock: Clock) -> None:
    asked: list[float] = []

    def work(seconds: float) -> Callable[[], object]:
        asked.append(seconds)
        return taking(clock, seconds)

    call = injected(taking(clock, 1.0), "convolution", 0.25, work)
    assert durations(clock, call, 4) == pytest.approx([1.0, 1.25, 1.25, 1.25], abs=8 * TICK)
    assert asked == pytest.approx([0.25], abs=2 * TICK)


def test_slow_downs_are_for_one_case_or_for_all(clock: Clock) -> None:
    found = Worker()
    found._order = {"inject": [("spin", 1.0, "n-onnx"), ("spin", 0.5, "")]}
    for label, seconds in (("n-eager", 1.5), ("n-onnx", 3.0)):
        call = found._injected(label, taking(clock, 1.0))
        assert durations(clock, call, 1) == pytest.approx([seconds], abs=16 * TICK)


# Rounds


def test_a_round_is_one_call_after_untimed_ones(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    counters = worker.host.Counters
    before, after = counters(1.0, None, 3, 100, 7.0), counters(1.5, 2.0, 10, 160, 6.0)
    host = iter([before, after])
    monkeypatch.setattr(worker.host, "read", lambda: next(host))
    found = Worker()
    calls: list[None] = []

    def call() -> None:
        calls.append(None)
        clock.now += 1.0

    found._calls["n-eager"] = call
    reply = found.answer({"do": "time", "label": "n-eager", "warmup": 2})
    assert reply == {"seconds": 1.0 + TICK, "host": (0.5, None, 7, 60, 0)}
    assert len(calls) == 3


def test_a_loop_of_python_is_always_the_same() -> None:
    found = Worker()
    assert found.answer({"do": "control", "label": "(python)", "kind": "python"}) == {}
    assert found.answer({"do": "time", "label": "(python)", "warmup": 0})["seconds"] > 0
    assert worker.python_loop() == 150_000 // 8 * 28


def test_versions_that_decide_speed_are_told() -> None:
    found = worker._libraries()
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"torch", "onnxruntime", "numpy"} <= set(found)


# The script


def answers(*lines: str, parent: int | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", worker.__file__, str(parent or os.getpid())],
        input="".join(f"{line}\n" for line in lines),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(own_tree())},
        check=False,
        timeout=60,
    )


def test_a_failure_is_an_answer_and_the_next_order_is_taken() -> None:
    done = answers(
        json.dumps({"do": "magic"}),
        "nonsense",
        json.dumps({"do": "time", "label": "n-eager", "warmup": 0}),
        json.dumps({"do": "control", "label": "(python)", "kind": "python"}),
        json.dumps({"do": "time", "label": "(python)", "warmup": 1}),
    )
    magic, nonsense, unknown, control, timed = map(json.loads, done.stdout.splitlines())
    assert magic["error"].startswith("AttributeError: ")
    assert nonsense["error"].startswith("JSONDecodeError: ")
    assert unknown == {"error": "KeyError: 'n-eager'"}
    assert control == {}
    assert timed["seconds"] > 0
    assert len(timed["host"]) == 5
    assert (done.returncode, done.stderr) == (0, "")


def test_what_a_tree_prints_is_no_answer(tmp_path: Path) -> None:
    package = tmp_path / "yolo_perf"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import os\nprint('good morning')\nos.system('echo from below')\nraise RuntimeError('night')\n"
    )
    done = answers(json.dumps({**OPEN, "tree": str(tmp_path)}))
    assert json.loads(done.stdout) == {"error": "RuntimeError: night"}
    assert sorted(done.stderr.splitlines()) == ["from below", "good morning"]


def test_other_packages_beside_a_tree_are_not_the_sides(tmp_path: Path) -> None:
    """A tree may be a site-packages with libraries of its own."""
    package = tmp_path / "yolo_perf"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "backends.py").write_text("import sys\nraise RuntimeError(sys.path[0])\n")
    done = answers(json.dumps({**OPEN, "tree": str(tmp_path)}))
    assert str(tmp_path) not in json.loads(done.stdout)["error"]


@pytest.mark.skipif(sys.platform != "linux", reason="parents are asked after on Linux")
def test_a_worker_whose_parent_is_gone_ends() -> None:
    done = answers(json.dumps({"do": "magic"}), parent=2**30)
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.slow
def test_a_case_is_prepared_and_timed(tmp_path: Path) -> None:
    order: dict[str, Any] = {
        "tree": str(own_tree()),
        "sizes": ["n"],
        "data": None,
        "image_size": 64,
        "batch": 4,
        "threads": 1,
        "allocator": "keep",
    }
    side: Side = parse_side(["inject:spin=1%@n-eager"], tmp_path)
    case = {"do": "prepare", "size": "n", "optimization": "eager", "label": "n-eager"}
    with processes(side, time_limit_s=120) as (process,):
        opened = process.ask(do="open", inject=[("spin", 0.01, "n-eager")], **order)
        assert opened["tree"] == str(own_tree())
        assert "eager" in opened["optimizations"]
        assert "torch" in opened["libraries"]
        assert opened["allocator"] == settle("keep")  # what this very process would have
        sample = tmp_path / "sample.npy"
        prepared = process.ask(**case, sample=str(sample), pictures=2)
        assert prepared["seconds"] > 0
        assert len(prepared["weights"]) == 64
        output = np.load(sample)
        assert (output.shape, output.dtype) == ((2, 252, 85), np.float32)  # 3 anchors of 64 + 16 + 4 cells
        assert process.ask(**case) == {}
        timed = process.ask(do="time", label="n-eager", warmup=1)
        assert 0 < timed["seconds"] < 60
    assert side.inject == (Injection(kind="spin", amount=0.01, case="n-eager"),)
