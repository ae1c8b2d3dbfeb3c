"""Signals that ask this process to go, as interruptions: what is measured is kept as after Ctrl-C."""

import contextlib
import signal
import threading
from collections.abc import Iterator

GONE = ("SIGTERM", "SIGHUP")
INTERRUPTED_EXIT = 130
"""Exit status after Ctrl-C."""


class Asked(KeyboardInterrupt):
    """A signal asked this process to go. Whoever keeps what there is after Ctrl-C keeps it after this."""


_received: list[int] = []


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Within, the first such signal is an interruption; more of them change nothing, while results are written."""

    def leave(number: int, _: object) -> None:
        if not _received:
            _received.append(number)
            raise Asked

    before = {}
    if threading.current_thread() is threading.main_thread():
        for name in GONE:
            # One that is ignored stays so, as under nohup.
            if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) != signal.SIG_IGN:
                before[name] = signal.signal(getattr(signal, name), leave)
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


def exit_status(code: int) -> int:
    """The exit status of a command that ends with `code`: 143 or 129 where a signal interrupted it, not 130."""
    received, _received[:] = _received[:], []
    return 128 + received[0] if received and code == INTERRUPTED_EXIT else code
