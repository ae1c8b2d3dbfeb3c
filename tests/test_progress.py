"""What pytest's terminal is told while benchmarks run: by its own -q and -v, and how long the rest will take."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from yolo_perf.progress import EVERY_S, Forecast, progress

LOGGER = logging.getLogger("yolo_perf.tests")
TOLD = ("DEBUG", "INFO", "WARNING")


class Reporter:
    """Pytest's terminal reporter, as far as it is asked anything."""

    def __init__(self, isatty: bool):
        self.isatty = isatty
        self.lines: list[str] = []

    def ensure_newline(self) -> None: ...

    def write_line(self, line: str) -> None:
        self.lines.append(line)


def config(verbosity: int = 0, *, isatty: bool = True) -> Any:
    reporter = Reporter(isatty)
    return SimpleNamespace(
        reporter=reporter,
        get_verbosity=lambda: verbosity,
        pluginmanager=SimpleNamespace(get_plugin={"terminalreporter": reporter}.get),
    )


def item(test: str, size: str, optimization: str) -> Any:
    return SimpleNamespace(
        nodeid=f"{test}[{size}-{optimization}]",
        callspec=SimpleNamespace(params={"size": size, "optimization": optimization}),
    )


ITEMS = [item("test_inference", size, name) for size in "nx" for name in ("eager", "onnx", "int8")]


@pytest.fixture
def clock() -> Callable[..., float]:
    now = 0.0

    def read(forward: float = 0.0) -> float:
        nonlocal now
        now += forward
        return now

    return read


def run(
    forecast: Forecast, clock: Callable[..., float], each: Any, seconds: float, *, skipped: bool = False
) -> None:
    forecast.pytest_runtest_logstart()
    clock(seconds)
    forecast.pytest_runtest_logreport(SimpleNamespace(skipped=skipped))  # type: ignore[arg-type]
    forecast.pytest_runtest_logfinish(each.nodeid)


@pytest.mark.parametrize(
    ("verbosity", "told"), [(-2, TOLD[2:]), (-1, TOLD[2:]), (0, TOLD[1:]), (1, TOLD), (3, TOLD)]
)
def test_pytests_own_verbosity_decides_what_is_told(verbosity: int, told: tuple[str, ...]) -> None:
    session, level = config(verbosity), logging.getLogger("yolo_perf").level
    with progress(session):
        for name in TOLD:
            LOGGER.log(logging.getLevelNamesMapping()[name], name)
    assert session.reporter.lines == [f"  {name}" for name in told]
    assert logging.getLogger("yolo_perf").level == level


def test_how_long_the_rest_will_take(clock: Callable[..., float]) -> None:
    session = config(1, isatty=False)
    forecast = Forecast(session, ITEMS, clock)
    for each, seconds in zip(ITEMS, (100, 60, 80, 600, 400, 500), strict=True):
        run(forecast, clock, each, seconds)
    assert session.reporter.lines == [
        "  1 of 6 benchmarks, at least 8 min left",  # 2 of n by the first; 3 of x by the shortest of n
        "  2 of 6 benchmarks, at least 4 min left",  # 80 + 3 * 60
        "  3 of 6 benchmarks, at least 3 min left",  # 3 * 60: x was not yet seen
        "  4 of 6 benchmarks, about 20 min left",
        "  5 of 6 benchmarks, about 8 min left",  # (600 + 400) / 2; after the last there is nothing to say
    ]


def test_what_was_skipped_tells_nothing_of_the_others(clock: Callable[..., float]) -> None:
    session = config(1)
    forecast = Forecast(session, ITEMS[:3], clock)
    run(forecast, clock, ITEMS[0], 0.01, skipped=True)
    run(forecast, clock, ITEMS[1], 30)
    assert session.reporter.lines == ["  1 of 3 benchmarks", "  2 of 3 benchmarks, about 30 s left"]


def test_on_a_terminal_quick_benchmarks_share_a_line(clock: Callable[..., float]) -> None:
    session = config()
    forecast = Forecast(session, ITEMS, clock)
    for each in ITEMS[:4]:
        run(forecast, clock, each, 0.4 * EVERY_S)
    assert session.reporter.lines == ["  3 of 6 benchmarks, at least 10 s left"]


@pytest.mark.parametrize(("verbosity", "isatty"), [(0, False), (-1, True), (-1, False)])
def test_it_says_nothing_where_nobody_looks(clock: Callable[..., float], verbosity: int, isatty: bool) -> None:
    session = config(verbosity, isatty=isatty)
    forecast = Forecast(session, ITEMS, clock)
    for each in ITEMS:
        run(forecast, clock, each, 60)
    assert session.reporter.lines == []


def test_other_tests_and_repeated_ones_do_not_count(clock: Callable[..., float]) -> None:
    session = config(1)
    forecast = Forecast(session, ITEMS[:2], clock)
    run(forecast, clock, item("test_mine", "n", "eager"), 500)
    run(forecast, clock, ITEMS[0], 20)
    run(forecast, clock, ITEMS[0], 500)
    assert session.reporter.lines == ["  1 of 2 benchmarks, about 20 s left"]


@pytest.mark.slow
def test_a_session_counts_the_benchmarks_that_it_collected(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    pytester.makeconftest("import pytest\n@pytest.fixture\ndef measure_memory():\n    return None\n")
    pytester.makepyfile(
        """
        def test_no_benchmark():
            pass

        def test_mine(size, optimization, measure_memory):
            pass
        """
    )
    options = ("-v", "--perf-sizes=n", "--perf-optimizations=eager,onnx", "-p", "no:cacheprovider")
    found = pytester.run(sys.executable, "-m", "pytest", *options)
    assert found.ret == 0
    found.stdout.fnmatch_lines(["*n-eager* PASSED*", "  1 of 2 benchmarks*", "*n-onnx* PASSED*"])
    found.stdout.no_fnmatch_line("*2 of 2 benchmarks*")
