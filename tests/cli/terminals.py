"""The console script in a process of its own, with streams that a test chooses."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
START = "import sys; sys.argv[0] = 'yolo-perf'; from yolo_perf.cli import main; main()"
NEUTRAL = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LC_ALL", "PYTHONIOENCODING", "YOLO_PERF_DATA")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", START, *arguments]


def environment(**changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in NEUTRAL}
    return {**kept, "PYTHONPATH": str(ROOT), "TERM": "xterm", **changes}


def on_a_terminal(
    program: list[str], changes: Mapping[str, str] | None = None, *, columns: int = 80
) -> tuple[int, str]:
    """The exit status of a program, and all that it wrote to a terminal that is its stdout and stderr."""
    import fcntl
    import pty
    import struct
    import termios

    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        program, stdin=terminal, stdout=terminal, stderr=terminal, env=environment(**changes or {}), cwd=ROOT
    )
    os.close(terminal)
    found = b""
    while True:
        try:
            read = os.read(controller, 65536)
        except OSError:  # Linux says so where the last writer has gone
            break
        if not read:
            break
        found += read
    os.close(controller)
    return process.wait(), found.decode().replace("\r\n", "\n")
