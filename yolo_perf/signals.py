"""Signals that ask this process to go, as interruptions: what is measured is kept as after Ctrl-C."""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator

GONE = ("SIGTERM", "SIGHUP")
INTERRUPTED_EXIT = 130
"""Exit status after Ctrl-C."""
ENDING_S = 10.0
"""Seconds after an interruption in which others change nothing. A later one finds a command that did not end."""


class Asked(KeyboardInterrupt):
    """A signal asked this process to go. Whoever keeps what there is after Ctrl-C keeps it after this."""


_received: list[int] = []


class _Leave:
    """Interrupts once, whichever signal comes first: results are written while the next one comes."""

    def __init__(self, clock: Callable[[], float]):
        self._clock = clock
        self._until = float("-inf")

    def __call__(self, number: int, _: object) -> None:
        if self._clock() < self._until:
            return
        self._until = self._clock() + ENDING_S
        if not _received:
            _received.append(number)
        raise Asked


@contextlib.contextmanager
def ended_by_signals(clock: Callable[[], float] = time.monotonic) -> Iterator[None]:
    """Within, the first such signal or Ctrl-C is an interruption; more of them change nothing for a while."""
    before = {}
    leave = _Leave(clock)
    within = any(isinstance(signal.getsignal(getattr(signal, name)), _Leave) for name in _known())
    if threading.current_thread() is threading.main_thread() and not within:
        _received.clear()
        for name in _known():
            # One that is ignored stays so, as under nohup.
            if signal.getsignal(getattr(signal, name)) != signal.SIG_IGN:
                before[name] = signal.signal(getattr(signal, name), leave)
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


def _known() -> tuple[str, ...]:
    return tuple(name for name in ("SIGINT", *GONE) if hasattr(signal, name))


def exit_status(code: int) -> int:
    """The exit status of a command that ends with `code`: 143 or 129 where a signal interrupted it, not 130."""
    received, _received[:] = _received[:], []
    return 128 + received[0] if received and code == INTERRUPTED_EXIT else code
