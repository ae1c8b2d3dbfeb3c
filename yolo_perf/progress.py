"""What long steps say of themselves, on pytest's terminal."""

import contextlib
import logging
from collections.abc import Iterator

import pytest

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
        self._capture = config.pluginmanager.get_plugin("capturemanager")
        self._reporter = config.pluginmanager.get_plugin("terminalreporter")

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        if self._reporter is None:
            return
        pause = self._capture.global_and_fixture_disabled() if self._capture else contextlib.nullcontext()
        with pause:
            self._reporter.ensure_newline()
            self._reporter.write_line(f"  {record.getMessage()}")
