"""One side's process of a paired comparison of tests: pytest in that side's tree, its benchmarks timed on order.

Run as a script under the side's own interpreter. It needs of it the standard library, pytest and pytest-benchmark,
and is always the file of the command that asks: both sides are timed by the same lines, whatever the trees hold.

A test runs as ever until it calls `benchmark(...)` or `benchmark.pedantic(...)`. There it waits: each order is one
timed round. Then pytest-benchmark itself makes the last call or two, so the test goes on with what that returns,
and finds `benchmark.stats` of it. No target is called more often than `pedantic` was told to.

Orders come as lines of JSON on what stdin was, answers go to what stdout was; tests have neither. Each order has
one answer. Seconds throughout.
"""

import contextlib
import functools
import importlib.util
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import pytest

TRIALS, TRIAL_S = 5, 0.5
"""Estimates of a call of which the least counts, and the seconds after which no further is made."""
LEAST_S = 0.001
"""What an estimate takes at least: calls are repeated until they do."""
MOST_SAID = 300
OPTIONS = (
    *("-q", "--benchmark-enable"),
    # What is left for pytest-benchmark to do when the rounds are taken: as little as it can.
    *("--benchmark-min-rounds=1", "--benchmark-max-time=0.000001", "--benchmark-min-time=0.000001"),
    "--benchmark-warmup=off",
)


_spec = importlib.util.spec_from_file_location("_asking_worker", Path(__file__).with_name("worker.py"))
assert _spec is not None and _spec.loader is not None  # noqa: S101 - a file of Python has both
worker: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(worker)
whose = worker.beside("pairing/whose")


class Wire:
    """Orders in, answers out."""

    def __init__(self, orders: TextIO, answers: TextIO):
        self._orders, self._answers = orders, answers

    def order(self) -> dict[str, Any]:
        """The next order. Ends the process where there will be none."""
        line = self._orders.readline()
        if not line:
            os._exit(0)  # whoever asked is gone: no test has anything to finish
        found: dict[str, Any] = json.loads(line)
        return found

    def answer(self, **reply: Any) -> None:
        """One answer."""
        self._answers.write(json.dumps(reply) + "\n")
        self._answers.flush()


