"""The worker processes from the outside: started, asked, stopped while the other side runs, and always ended.

A stopped process takes nothing from the one that is timed; an idle one does, as thread pools go on spinning
after a call. Where there is no SIGSTOP (Windows), pools are asked not to spin and a pause lets them settle.
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any

from yolo_perf.backends.artefacts import cache_folder
from yolo_perf.errors import YoloPerfError
from yolo_perf.verdict import worker
from yolo_perf.verdict.sides import Side

SETTLE_S = 0.3
CAN_STOP = hasattr(signal, "SIGSTOP")
GONE = ("SIGTERM", "SIGHUP")
"""Signals that end the command; its workers are ended first."""


class SideError(YoloPerfError):
    """A side did not start, failed, or gave no answer in time. Names the side and its last words."""


class Process:
    """One side's process. It stands still except between `wake` and `rest`.

    `script` answers its orders: a worker without it, or another program that takes them in the same way.
    """

    def __init__(self, side: Side, *, time_limit_s: float, script: str = ""):
        self.side = side
        self.time_limit_s = time_limit_s
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        environment = {**os.environ, **dict(side.environment)}
        if not CAN_STOP:
            environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        try:
            self._child = subprocess.Popen(
                [str(side.python), "-P", script or worker.__file__, str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._words,
                env=environment,
                text=True,
                encoding="utf-8",
                # A group of its own: Ctrl-C is this command's to handle, and a stopped group whose parent is
                # gone is ended by the system.
                process_group=0 if CAN_STOP else None,
            )
        except OSError as error:
            self._words.close()
            raise SideError(f"{side.name}: {side.python} does not start: {error.strerror or error}.") from error
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._child.stdout is not None  # noqa: S101 - a pipe was asked for
        with contextlib.suppress(ValueError):  # closed while it was read
            for line in self._child.stdout:
                self._answers.put(line)
        self._answers.put("")

    def send(self, **order: Any) -> None:
        """Give an order without waiting for its answer."""
        assert self._child.stdin is not None  # noqa: S101 - a pipe was asked for
        try:
            self._child.stdin.write(json.dumps(order) + "\n")
            self._child.stdin.flush()
        except OSError as error:
            raise self._failure("it ended") from error

    def receive(self) -> dict[str, Any]:
        """The next answer. Raises SideError for a failure, an end, or none within the time limit."""
        try:
            line = self._answers.get(timeout=self.time_limit_s)
        except queue.Empty:
            raise self._failure(f"no answer within {self.time_limit_s:g} s") from None
        if not line:
            raise self._failure("it ended")
        try:
            reply = json.loads(line)
        except ValueError as error:
            raise self._failure(f"it answered {line[:60]!r}") from error
        if not isinstance(reply, dict) or "error" in reply:
            raise self._failure(str(reply.get("error") if isinstance(reply, dict) else reply))
        return reply

    def ask(self, **order: Any) -> dict[str, Any]:
        """The answer to an order."""
        self.send(**order)
        return self.receive()

    def rest(self) -> None:
        """Stand still; returns when it does."""
        if not CAN_STOP:
            time.sleep(SETTLE_S)
            return
        self._signal(signal.SIGSTOP)
        if not hasattr(os, "waitid"):  # macOS before Python 3.13
            time.sleep(SETTLE_S)
            return
        with contextlib.suppress(ChildProcessError):
            # WNOWAIT: an end that is seen here is still there for `Popen`.
            os.waitid(os.P_PID, self._child.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def wake(self) -> None:
        """Go on."""
        if CAN_STOP:
            self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self._child.poll() is None:
            os.kill(self._child.pid, number)

    def end(self) -> None:
        """Kill it, stopped or not, and wait until it is gone."""
        self._child.kill()
        self._child.wait()
        for stream in (self._child.stdin, self._child.stdout):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        self._words.close()

    def _failure(self, what: str) -> SideError:
        """What happened, with what the process said last where it said more."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout=0.2)
        code = self._child.poll()
        if what == "it ended" and code is not None:
            what = f"it ended with {_ending(code)}"
        self._words.seek(0)
        said = self._words.read().decode(errors="replace").strip().splitlines()
        return SideError(f"{self.side.name}: {what}{f' ({said[-1][:200]})' if said else ''}.")


@contextlib.contextmanager
def processes(*sides: Side, time_limit_s: float, script: str = "") -> Iterator[tuple[Process, ...]]:
    """A process for each side, all of them gone when it is over, however it ends."""
    with contextlib.ExitStack() as ends:
        started = []
        for side in sides:
            started.append(Process(side, time_limit_s=time_limit_s, script=script))
            ends.callback(started[-1].end)
        yield tuple(started)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Within, no other comparison of this user runs on this machine. Raises YoloPerfError where one does.

    Two at once would be each other's noise. Where the system has no such locks nothing is checked.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    path = cache_folder() / "timing.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise YoloPerfError(
                "Another comparison is timing on this machine: two at once would disturb each other. Wait for it."
            ) from error
        yield


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Within, a signal that asks this process to go ends it by way of its `finally` clauses."""

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

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


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    if -code == getattr(signal, "SIGKILL", 9):
        return "SIGKILL, most likely for want of memory"
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"
