"""Signals at random moments of a paired measurement: what was measured is kept, and no process is left."""

import json
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.faults import Row, campaign

COMMAND = (
    "ab",
    "--head",
    "threads:1",
    "--sizes",
    "n",
    "--optimizations",
    "onnx",
    "--image-size",
    "64",
    "--threads",
    "1",
)
EXITS = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}
START_S, MOST_S = 5.0, 25.0


def run(budget_s: float, seed: int) -> Row:
    """`tried` counts signals; one that came after the end counts too, and has to change nothing."""
    with tempfile.TemporaryDirectory(prefix="yolo-perf-faults-") as name:

        def attempt(rng: random.Random) -> str:
            which = rng.choice(sorted(EXITS))
            harm = _harm(Path(name) / "pairs.json", which, rng.uniform(START_S, MOST_S))
            return f"{which}: {harm}" if harm else ""

        return campaign("signals while pairs are measured", budget_s, seed, attempt)


def _harm(path: Path, which: str, after_s: float) -> str:
    path.unlink(missing_ok=True)
    command = [sys.executable, "-c", "from yolo_perf.cli import main; main()", *COMMAND, "--json", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            child.communicate(timeout=after_s)
        except subprocess.TimeoutExpired:
            child.send_signal(getattr(signal, which))
        try:
            _, said = child.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            child.kill()
            return "over 20 s"
    if "Traceback" in said:
        return said.strip().splitlines()[-1][:200]
    if child.returncode not in (0, EXITS[which]):
        return f"exit status {child.returncode}"
    if path.exists():
        json.loads(path.read_text(encoding="utf-8"))
    elif "screen" in said and any(f"screen {n}/" in said for n in range(1, 7)):
        return "the pairs were lost"
    return ""