class Lockstep:
    """A plugin of this process's pytest: runs the test that it is told to, and times it when it is told to."""

    def __init__(self, wire: Wire, order: dict[str, Any]):
        self._wire = wire
        self._order = order  # the one that opened this session
        self._waiting = False  # a test was ordered, and has not come to its benchmark yet
        self._outcome, self._why = "passed", ""
        self._looked_at: set[str] = set()
        self._inject: list[tuple[str, float, str]] = order["inject"]

    # pytest's hooks

    def pytest_configure(self) -> None:
        """From now on `benchmark` waits for orders."""
        from pytest_benchmark.fixture import BenchmarkFixture

        plain, pedantic = BenchmarkFixture.__call__, BenchmarkFixture.pedantic

        @functools.wraps(plain)
        def call(fixture: Any, function: Callable[..., object], *args: Any, **kwargs: Any) -> object:
            if self._first(fixture):
                self._rounds(_Repeated(self._slowed(fixture, lambda: function(*args, **kwargs))))
            return plain(fixture, function, *args, **kwargs)

        @functools.wraps(pedantic)
        def precise(fixture: Any, target: Callable[..., object], *args: Any, **options: Any) -> object:
            if not self._first(fixture):
                return pedantic(fixture, target, *args, **options)
            return self._pedantic(pedantic, fixture, target, *args, **options)

        BenchmarkFixture.__call__ = call
        BenchmarkFixture.pedantic = precise

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Remember what could not be collected."""
        if report.failed:
            self._why = self._why or f"{report.nodeid}: {_last_line(report.longrepr)}"

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Say what there is, then run one test after the other as they are ordered."""
        items = {item.nodeid: item for item in session.items}
        names = [each for each, item in items.items() if "benchmark" in getattr(item, "fixturenames", ())]
        self._wire.answer(tests=names, libraries=_libraries(self._order["libraries"]), failed=self._why)
        while True:
            order = self._wire.order()
            if order["do"] == "end":
                return True
            if order["do"] == "loop":  # a control: the same code on either side
                self._rounds(_Repeated(worker.python_loop))
                self._wire.answer(ended="passed", why="", foreign="")
                continue
            item = items[order["test"]]
            self._waiting, self._outcome, self._why = True, "passed", ""
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=items.get(order["next"]))
            self._waiting = False
            self._wire.answer(ended=self._outcome, why=self._why, foreign=self._foreign())

    def _foreign(self) -> str:
        """The first module, of those imported since this was asked last, that is not this side's to time."""
        if not self._order["looks"]:
            return ""
        new = [name for name in list(sys.modules) if name not in self._looked_at]
        self._looked_at.update(new)
        return next(filter(None, (whose.foreign(name, self._order) for name in new)), "")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """What became of the test."""
        if report.outcome != "passed" and self._outcome == "passed":
            self._outcome = report.outcome
            self._why = _last_line(report.longrepr)

    # Rounds

    def _first(self, fixture: Any) -> bool:
        """Whether this is the ordered test's first use of a stopwatch; pytest-benchmark refuses a second."""
        first, self._waiting = self._waiting and not fixture.disabled, False
        for name, least in (("_min_rounds", 1), ("_max_time", 1e-6), ("_min_time", 1e-6)):
            if first and hasattr(fixture, name):  # which a test's marker may set against OPTIONS
                setattr(fixture, name, least)
        return first

    def _rounds(self, target: "_Repeated | _Prepared") -> None:
        """Say that it is ready, which answers the order that led here, and time it until it is told to go on."""
        self._wire.answer(**target.ready())
        while True:
            order = self._wire.order()
            if order["do"] == "on":
                return
            for _ in range(order["warmup"]):
                target.round(order["iterations"])
            before = worker.host.read()
            seconds = target.round(order["iterations"])
            self._wire.answer(seconds=seconds, host=worker.host.read().since(before))

    def _pedantic(
        self, pedantic: Any, fixture: Any, target: Callable[..., object], *args: Any, **options: Any
    ) -> Any:
        names = ("args", "kwargs", "setup", "teardown", "rounds", "warmup_rounds", "iterations")
        given = dict(zip(names, args, strict=False)) | options
        rounds, iterations, warmups = (
            given.get(name, least) for name, least in (("rounds", 1), ("iterations", 1), ("warmup_rounds", 0))
        )
        if (
            not all(isinstance(each, int) for each in (rounds, iterations, warmups))
            or min(rounds - 1, iterations - 1, warmups) < 0
        ):
            return pedantic(fixture, target, **given)  # which says what is wrong
        slowed = self._slowed(fixture, target)
        if rounds > 1:
            given.pop("warmup_rounds", 0)
            self._rounds(_Prepared(slowed, given, iterations, warmups, rounds - 1))
            given["rounds"] = 1
            return pedantic(fixture, target, **given)
        once = _Once(self._wire, slowed, iterations, untimed=warmups * iterations)
        found = pedantic(fixture, once, **given)
        once.finish()
        return found

    def _slowed(self, fixture: Any, call: Callable[..., object]) -> Callable[..., object]:
        """With the slow-downs that this side was given on purpose."""
        for kind, amount, only in self._inject:
            if only in ("", fixture.fullname, fixture.name):
                call = worker.injected(call, kind, amount, worker.convolution)
        return call


class _Repeated:
    """`benchmark(function)`: a call that may be repeated, as often as a round asks for."""

    def __init__(self, call: Callable[[], object]):
        self._call = call

    def ready(self) -> dict[str, Any]:
        """The least of a few estimates of one call."""
        number, least, started = 1, float("inf"), time.perf_counter()
        for _ in range(TRIALS):
            while (took := self.round(number)) < LEAST_S:
                number *= 4
            least = min(least, took / number)
            if time.perf_counter() - started > TRIAL_S:
                break
        return {"ready": "benchmark", "seconds": least, "iterations": None, "rounds": None, "warmups": None}

    def round(self, iterations: int) -> float:
        """Seconds of so many calls."""
        call, clock = self._call, time.perf_counter
        if iterations == 1:
            started = clock()
            call()
            return clock() - started
        loops = range(iterations)
        started = clock()
        for _ in loops:
            call()
        return clock() - started


