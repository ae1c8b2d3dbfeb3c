import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from yolo_perf.pairing import processes as module
from yolo_perf.pairing import worker
from yolo_perf.pairing.processes import CAN_STOP, Process, SideError, processes
from yolo_perf.pairing.sides import Side, own_tree

TALKER = """\
import json, os, sys
for line in sys.stdin:
    order = json.loads(line)
    if order["do"] == "say":
        print(order["text"], flush=True)
    elif order["do"] == "environment":
        print(json.dumps(dict(os.environ)), flush=True)
    elif order["do"] == "leave":
        print("first words", "last words", sep="\\n", file=sys.stderr)
        sys.exit(order["code"])
"""
"""Answers what it is told to; nothing to any other order."""
WAITS_FOREVER = """\
import contextlib, sys
from pathlib import Path
from yolo_perf.signals import ended_by_signals, exit_status
from yolo_perf.pairing.processes import SideError, processes
from yolo_perf.pairing.sides import parse_side

side = parse_side((), Path())
try:
    with ended_by_signals(), processes(side, side, time_limit_s=60) as pair:
        for process in pair:
            with contextlib.suppress(SideError):
                process.ask(do="nothing")  # it has answered, so it is past its start
            process.rest()
        print(*(process._child.pid for process in pair), flush=True)
        sys.stdin.readline()
except KeyboardInterrupt:
    sys.exit(exit_status(130))
"""
EARLIER: list[psutil.Process] = []
"""What other tests left running: multiprocessing's tracker of resources, say."""
unix = pytest.mark.skipif(not CAN_STOP, reason="no SIGSTOP here")


def children() -> list[psutil.Process]:
    found: list[psutil.Process] = psutil.Process().children()
    return found


@pytest.fixture(autouse=True)
def talker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "talker.py"
    script.write_text(TALKER)
    monkeypatch.setattr(worker, "__file__", str(script))
    EARLIER[:] = children()


def side(**environment: str) -> Side:
    return Side(
        name="ref:main", tree=own_tree(), python=Path(sys.executable), environment=tuple(environment.items())
    )


@contextlib.contextmanager
def one(time_limit_s: float = 60.0, **environment: str) -> Iterator[Process]:
    with processes(side(**environment), time_limit_s=time_limit_s) as (process,):
        yield process


def system(process: Process) -> psutil.Process:
    return psutil.Process(process._child.pid)


def failure(process: Process, **order: object) -> str:
    with pytest.raises(SideError) as raised:
        process.ask(**order)
    return str(raised.value)


# Orders and answers


def test_an_order_is_answered() -> None:
    with one() as process:
        assert process.ask(do="say", text='{"seconds": 0.25}') == {"seconds": 0.25}


def test_both_sides_work_before_either_is_heard() -> None:
    with processes(side(), side(), time_limit_s=60) as pair:
        for number, process in enumerate(pair):
            process.send(do="say", text=f'{{"number": {number}}}')
        assert [process.receive() for process in pair] == [{"number": 0}, {"number": 1}]


def test_the_environment_of_a_side(monkeypatch: pytest.MonkeyPatch) -> None:
    with one(OMP_NUM_THREADS="3", MALLOC_TOP_PAD_="0") as process:
        found = process.ask(do="environment")
    assert (found["OMP_NUM_THREADS"], found["MALLOC_TOP_PAD_"]) == ("3", "0")
    assert found["PATH"] == os.environ["PATH"]


# Failures name the side


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"error": "ValueError: no such size"}', "ref:main: ValueError: no such size."),
        ("hello", "ref:main: it answered 'hello'."),
        ("[1, 2]", "ref:main: it answered '[1, 2]' to 'say': Expected `object`, got `array`."),
    ],
)
def test_an_answer_that_is_none(text: str, message: str) -> None:
    with one() as process:
        assert failure(process, do="say", text=text) == message


def test_a_process_that_ends_has_the_last_word() -> None:
    with one() as process:
        message = failure(process, do="leave", code=3)
        assert message == "ref:main: it ended with exit code 3 (last words)."


def test_an_order_to_one_that_has_ended() -> None:
    with one() as process:
        process.send(do="leave", code=0)
        process._child.wait()
        assert failure(process, do="say", text="{}").startswith("ref:main: it ended with exit code 0 (last words)")


@unix
@pytest.mark.parametrize(
    ("number", "message"),
    [("SIGKILL", "SIGKILL, most likely for want of memory"), ("SIGABRT", "SIGABRT")],
)
def test_a_process_that_is_killed(number: str, message: str) -> None:
    with one() as process:
        os.kill(process._child.pid, getattr(signal, number))
        with pytest.raises(SideError, match=rf"^ref:main: it ended with {message}\.$"):
            process.receive()


def test_a_process_that_hangs() -> None:
    with one(time_limit_s=0.2) as process:
        assert failure(process, do="nothing") == "ref:main: no answer within 0.2 s."


def test_an_interpreter_that_does_not_start(tmp_path: Path) -> None:
    wrong = Side(name="python:none", tree=own_tree(), python=tmp_path / "none")
    with (
        pytest.raises(SideError, match=r"^python:none: .*none does not start: No such file"),
        processes(side(), wrong, time_limit_s=60),
    ):
        pass
    assert children() == EARLIER


# Standing still


