"""SIGKILL at random moments of what writes: no torn file, and nothing left once another has written there."""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tools.faults import Row, campaign
from yolo_perf import files

WRITER = """
import sys, time
from pathlib import Path
from yolo_perf import files
from yolo_perf.archive.baselines import save_baseline
from yolo_perf.archive.saved_run import BLOCK, block
from tests.factories import machine, measurement, run
folder = Path(sys.argv[1])
document = {BLOCK: block(run(*(measurement((0.01,) * 2000, threads=n) for n in range(1, 40))))}
print("ready", flush=True)
while True:
    files.write(folder / "target", b"a" * 2_000_000)
    with files.scratch(folder) as scratch:
        scratch.mkdir()
        (scratch / "artefact").write_bytes(b"b" * 1_000_000)
        (scratch / "artefact").replace(folder / "artefact")
    save_baseline(document, folder / "baselines", machine())
"""


def run(budget_s: float, seed: int) -> Row:
    """`tried` counts kills."""
    with tempfile.TemporaryDirectory(prefix="yolo-perf-faults-") as name:
        return campaign("kills while writing", budget_s, seed, lambda rng: _harm(Path(name), rng))


def _harm(folder: Path, rng: random.Random) -> str:
    """What a kill left that it must not; "" where that is nothing."""
    from yolo_perf.archive.saved_run import read_run
    from yolo_perf.errors import BaselineError

    _kill_one(folder, rng)
    harms = []
    if (folder / "target").exists() and files.read(folder / "target") != b"a" * 2_000_000:
        harms.append("a torn file")
    for place in (folder, *folder.glob("baselines/*")):
        files.clean(place)
        harms += [f"left behind: {path.name}" for path in place.glob(files.PATTERN)]
    for path in folder.glob("baselines/*/*.json"):
        try:
            read_run(path)
        except BaselineError as error:
            harms.append(str(error)[:200])
        path.unlink()
    return "; ".join(harms)


def _kill_one(folder: Path, rng: random.Random) -> None:
    command = [sys.executable, "-c", WRITER, str(folder)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(rng.uniform(0.0, 0.3))
        writer.send_signal(signal.SIGKILL)
