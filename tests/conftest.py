"""In continuous integration a skip that nobody has agreed to is a failure: see `skips`."""

import gc

from .skips import pytest_make_collect_report, pytest_runtest_makereport


def pytest_collection_finish() -> None:
    """What is imported by now stays: the thousands of collections of garbage to come need not look through it."""
    gc.freeze()


__all__ = ["pytest_make_collect_report", "pytest_runtest_makereport"]
