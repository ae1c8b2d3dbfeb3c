"""A full disk: what is there stays as it was, what cannot be written is said, and no scratch takes room."""

import errno
import random
import subprocess
import tempfile
from pathlib import Path

from tools.faults import Row, campaign
from yolo_perf import files
from yolo_perf.errors import BaselineError, YoloPerfError

SIZE = 1 << 20
KIND = "writes to a full disk"


def run(budget_s: float, seed: int) -> Row:
    """`tried` counts writes to a disk of 1 MiB; none, and why, where no such disk can be mounted."""
    with tempfile.TemporaryDirectory(prefix="yolo-perf-faults-") as name:
        try:
            mounted = subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", name],
                capture_output=True,
                text=True,
                check=False,
            )
        except FileNotFoundError:
            return Row(kind=KIND, tried=0, failed=0, first="skipped: there is no mount")
        if mounted.returncode:
            return Row(kind=KIND, tried=0, failed=0, first=f"skipped: {mounted.stderr.strip()}")
        try:
            return campaign(KIND, budget_s, seed, lambda rng: _harm(Path(name), rng))
        finally:
            subprocess.run(["umount", name], check=True)


def _harm(folder: Path, rng: random.Random) -> str:
    """What went wrong where too little room is left for a file; "" where nothing did."""
    target, filler = folder / "target", folder / "filler"
    filler.unlink(missing_ok=True)
    old = rng.randbytes(rng.randrange(1, SIZE // 4))
    files.write(target, old)
    files.write(filler, bytes(SIZE - (SIZE // 4) - rng.randrange(4096, SIZE // 4)))
    try:
        _too_much(target, folder / "baselines", rng)
    except OSError as error:
        said = error.errno == errno.ENOSPC
    except YoloPerfError as error:
        said = isinstance(error, BaselineError) and "No space left on device" in str(error)
    else:
        return "what has no room was written without a word"
    if not said:
        return "another reason than the full disk was said"
    if files.read(target) != old:
        return "the earlier file was harmed"
    left = [path for path in folder.rglob("*") if path.is_file() and path not in (target, filler)]
    return f"left behind: {left[0].name}" if left else ""


def _too_much(target: Path, baselines: Path, rng: random.Random) -> None:
    """Write more than there is room for, as a result or as a baseline."""
    from tests.factories import machine, measurement, run
    from yolo_perf.archive.baselines import save_baseline
    from yolo_perf.archive.saved_run import BLOCK, block

    if rng.random() < 0.5:
        files.write(target, rng.randbytes(SIZE))
    else:
        document = {BLOCK: block(run(measurement((0.01, 0.02)))), "more": "x" * SIZE}
        save_baseline(document, baselines, machine())