@unix
def test_a_process_at_rest_is_stopped_until_it_is_woken() -> None:
    with one() as process:
        for _ in range(3):
            process.rest()
            assert system(process).status() == psutil.STATUS_STOPPED
            process.wake()
            assert process.ask(do="say", text="{}") == {}
            assert system(process).status() != psutil.STATUS_STOPPED


@unix
def test_an_order_waits_for_one_that_is_at_rest() -> None:
    with one(time_limit_s=0.2) as process:
        process.rest()
        assert failure(process, do="say", text="{}") == "ref:main: no answer within 0.2 s."
        process.wake()
        process.time_limit_s = 60
        assert process.receive() == {}


def test_one_that_has_ended_may_rest() -> None:
    with one() as process:
        process._child.kill()
        process._child.wait()
        process.rest()
        process.wake()


@unix
def test_one_that_ends_while_it_is_sent_to_rest_is_not_waited_for() -> None:
    with one() as process:
        process.send(do="leave", code=0)
        process.rest()  # stopped or gone, whichever comes first
        process.wake()


def test_without_signals_that_stop_pools_are_asked_not_to_spin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CAN_STOP", False)
    monkeypatch.setattr(module, "SETTLE_S", 0.0)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    with one() as process:
        process.rest()
        process.wake()
        assert process.ask(do="environment")["OMP_WAIT_POLICY"] == "PASSIVE"
    with one(OMP_WAIT_POLICY="ACTIVE") as process:
        assert process.ask(do="environment")["OMP_WAIT_POLICY"] == "ACTIVE"


# The end


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt, SystemExit])
def test_no_process_is_left(error: type[BaseException] | None) -> None:
    with contextlib.suppress(error or ValueError), processes(side(), side(), time_limit_s=60) as pair:
        found = [system(process) for process in pair]
        pair[1].rest()
        if error:
            raise error
    assert [process.is_running() for process in found] == [False, False]
    assert children() == EARLIER


def test_an_end_that_fails_does_not_spare_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C once more, while the first is being ended."""
    end = Process.end

    def ends(process: Process) -> None:
        end(process)
        if process.side.threads == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Process, "end", ends)
    with pytest.raises(KeyboardInterrupt), processes(side(), replace(side(), threads=2), time_limit_s=60):
        pass
    assert children() == EARLIER


def is_gone(pid: int) -> bool:
    """Whether it has ended; what nobody has asked after yet has."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel is asked to end them")
@pytest.mark.parametrize(("name", "code"), [("SIGKILL", -9), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_no_stopped_process_outlives_the_command(name: str, code: int) -> None:
    inherited = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup the command would ignore it
    with subprocess.Popen(
        [sys.executable, "-c", WAITS_FOREVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(own_tree())},
    ) as command:
        signal.signal(signal.SIGHUP, inherited)
        assert command.stdout is not None
        found = [int(pid) for pid in command.stdout.readline().split()]
        assert [psutil.Process(pid).status() for pid in found] == [psutil.STATUS_STOPPED] * 2
        command.send_signal(getattr(signal, name))
        assert command.wait(timeout=30) == code
    deadline = time.monotonic() + 30
    while not all(map(is_gone, found)):
        assert time.monotonic() < deadline


# Answers are read by type


def test_an_answer_of_another_form_names_side_and_order() -> None:
    with one() as process:
        process.send(do="say", text='{"seconds": 0, "host": []}')
        process._asked[0] = {"do": "time"}
        with pytest.raises(SideError, match=r"^ref:main: it answered .*0.* to 'time': Expected `float` > 0"):
            process.receive()


@pytest.mark.parametrize(
    "text", ['{"seconds": NaN}', '{"seconds": Infinity}', r'{"tree": "\ud800"}', "[" * 100_000]
)
def test_what_json_does_not_have_is_no_answer(text: str) -> None:
    with one() as process:
        assert failure(process, do="say", text=text).startswith(f"ref:main: it answered {text[:60]!r}")


LEAVES_NO_TRACE = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True, env={})
print('{"pid": %d}' % child.pid, flush=True)
sys.stdin.readline()
"""


@unix
def test_a_child_of_another_session_and_an_empty_environment_is_ended(tmp_path: Path) -> None:
    script = tmp_path / "leaves.py"
    script.write_text(LEAVES_NO_TRACE)
    with processes(side(), time_limit_s=60, script=str(script)) as (process,):
        child = psutil.Process(process.receive()["pid"])
    psutil.wait_procs([child], timeout=20)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


LEAVES_CHILDREN = """
import os, sys, subprocess
code = "import time; time.sleep(600)"
kept = [subprocess.Popen([sys.executable, "-c", code])]
kept.append(subprocess.Popen([sys.executable, "-c", code], start_new_session=True))
print('{"pids": [%d, %d]}' % tuple(each.pid for each in kept), flush=True)
sys.stdin.readline()
sys.exit(3)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="their environment is asked of Linux")
def test_nothing_of_a_side_survives_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not what left its group either; and the pipe that they hold is not waited for."""
    script = tmp_path / "leaves.py"
    script.write_text(LEAVES_CHILDREN)
    monkeypatch.setattr(worker, "__file__", str(script))
    with one() as process:
        pids = process.receive()["pids"]
        assert all(map(psutil.pid_exists, pids))
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(pid).wait(timeout=10)
        assert not psutil.pid_exists(pid)
