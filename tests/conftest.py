"""In continuous integration a skip that nobody has agreed to is a failure: see `skips`."""

from .skips import pytest_make_collect_report, pytest_runtest_makereport

__all__ = ["pytest_make_collect_report", "pytest_runtest_makereport"]
