"""Sides that answer what no side does: each is a SideError in time, and nothing of it survives."""

import contextlib
import random
import sys
import tempfile
import time
from pathlib import Path

from tools.faults import Row, campaign
from yolo_perf.pairing.processes import MARK, Process, SideError, processes
from yolo_perf.pairing.sides import Side, own_tree

LIMIT_S = 3.0
FIRST_LINES = """import os, subprocess, sys, time
SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
sys.stdin.readline()
"""
BAD = {
    "silence": "time.sleep(600)",
    "its end": "sys.exit(3)",
    "its own kill": "os.kill(os.getpid(), 9)",
    "no JSON": "print('hello', flush=True)",
    "an empty object": "print('{}', flush=True)",
    "text for seconds": 'print(\'{"seconds": "1", "host": [0, 0, 0, 0, 0]}\', flush=True)',
    "NaN": 'print(\'{"seconds": NaN, "host": [0, 0, 0, 0, 0]}\', flush=True)',
    "a negative time": 'print(\'{"seconds": -1, "host": [0, 0, 0, 0, 0]}\', flush=True)',
    "NaN of the system": 'print(\'{"seconds": 1, "host": [NaN, 0, 0, 0, 0]}\', flush=True)',
    "too little of the system": 'print(\'{"seconds": 1, "host": [0]}\', flush=True)',
    "half a pair of surrogates": 'print(\'{"seconds": 1, "host": "\\\\ud800"}\', flush=True)',
    "a flood": "subprocess.Popen(['yes'])",
    "a child without environment": "subprocess.Popen(SLEEPER, start_new_session=True, env={})",
    "a list": "print('[1]', flush=True)",
    "brackets": "print('[' * 100000, flush=True)",
    "megabytes on stderr": "sys.stderr.write('x' * 5_000_000); sys.exit(1)",
    "half a line": "sys.stdout.write('{\"seco'); sys.stdout.flush(); time.sleep(600)",
    "a child that holds the pipe": "subprocess.Popen(SLEEPER); sys.exit(1)",
    "a daemon": "subprocess.Popen(SLEEPER, start_new_session=True); sys.exit(1)",
    "a stopped child": "os.kill(subprocess.Popen(SLEEPER).pid, 19); sys.exit(1)",
    "bytes that are no text": "sys.stdout.buffer.write(b'\\xff\\xfe\\n'); sys.stdout.flush()",
}


def run(budget_s: float, seed: int) -> Row:
    """`tried` counts sides."""
    with tempfile.TemporaryDirectory(prefix="yolo-perf-faults-") as name:
        script = Path(name) / "side.py"

        def attempt(rng: random.Random) -> str:
            words = rng.choice(sorted(BAD))
            script.write_text(f"{FIRST_LINES}{BAD[words]}\ntime.sleep(600)\n")
            harm = _harm(str(script), rest=rng.random() < 0.3)
            return f"{words}: {harm}" if harm else ""

        return campaign("bad sides", budget_s, seed, attempt)


def _harm(script: str, *, rest: bool) -> str:
    side = Side(name="bad", tree=own_tree(), python=Path(sys.executable))
    started = time.monotonic()
    marks: list[str] = []
    try:
        with processes(side, time_limit_s=LIMIT_S, script=script) as (process,):
            marks.append(process._mark)
            _ask(process, rest=rest)
        return "it was taken for an answer"
    except SideError as error:
        said = str(error)
    if not said.startswith("bad: ") or "\n" in said or len(said) > 1000:
        return f"said {said[:100]!r}"
    if time.monotonic() - started > 20:
        return "over 20 s"
    return _survivors(marks[0])


def _ask(process: Process, *, rest: bool) -> None:
    process.send(do="time", label="n-eager", warmup=0)
    if rest:
        process.rest()
        process.wake()
    process.receive()


def _survivors(mark: str) -> str:
    import psutil

    time.sleep(0.1)
    for each in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if each.environ().get(MARK) == mark and each.status() != psutil.STATUS_ZOMBIE:
                return f"{each.pid} survived"
    return ""
