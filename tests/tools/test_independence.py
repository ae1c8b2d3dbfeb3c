"""The benchmark of the suite itself: what its figures are, by hand, and one small run of it."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.independence import Found, independent

ROOT = Path(__file__).parents[2]


def found(last_s: float) -> Found:
    """Three rounds of a second alone, one of them slow on both sides."""
    return Found(alone_s=(1.0, 1.0, 4.0), last_s=(last_s, last_s, 4 * last_s), alone_faults=0, last_faults=8)


def test_a_difference_is_that_of_neighbours() -> None:
    assert found(1.1).difference == pytest.approx(math.log(1.1))


def test_three_per_cent_either_way_are_independent() -> None:
    assert independent([found(1.02)])
    assert independent([found(1.05), found(1 / 1.05)])
    assert not independent([found(1.04), found(1.03)])
    assert not independent([found(0.96)])


@pytest.mark.slow
def test_a_case_alone_and_last_of_all(tmp_path: Path) -> None:
    """Not how long it takes: that both processes measure the same case, and the table says so."""
    done = subprocess.run(
        [sys.executable, "tools/independence.py", "--optimizations", "eager,onnx", "--sets", "1"],
        cwd=ROOT,
        env={**os.environ, "YOLO_PERF_CACHE": str(tmp_path / "cache")},  # its lock is no other test's
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    assert done.stdout, done.stderr
    head, eager, onnx, tally = done.stdout.splitlines()
    assert head.startswith("case")
    assert (eager.split()[0], onnx.split()[0]) == ("n-eager", "n-onnx")
    assert " of 2 within 3% (allocator keep)" in tally
