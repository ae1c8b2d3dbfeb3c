"""`pytest --perf-against SIDE`: collected benchmarks are not run here but compared with another side, in pairs."""

import os
import random
import sys
from collections.abc import Generator, Sequence
from dataclasses import replace
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from yolo_perf import escape
from yolo_perf.errors import UsageError, YoloPerfError
from yolo_perf.guest import BENCH, FIXTURES, fixtures_of
from yolo_perf.progress import progress
from yolo_perf.session.arguments import options_of, places_of
from yolo_perf.session.state import PerfSession
from yolo_perf.session.terminal import Reasons, Terminal, report
from yolo_perf.signals import exit_status
from yolo_perf.summary import append_pairs

if TYPE_CHECKING:
    from yolo_perf.archive.result import Result
    from yolo_perf.pairing.sides import Side
    from yolo_perf.pairing.suites import Ground
    from yolo_perf.verdict.gate import Decision, Rules

TIME_LIMIT_S = 300.0
"""In which a side must answer each order."""
NO_TEST = "Nothing to compare: no collected test uses pytest-benchmark's fixture `benchmark`."
NOT_BOTH = "--perf-against times every benchmark on two sides, and nothing else: leave out {}."


def is_side() -> bool:
    """Whether this process is a side of a comparison: it is asked, and asks for none."""
    from yolo_perf.pairing.processes import MARK

    return MARK in os.environ


