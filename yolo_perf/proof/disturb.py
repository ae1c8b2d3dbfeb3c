"""Known disturbances: neighbours that a gate has to live with. Run as a script, in a process of its own."""

import contextlib
import ctypes
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

DISTURBANCES = ("none", "cpu-1s", "cpu-10s", "cpu-120s", "memory", "midway")
"""A busy loop on one core that is on for half of a period of 1, 10 or 120 s; copies through memory without a
pause; a busy loop that begins a quarter of a minute later, when a pair is under way. A pair of half a minute meets
only the busy minute of the longest period."""
MIDWAY_S = 15.0
PR_SET_PDEATHSIG = 1


@contextlib.contextmanager
def disturbed(kind: str) -> Iterator[None]:
    """Within, the disturbance goes on; afterwards it is gone. ValueError for an unknown one."""
    if kind not in DISTURBANCES:
        raise ValueError(f"Unknown disturbance {kind!r}. Choose from: {', '.join(DISTURBANCES)}.")
    if kind == "none":
        yield
        return
    child = subprocess.Popen(
        [sys.executable, "-P", __file__, kind, str(os.getpid())],
        process_group=None if sys.platform == "win32" else 0,  # Ctrl-C is the parent's to handle
    )
    try:
        yield
    finally:
        child.kill()
        child.wait()


def _spin(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def _copy() -> None:
    source, target = bytearray(2**26), bytearray(2**26)
    target[:] = source


def _disturb(kind: str) -> None:
    """A tenth of a second of it, or a period."""
    if kind == "memory":
        _copy()
    elif kind == "midway":
        _spin(0.1)
    else:
        period = float(kind.removeprefix("cpu-").removesuffix("s"))
        _spin(period / 2)
        time.sleep(period / 2)


def main() -> None:
    """Disturb until the process that asked for it is gone."""
    kind, parent = sys.argv[1], int(sys.argv[2])
    if sys.platform == "linux":  # even while it sleeps
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if kind == "midway":
        time.sleep(MIDWAY_S)
    for _ in itertools.count():
        if os.getppid() != parent:
            return
        _disturb(kind)


if __name__ == "__main__":
    main()