class _Prepared:
    """`benchmark.pedantic(...)` with rounds to spare: each is set up and torn down as it asks for, untimed."""

    def __init__(
        self, call: Callable[..., object], given: dict[str, Any], iterations: int, warmups: int, rounds: int
    ):
        self._call, self._given, self._iterations = call, given, iterations
        self._warmups, self._left = warmups, rounds

    def ready(self) -> dict[str, Any]:
        """How many rounds may be taken; how long one takes is not known, as each counts."""
        return {
            "ready": "pedantic",
            "seconds": None,
            "iterations": self._iterations,
            "rounds": self._left,
            "warmups": self._warmups,
        }

    def round(self, _: int) -> float:
        """Seconds of one round."""
        args, kwargs = self._given.get("args", ()), self._given.get("kwargs") or {}
        if setup := self._given.get("setup"):
            args, kwargs = setup() or (args, kwargs)
        found = _Repeated(functools.partial(self._call, *args, **kwargs)).round(self._iterations)
        if teardown := self._given.get("teardown"):
            teardown(*args, **kwargs)
        return found


class _Once:
    """`benchmark.pedantic(...)` of a single round: the target is called when it is ordered, and never again."""

    def __init__(self, wire: Wire, call: Callable[..., object], iterations: int, *, untimed: int = 0):
        self._wire, self._call, self._left, self._untimed = wire, call, iterations, untimed
        self._iterations = iterations
        self._seconds = 0.0
        self._before: Any = None
        self._told = False

    def __call__(self, *args: Any, **kwargs: Any) -> object:
        """The target; timed for one round, once it is warm."""
        if self._untimed:
            self._untimed -= 1
            return self._call(*args, **kwargs)
        if self._before is None:
            self._wire.answer(ready="pedantic", seconds=None, iterations=self._iterations, rounds=1, warmups=0)
            if self._wire.order()["do"] == "on":
                self._left, self._told = 0, True
            self._before = worker.host.read()
        if not self._left:
            return self._call(*args, **kwargs)
        self._left -= 1
        started = time.perf_counter()
        found = self._call(*args, **kwargs)
        self._seconds += time.perf_counter() - started
        if not self._left:
            self._wire.answer(seconds=self._seconds, host=worker.host.read().since(self._before))
        return found

    def finish(self) -> None:
        """Go on when told to."""
        if not self._told:
            self._wire.order()


def _last_line(text: object) -> str:
    """The last line that says something of a failure, short."""
    if isinstance(text, tuple):  # a skip's file, line and reason
        text = text[2]
    crash = getattr(getattr(text, "reprcrash", None), "message", None)
    lines = str(crash or text).strip().splitlines()
    return (lines[0] if crash else lines[-1])[:MOST_SAID] if lines else ""


def _libraries(names: list[str]) -> dict[str, str]:
    """The interpreter's version, and those of the packages asked for that are installed."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in names:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def main() -> None:
    """Open a session of pytest in this side's tree, as it is ordered. A failure is an answer."""
    worker.die_with(int(sys.argv[1]))
    wire = Wire(
        os.fdopen(os.dup(0), "r", encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    )
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    if importlib.util.find_spec("pytest_benchmark") is None:
        wire.order()
        wire.answer(error="pytest-benchmark is not installed for this interpreter")
        return
    try:
        order = wire.order()
        os.chdir(order["folder"])
        whose.map_paths(order)
        if order["beside"]:
            sys.path.insert(0, order["folder"])  # as `python -m pytest` does
        sys.argv[0] = "pytest"
        status = pytest.main([*order["arguments"], *OPTIONS], plugins=[Lockstep(wire, order)])
        wire.answer(error=f"pytest ended with status {int(status)} before it was told to")
    except Exception as error:  # noqa: BLE001 - the outermost door of this process: all is told to the asker
        traceback.print_exc()
        wire.answer(error=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
