"""The hooks of a session that measures, in the order of a session: pytest's, and pytest-benchmark's."""

import os
from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from yolo_perf.errors import YoloPerfError
from yolo_perf.guest import ACCURACY, BENCH, FIXTURE, FIXTURES, HeldWarnings, fixtures_of
from yolo_perf.progress import Forecast
from yolo_perf.session.ending import Ending
from yolo_perf.session.host import plain_machine_info
from yolo_perf.session.shelf import choose
from yolo_perf.session.state import PerfSession
from yolo_perf.session.terminal import Terminal

AGAINST = "yolo-perf-against"
"""The plugin of a session that compares sides: nothing is measured in this process then."""
NOTHING = f"Nothing to compare or save here: no test uses {FIXTURE}."


def spread() -> bool:
    """Whether this is one of pytest-xdist's processes, which measure nothing."""
    return "PYTEST_XDIST_WORKER" in os.environ


class Hooks:
    """A plugin of its own. A session of which no test uses this suite is as it is without it."""

    def __init__(self, state: PerfSession):
        self.state = state
        self._config = config = state.config
        self._ours = False  # whether a test of this session uses this suite: known once they are collected
        self._active = False  # whether it will measure, and end with a verdict where it is asked for one
        self._kept: Path | None = None
        self._held = HeldWarnings() if state.asked is not None else None
        if self._held:
            config.add_cleanup(partial(self._held.say, config))  # of a session that ends before it began

    def pytest_sessionstart(self) -> None:
        """Everybody has started, pytest-benchmark too."""
        if self._held:
            self._held.stop()

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """A case that was deselected is not missing."""
        self.state.collected.deselect(items)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Learn whose session this is; speak up before measuring where it asks for what cannot be had."""
        used = [(item, fixtures_of(item)) for item in session.items]
        asking = [item for item, names in used if names & {*FIXTURES}]
        self._ours = bool(asking) or any(BENCH in names for _, names in used)
        measuring = [item for item, names in used if FIXTURE in names]
        theirs = any("benchmark" in names and not names & {*FIXTURES} for _, names in used)
        if self._held:
            self._held.say(self._config) if theirs or not asking else self._held.drop()
        if self._config.option.collectonly or self._config.pluginmanager.has_plugin(AGAINST):
            return
        if not asking:
            if self._config.option.perf_save and session.items:
                raise pytest.UsageError(NOTHING)
            return
        self.state.judging = any(ACCURACY in names for _, names in used)
        if self.state.host.session.skip or spread():
            return
        self.state.host.quieten(session.items)
        self._config.pluginmanager.register(Forecast(self._config, asking), "yolo-perf-forecast")
        self._prepare(measuring, theirs=theirs)

    def _prepare(self, measuring: list[pytest.Item], *, theirs: bool) -> None:
        """Make ready to measure. Raises pytest.UsageError where that cannot be had, before anything is timed."""
        state, saves = self.state, self._config.option.perf_save
        try:
            _ = state.bench.machine
            len(state.bench.dataset)
        except YoloPerfError as error:
            raise pytest.UsageError(str(error)) from error
        if not measuring:
            if saves or (state.judges and not theirs):
                raise pytest.UsageError(NOTHING)
            return
        state.collected.collect(measuring)
        if saves and state.settings.slow_down:
            raise pytest.UsageError("--perf-save with --perf-slow-down: a drill never becomes a baseline.")
        if state.asked is not None:
            try:
                state.chosen = choose(state.asked, state.baselines)
            except YoloPerfError as error:
                raise pytest.UsageError(str(error)) from error
            state.host.show(state.chosen.path, also=theirs)
        self._check_labels()
        self._active = True

    def _check_labels(self) -> None:
        """Raise pytest.UsageError for a case that is named and that there is not."""
        settings, chosen, labels = self.state.settings, self.state.chosen, self.state.choice.labels
        for label, _ in settings.slow_down:
            if label not in labels:
                raise pytest.UsageError(f"--perf-slow-down names {label!r}, which is not measured here.")
        if chosen:
            labels |= {measurement.case.label for measurement in chosen.run.measurements}
            for label, _, _ in settings.margins:
                if label not in labels:
                    raise pytest.UsageError(
                        f"--perf-margins names {label!r}, which neither this session nor the baseline measures."
                    )

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """A test that runs again takes back what it found before."""
        self.state.results.begin(item.nodeid)
        self.state.host.forget(item)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember why a case was not measured."""
        self.state.results.missed(report)

    @pytest.hookimpl(optionalhook=True)
    def pytest_benchmark_update_machine_info(self, machine_info: dict[str, Any]) -> None:
        """Leave out what makes every two sessions' machines differ."""
        if self._ours:
            plain_machine_info(machine_info)

    @pytest.hookimpl(optionalhook=True)
    def pytest_benchmark_update_json(self, output_json: dict[str, Any]) -> None:
        """Add the versioned block. Called once for every file that is written."""
        from yolo_perf.archive.saved_run import BLOCK, block

        if self.state.results:
            output_json[BLOCK] = block(self.state.run)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """Keep the run, decide, save a baseline where asked for, set the exit status.

        Before everyone else: the JUnit file is to hold the verdicts, and what the host does now may fail.
        """
        # After Ctrl-C, -x or an internal error what was measured is kept, but decides nothing.
        ended = session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        self.state.complete = ended and not (session.shouldfail or session.shouldstop)
        ending = Ending(self.state, session)
        ending.end(active=self._active)
        self._kept = ending.kept
        return (yield)

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The tables and the verdict, after the host's own table."""
        state, results, terminal = self.state, self.state.results, Terminal(terminalreporter)
        if results:
            run = state.run
            terminalreporter.section("yolo-perf", sep="-")
            if run.measurements:
                terminal.results(run, state.comparisons)
                if state.beside:
                    terminal.beside(state.beside, run)
            terminal.also(run, self._kept, self._config.get_verbosity())
        labels = state.collected.labels
        absent = {labels[nodeid]: why for nodeid, why in results.absence.items() if nodeid in labels}
        terminal.absent(absent)
        terminal.lines(state.words)
