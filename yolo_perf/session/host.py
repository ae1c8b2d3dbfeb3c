"""pytest-benchmark in a session that measures: it times, shows a table, and writes the JSON that has our block."""

import os
import re
import shlex
import sys
import warnings
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from yolo_perf.guest import FIXTURES, fixtures_of, uncaptured

if TYPE_CHECKING:
    from yolo_perf.records import Commit

TABLE = tuple(
    f"--benchmark-{word}"
    for word in ("verbose", "columns", "sort", "group-by", "name", "time-unit", "histogram", "cprofile")
)
"""Options of pytest-benchmark that say how its table is to look."""


class Host:
    """What this suite asks of pytest-benchmark. It offers no other way than its session and its hooks."""

    def __init__(self, config: pytest.Config):
        self._config = config

    @property
    def session(self) -> Any:
        """Its session. Raises pytest.UsageError where it is switched off or blocked."""
        session = getattr(self._config, "_benchmarksession", None)
        if session is None:
            raise pytest.UsageError("These benchmarks need pytest-benchmark, which is off (-p no:benchmark).")
        return session

    def quieten(self, items: list[pytest.Item]) -> None:
        """Leave out its table where it would say what ours does. What it writes and finds regressed it still says.

        The table is asked for with -v, or by any option that changes it: given here, in `addopts` or in
        $PYTEST_ADDOPTS.
        """
        given = [
            *self._config.invocation_params.args,
            *self._config.getini("addopts"),
            *shlex.split(os.environ.get("PYTEST_ADDOPTS", "")),
        ]
        asked = self._config.get_verbosity() > 0 or any(str(each).startswith(TABLE) for each in given)
        timed = [names for names in map(fixtures_of, items) if "benchmark" in names]
        if not asked and all(names & {*FIXTURES} for names in timed):
            self.session.quiet = True

    def show(self, baseline: Path, *, also: bool) -> None:
        """Let it show, and check, the baseline of this suite; `also` what it has chosen itself."""
        session = self.session
        its_own = session.compared_mapping if also else {}
        session.compare = str(baseline)
        with warnings.catch_warnings(record=True) as told, uncaptured(self._config):
            warnings.simplefilter("always")
            session.handle_loading()
            for each in told:  # as where it starts: seen, and no error of the collection
                sys.stderr.write(warnings.formatwarning(each.message, each.category, each.filename, each.lineno))
        session.compared_mapping = {**its_own, **session.compared_mapping}

    def forget(self, item: pytest.Item) -> None:
        """Take back what it timed of a test that runs again."""
        session = getattr(self._config, "_benchmarksession", None)
        if session is not None and fixtures_of(item) & {*FIXTURES}:
            session.benchmarks[:] = [each for each in session.benchmarks if each.fullname != item.nodeid]

    @cached_property
    def _commit_info(self) -> dict[str, Any]:
        """What git says of the working directory."""
        return self._config.hook.pytest_benchmark_generate_commit_info(config=self._config) or {}

    @cached_property
    def commit(self) -> "Commit":
        """The commit, where there is one."""
        from yolo_perf.records import Commit

        found = self._commit_info
        if not re.fullmatch(r"[0-9a-f]{7,64}", str(found.get("id"))):  # "unversioned" where there is no repository
            return Commit()
        return Commit(id=found["id"], branch=found.get("branch"), dirty=bool(found.get("dirty")))

    @cached_property
    def document(self) -> dict[str, Any]:
        """The finished session in its own form, without rounds: the block of this suite has them."""
        document: dict[str, Any] = self._config.hook.pytest_benchmark_generate_json(
            config=self._config,
            benchmarks=self.session.benchmarks,
            include_data=False,
            machine_info=self.session.get_machine_info(),
            commit_info=self._commit_info,
        )
        return document


def plain_machine_info(machine_info: dict[str, Any]) -> None:
    """Leave out what makes every two sessions' machines differ: momentary clock, host name, kernel build."""
    for name in ("hz_actual", "hz_actual_friendly"):
        machine_info.get("cpu", {}).pop(name, None)
    machine_info.pop("node", None)
    machine_info["release"] = str(machine_info.get("release", "")).partition("-")[0]
