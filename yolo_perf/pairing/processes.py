"""The worker processes from the outside: started, asked, stopped while the other side runs, and always ended.

A stopped process takes nothing from the one that is timed; an idle one does, as thread pools go on spinning
after a call. Where there is no SIGSTOP (Windows), pools are asked not to spin and a pause lets them settle.
"""

import contextlib
import json
import os
import queue
import secrets
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypedDict

import msgspec
import psutil

from yolo_perf.backends.artefacts import cache_folder, unwritable
from yolo_perf.errors import YoloPerfError
from yolo_perf.machine.host import Counters
from yolo_perf.pairing import worker
from yolo_perf.pairing.sides import Side

SETTLE_S = 0.3
CAN_STOP = hasattr(signal, "SIGSTOP")
MARK = "YOLO_PERF_SIDE"
"""A variable of the environment by which everything that a side started is found, wherever it went."""
MAX_LINE = 1 << 24
"""Characters of an answer."""
LAST_WORDS = 1 << 16
PIPE_S = 2.0
"""Seconds in which a pipe whose writers were killed is at its end."""


COUNTERS = len(Counters._fields)
_Count = Annotated[float, msgspec.Meta(ge=0, le=1e18)]


class _Opened(TypedDict):
    tree: str
    optimizations: list[str]
    libraries: dict[str, str]
    allocator: str


class _Ready(TypedDict):
    seconds: Annotated[float, msgspec.Meta(gt=0, le=86400)]
    batch: Annotated[int, msgspec.Meta(ge=1, le=65536)]
    weights: str


class _Round(TypedDict):
    seconds: Annotated[float, msgspec.Meta(gt=0, le=86400)]
    host: Annotated[list[_Count | None], msgspec.Meta(min_length=COUNTERS, max_length=COUNTERS)]


FORMS: dict[str, Any] = {"open": _Opened, "sample": _Ready, "time": _Round}
"""What the answers to orders hold. A case that cannot be prepared says `unavailable` instead, and why."""


class SideError(YoloPerfError):
    """A side did not start, failed, or gave no answer in time. Names the side and its last words."""


class Process:
    """One side's process. It stands still except between `wake` and `rest`.

    `script` answers its orders: a worker without it, or another program that takes them in the same way; `forms`
    are those of its answers.
    """

    def __init__(self, side: Side, *, time_limit_s: float, script: str = "", forms: Mapping[str, Any] = FORMS):
        self.side = side
        self._forms = forms
        self.time_limit_s = time_limit_s
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._mark = secrets.token_hex(8)
        environment = {**os.environ, **dict(side.environment), MARK: self._mark}
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
        self._asked: deque[dict[str, Any]] = deque()  # orders whose answers are yet to come
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self._child.stdout is not None  # noqa: S101 - a pipe was asked for
        with contextlib.suppress(ValueError):  # closed while it was read
            while line := self._child.stdout.readline(MAX_LINE):
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
        self._asked.append(order)

    def receive(self) -> dict[str, Any]:
        """The next answer, of the form that its order has.

        Raises SideError for a failure, an end, none within the time limit, or one of another form.
        """
        try:
            line = self._answers.get(timeout=self.time_limit_s)
        except queue.Empty:
            raise self._failure(f"no answer within {self.time_limit_s:g} s") from None
        if not line:
            raise self._failure("it ended")
        try:
            reply = msgspec.json.decode(line)  # stricter than json: no NaN, no half of a pair of surrogates
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise self._failure(f"it answered {line.strip()[:60]!r}") from error
        if isinstance(reply, dict) and "error" in reply:
            raise self._failure(str(reply["error"])[:500])
        order = self._asked.popleft() if self._asked else {}
        if wrong := malformed(order, reply, self._forms):
            raise self._failure(f"it answered {line.strip()[:60]!r} to {order.get('do')!r}: {wrong}")
        found: dict[str, Any] = reply
        return found

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
        """To its group: what it started works no more than it does while the other side runs."""
        if self._child.poll() is None:
            os.killpg(self._child.pid, number)

    def end(self) -> None:
        """Kill it and all that it started, stopped or not, and wait until it is gone."""
        started = _started_by(self._child.pid) if self._child.poll() is None else []
        if CAN_STOP:
            with contextlib.suppress(OSError):
                os.killpg(self._child.pid, signal.SIGKILL)
        self._child.kill()
        for each in started:
            with contextlib.suppress(psutil.Error):
                each.kill()
        self._child.wait()
        _kill_marked(self._mark)
        self._listener.join(PIPE_S)
        # A pipe that somebody still holds is left to the thread that waits for it: to close it would wait too.
        streams = [self._child.stdin, *([] if self._listener.is_alive() else [self._child.stdout])]
        for stream in streams:
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
        self._words.seek(max(0, self._words.seek(0, os.SEEK_END) - LAST_WORDS))
        said = self._words.read().decode(errors="replace").strip().splitlines()
        return SideError(f"{self.side.name}: {what}{f' ({said[-1][:200]})' if said else ''}.")


@contextlib.contextmanager
def processes(
    *sides: Side, time_limit_s: float, script: str = "", forms: Mapping[str, Any] = FORMS
) -> Iterator[tuple[Process, ...]]:
    """A process for each side, all of them gone when it is over, however it ends."""
    with contextlib.ExitStack() as ends:
        started = []
        for side in sides:
            started.append(Process(side, time_limit_s=time_limit_s, script=script, forms=forms))
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
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK, 0o666)  # a FIFO would be waited for
        lock = os.fdopen(opened, "a")
    except OSError as error:
        raise unwritable(path.parent, error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise YoloPerfError(
                "Another comparison is timing on this machine: two at once would disturb each other. Wait for it."
            ) from error
        yield


def malformed(order: Mapping[str, Any], reply: object, forms: Mapping[str, Any] = FORMS) -> str:
    """What is wrong with an answer to an order; "" where it has the order's form, or the order has none."""
    do = str(order.get("do"))
    form = forms.get("sample" if do == "prepare" and order.get("sample") else do, dict[str, Any])
    try:
        msgspec.convert(reply, form)
    except (msgspec.ValidationError, RecursionError) as error:
        why = reply.get("unavailable") if isinstance(reply, dict) and do == "prepare" else None
        if isinstance(why, str) and why:
            return ""
        return str(error)
    return ""


def _started_by(pid: int) -> list[psutil.Process]:
    """All that descends from a process while it is there to be asked, whatever group and environment it has."""
    try:
        found: list[psutil.Process] = psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []
    return found


def _kill_marked(mark: str) -> None:
    """Kill what a side started and moved out of its group, as daemons do. Linux tells of each its environment.

    What left the group, emptied its environment and outlived its parent, all three, is not found.
    """
    if not psutil.LINUX:
        return
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == mark:
                process.kill()


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    if -code == getattr(signal, "SIGKILL", 9):
        return "SIGKILL, most likely for want of memory"
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"
