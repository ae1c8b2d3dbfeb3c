"""Four that write one file at once, and readers beside them: each reads one writer's whole content."""

import multiprocessing
import tempfile
import time
from pathlib import Path

from tools.faults import Row
from yolo_perf import files

SIZE = 200_000


def run(budget_s: float, seed: int) -> Row:
    """`tried` counts what was written and read, `failed` what failed, was torn, or was left behind."""
    with tempfile.TemporaryDirectory(prefix="yolo-perf-faults-") as name:
        target = Path(name) / "target"
        files.write(target, _content(seed % 4))
        ends = time.time() + budget_s
        with multiprocessing.get_context("spawn").Pool(6) as pool:
            jobs = [pool.apply_async(_write, (target, number, ends)) for number in range(4)]
            jobs += [pool.apply_async(_read, (target, ends)) for _ in range(2)]
            found = [job.get() for job in jobs]
        left = len(list(target.parent.iterdir())) - 1
    first = next((words for _, _, words in found if words), f"{left} files were left behind" if left else "")
    return Row(
        kind="four writers of one file, two readers",
        tried=sum(tried for tried, _, _ in found),
        failed=sum(failed for _, failed, _ in found) + left,
        first=first,
    )


def _content(number: int) -> bytes:
    return bytes([number]) * SIZE


def _write(target: Path, number: int, ends: float) -> tuple[int, int, str]:
    tried, failed, first = 0, 0, ""
    while time.time() < ends:
        tried += 1
        try:
            files.write(target, _content(number))
        except OSError as error:
            failed, first = failed + 1, first or f"a writer: {error}"
    return tried, failed, first


def _read(target: Path, ends: float) -> tuple[int, int, str]:
    tried, failed, first = 0, 0, ""
    whole = {_content(number) for number in range(4)}
    while time.time() < ends:
        tried += 1
        try:
            torn = files.read(target) not in whole
        except OSError as error:
            torn, first = True, first or f"a reader: {error}"
        if torn:
            failed, first = failed + 1, first or "a torn file was read"
    return tried, failed, first
