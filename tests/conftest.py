"""In continuous integration a skip that nobody has agreed to is a failure: see `skips`."""

import gc
import os

from .skips import pytest_make_collect_report, pytest_runtest_makereport

__all__ = ["pytest_make_collect_report", "pytest_runtest_makereport"]

# Several processes run tests on the same cores: threads of one that wait are not to spin there. Ahead of torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def pytest_sessionstart() -> None:
    """Sessions that a test begins are no workers of the one that runs it."""
    for name in [name for name in os.environ if name.startswith("PYTEST_XDIST_")]:
        del os.environ[name]


def pytest_collection_finish() -> None:
    """What is imported by now stays: the thousands of collections of garbage to come need not look through it."""
    gc.freeze()
