"""What long steps say of themselves, on pytest's terminal, and how long the rest will take."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from yolo_perf import escape
from yolo_perf.guest import uncaptured
from yolo_perf.pace import Kind, left_of

log = logging.getLogger(__name__)

EVERY_S = 10.0
"""Seconds between two estimates on a terminal: a line for each quick benchmark would tell nothing."""
LEVELS = {-1: logging.WARNING, 0: logging.INFO, 1: logging.DEBUG}


@contextlib.contextmanager
def progress(config: pytest.Config) -> Iterator[None]:
    """Show the lines of the logger `yolo_perf` on the terminal while it lasts: warnings alone with pytest's -q,
    and with -v what is built, read and planned.
    """
    handler = _TerminalHandler(config)
    logger = logging.getLogger("yolo_perf")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(LEVELS[max(-1, min(1, config.get_verbosity()))])
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


class _TerminalHandler(logging.Handler):
    """Writes log lines to pytest's terminal, past its capture."""

    def __init__(self, config: pytest.Config):
        super().__init__()
        self._config = config
        self._reporter = config.pluginmanager.get_plugin("terminalreporter")

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        if self._reporter is None:
            return
        with uncaptured(self._config):
            self._reporter.ensure_newline()
            self._reporter.write_line(f"  {escape.line(record.getMessage())}")


class Forecast:
    """After each of these benchmarks: how many are done, and how long the others will take by what like ones took.

    A plugin, on a terminal or with -v. Skipped ones took no time that could tell of others.
    """

    def __init__(
        self, config: pytest.Config, items: Sequence[pytest.Item], clock: Callable[[], float] = time.monotonic
    ):
        self._config = config
        self._clock = clock
        self._left = {item.nodeid: _kind(item) for item in items}
        self._total = len(self._left)
        self._done: list[tuple[Kind, float]] = []
        self._skipped = False
        self._started = self._told = clock()
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        verbosity = config.get_verbosity()
        self._shown = verbosity > 0 or (verbosity == 0 and reporter is not None and reporter.isatty)
        self._every_s = 0.0 if verbosity > 0 else EVERY_S

    def pytest_runtest_logstart(self) -> None:
        """A test begins."""
        self._started, self._skipped = self._clock(), False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A phase of it is over."""
        self._skipped |= report.skipped

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """It is over, and its line is written."""
        now, kind = self._clock(), self._left.pop(nodeid, None)
        if kind is None:
            return
        if not self._skipped:
            self._done.append((kind, now - self._started))
        if not self._shown or not self._left or now - self._told < self._every_s:
            return
        self._told = now
        left = left_of(self._done, list(self._left.values()))
        with progress(self._config):
            log.info("%d of %d benchmarks%s", self._total - len(self._left), self._total, left.text)


def _kind(item: pytest.Item) -> Kind:
    """What tells how long a test takes: the test, then the size, then the optimisation."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    test = item.nodeid.partition("[")[0]
    return (test, *(str(parameters[name]) for name in ("size", "optimization") if name in parameters))