class Against:
    """The plugin of such a session."""

    def __init__(self, state: PerfSession):
        """Raises UsageError for a side that there is not, or options that exclude each other."""
        self._state = state
        self._config = config = state.config
        self._result: Result | None = None
        self._failure = ""
        option = config.option
        if not hasattr(option, "benchmark_disable"):
            raise UsageError("--perf-against times with pytest-benchmark, which is off (-p no:benchmark).")
        taken = {
            "--benchmark-compare": state.asked is not None,
            "--perf-save": option.perf_save,
            "-n (pytest-xdist)": config.getoption("dist", "no") != "no",
            "--benchmark-disable": option.benchmark_disable,
            "--benchmark-skip": option.benchmark_skip,
        }
        if wrong := [name for name, given in taken.items() if given]:
            raise UsageError(NOT_BOTH.format(", ".join(wrong)))
        folder = config.invocation_params.dir
        self._beside = bool({"", str(folder), str(folder.resolve())} & {*sys.path})
        self._rules = self._ruled()
        self._sides = self._parsed(option.perf_against)

    def _ruled(self) -> "Rules":
        from yolo_perf.verdict.gate import Rules

        rules = Rules().with_pairs(self._config.option.perf_pairs)
        rules.check(1)
        return rules

    def _parsed(self, words: Sequence[str]) -> "tuple[Side, Side]":
        from yolo_perf.pairing.sides import THREADS, Side, parse_side, top_of

        folder = self._config.invocation_params.dir
        # Another folder stands for this one; a commit, an interpreter and the rest for all of the work tree.
        self._tree = folder.resolve() if any(word.startswith("path:") for word in words) else top_of(folder)
        base = parse_side(words, folder, whole=self._tree)
        if any(each.kind == "convolution" for each in base.inject):
            raise UsageError(
                "inject:convolution is for this suite's own cases; a test takes spin or intermittent."
            )
        if base.threads:
            counted = tuple((name, str(base.threads)) for name in THREADS)
            base = replace(base, environment=(*base.environment, *counted))
        return base, Side(name="this session", tree=self._tree, python=Path(sys.executable))

    # Hooks, in the order of a session.

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """A test that measures nothing is no case."""
        others = [item for item in items if "benchmark" not in fixtures_of(item)]
        if others:
            items[:] = [item for item in items if "benchmark" in fixtures_of(item)]
            config.hook.pytest_deselected(items=others)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Compare, and report each test as what was decided on it."""
        option = self._config.option
        if option.collectonly or (session.testsfailed and not option.continue_on_collection_errors):
            return None
        if not session.items:
            raise pytest.UsageError(NO_TEST)
        from yolo_perf.verdict.gate import TAIL

        try:
            with progress(self._config):
                self._result = self._compared(session.items)
        except YoloPerfError as error:
            self._failure = str(error)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            return True
        decided: dict[str, list[Decision]] = {}
        for decision in self._result.decisions:
            decided.setdefault(decision.label.removesuffix(TAIL), []).append(decision)
        for item in session.items:
            self._report(item.nodeid, item.location, decided.pop(item.nodeid, []))
        for label, decisions in decided.items():  # of tests that this session has not, and of the suite
            if any(each.fails for each in decisions):
                self._report(label, (label.partition("::")[0], None, label), decisions)
        return True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """The exit status: that of `yolo-perf ab`."""
        if self._failure:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        elif self._result is not None:
            self._keep(self._result)
            status = exit_status(self._result.status(strict=self._state.settings.strict))
            failed = session.testsfailed or self._failure  # what could not be collected, or written, too
            session.exitstatus = status or (pytest.ExitCode.TESTS_FAILED if failed else pytest.ExitCode.OK)
        return (yield)

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The table, as `yolo-perf ab` prints it."""
        terminal = Terminal(terminalreporter)
        if self._result is not None:
            terminalreporter.section("yolo-perf", sep="-")
            terminal.paired(self._result)
        if self._failure:
            terminal.write(escape.line(self._failure), red=True)

    # The comparison

    def _compared(self, items: Sequence[pytest.Item]) -> "Result":
        from yolo_perf.archive.result import compared
        from yolo_perf.pairing.processes import alone
        from yolo_perf.pairing.suites import Suites
        from yolo_perf.signals import ended_by_signals

        base, head = self._sides
        with alone(), ended_by_signals():
            suites = Suites(base, head, self._ground(items), time_limit_s=TIME_LIMIT_S, rng=random.Random())  # noqa: S311
            return compared(suites, self._rules, setup=None)

    def _keep(self, result: "Result") -> None:
        """On the job's page, where this is a job of GitHub Actions, and in the file that was asked for."""
        from yolo_perf.archive.saved_run import write_document
        from yolo_perf.report.paired import document

        plain = document(result)
        append_pairs(plain)
        if name := self._config.option.perf_against_json:
            path = self._config.invocation_params.dir / name
            try:
                write_document(plain, path)
            except OSError as error:
                self._failure = f"Cannot write {path}: {error.strerror or error}."

    def _ground(self, items: Sequence[pytest.Item]) -> "Ground":
        from yolo_perf.pairing.suites import Ground

        places, named = places_of(self._config)
        ours = any(fixtures_of(item) & {*FIXTURES, BENCH} for item in items)
        if ours and self._sides[0].threads:
            raise UsageError("threads: has no effect on this suite's own cases here: yolo-perf ab has it.")
        return Ground(
            tree=self._tree,
            folder=self._config.invocation_params.dir.resolve(),
            options=tuple(options_of(self._config, ours=ours)),
            places=places,
            tests=tuple(item.nodeid for item in items),
            named=named,
            beside=self._beside,
            libraries=tuple(sorted({name for names in packages_distributions().values() for name in names})),
        )

    def _report(self, nodeid: str, location: tuple[str, int | None, str], decisions: "Sequence[Decision]") -> None:
        """A test's verdicts as its outcome: what cannot be compared is skipped, unless it is to fail."""
        strict = ("inconclusive", "incomparable") if self._state.settings.strict else ()
        failing = [each for each in decisions if each.fails or each.verdict in strict]
        skipped = not failing and all(each.verdict == "incomparable" for each in decisions)
        words = "\n".join(escape.line(f"{each.verdict.upper()}: {each.reason}") for each in failing or decisions)
        if failing:
            report(self._config, nodeid, location, "failed", Reasons(words))
        elif skipped:
            report(self._config, nodeid, location, "skipped", (location[0], location[1] or 0, words))
        else:
            report(self._config, nodeid, location, "passed")
