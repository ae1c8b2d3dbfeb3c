"""A pytest session that measures: its settings, its baseline, and how it ends."""

import contextlib
import importlib.util
import logging
import os
import re
import shlex
import sys
import warnings
from collections.abc import Generator, Set
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from yolo_perf import escape
from yolo_perf.errors import BaselineError, UsageError, YoloPerfError
from yolo_perf.guest import (
    ACCURACY,
    BENCH,
    FIXTURE,
    FIXTURES,
    LAYERS,
    MEMORY,
    STAGES,
    SWEEP,
    TOOK,
    HeldWarnings,
    fixtures_of,
    mistaken,
    uncaptured,
)
from yolo_perf.options import read_settings, setting_text
from yolo_perf.progress import Forecast, progress
from yolo_perf.settings import ANALYSED

if TYPE_CHECKING:
    from yolo_perf.analysis.accuracy import Judge
    from yolo_perf.analysis.bench import Bench
    from yolo_perf.proof.calibration import Calibration
    from yolo_perf.records import (
        Accuracy,
        Commit,
        Comparison,
        LayerProfile,
        Measurement,
        Memory,
        Peaks,
        Reference,
        Run,
        StageRun,
        Timed,
    )
    from yolo_perf.verdict.sessions import SessionRules

log = logging.getLogger(__name__)

HOST_TABLE = tuple(
    f"--benchmark-{word}"
    for word in ("verbose", "columns", "sort", "group-by", "name", "time-unit", "histogram", "cprofile")
)
"""Options of pytest-benchmark that say how its table is to look."""
BEST = "best"
"""Among the names of optimisations: what `yolo-perf best` found."""
LAST_RUN = "last-run.json"
NOTHING = f"Nothing to compare or save here: no test uses {FIXTURE}."
SPREAD = "pytest-xdist switches benchmarks off: nothing is measured, compared or saved. Use -n0."


class PerfSession:
    """State of one pytest session, registered as a plugin of its own.

    It costs nothing where no test measures: everything heavy hangs on `bench`, made by the first that does.
    """

    def __init__(self, config: pytest.Config):
        self.config = config
        self.settings = read_settings(config)
        if self.settings.optimizations:
            _ = self.optimizations  # names are checked now; without any, the registry need not be loaded yet
            for size in self.settings.sizes:
                self.optimizations_of(size)
        if self.settings.analysis_optimizations:
            from yolo_perf.backends.registry import choose

            choose(self.settings.analysis_optimizations)
        self.measurements: list[Measurement] = []
        self.stages: list[StageRun] = []
        self.throughput: list[Timed] = []
        self.memory: list[Memory] = []
        self.accuracy: list[Accuracy] = []
        self.layers: list[LayerProfile] = []
        self._running = ""  # the node id of the test that runs
        self._found: dict[str, list[tuple[list[Any], Any]]] = {}  # what each test found, after where that is kept
        self._judge: Judge | None = None
        self._judging = False
        self.comparisons: tuple[Comparison, ...] = ()
        self._active = False
        self._lines: list[tuple[str, str]] = []  # (markup, text) for the terminal, when it is over
        self._created = datetime.now(UTC).isoformat(timespec="seconds")
        self._collected: set[str] = set()
        self._labels: dict[str, str] = {}  # of the collected cases, as in "n-onnx"
        self._kept: Path | None = None
        self._deselected: set[str] = set()
        self._absence: dict[str, str] = {}
        self._complete = True
        self.baseline: tuple[Path, Run] | None = None
        self._history: tuple[Run, ...] = ()  # the baseline's machine's sessions up to it, oldest first
        self._calibration: Calibration | None = None
        self._peaks_after: Peaks | None = None
        self._ours = False  # whether a test of this session uses this suite: known once they are collected
        asked = config.getoption("benchmark_compare", None)
        self._asked: str | bool | None = asked if isinstance(asked, str) else bool(asked) or None
        if self._asked is not None and (mistake := mistaken(self._asked, config)):
            raise UsageError(mistake)
        self._held = HeldWarnings() if self._asked is not None else None
        if self._held:
            config.add_cleanup(partial(self._held.say, config))  # of a session that ends before it began
        if config.option.perf_save and config.getoption("dist", "no") != "no":
            raise UsageError(SPREAD)
        self._beside: Run | Reference | None = None
        if config.option.perf_beside:
            from yolo_perf.archive.baselines import locate_saved
            from yolo_perf.archive.saved_run import read_saved

            self._beside = read_saved(locate_saved(config.option.perf_beside, self._baselines))

    @cached_property
    def bench(self) -> "Bench":
        """The bench of this session."""
        from yolo_perf.analysis.bench import Bench

        return Bench(self.settings)

    @cached_property
    def optimizations(self) -> tuple[str, ...]:
        """Names of the chosen optimisations in order."""
        from yolo_perf.backends.registry import choose

        return tuple(backend.name for backend in choose(self._named))

    @property
    def _named(self) -> tuple[str, ...]:
        """The optimisations that are named by their own names."""
        return tuple(name for name in self.settings.optimizations if name != BEST)

    def optimizations_of(self, size: str) -> tuple[str, ...]:
        """The chosen optimisations of a size, "best" being what was found fastest for it on this machine.

        Raises UsageError where nothing was.
        """
        if BEST not in self.settings.optimizations:
            return self.optimizations
        from yolo_perf.backends.registry import backends
        from yolo_perf.backends.subject import find_checkpoint
        from yolo_perf.machine.identity import identify
        from yolo_perf.pairing.contest import known_best
        from yolo_perf.records import SEEDED

        named = self.optimizations if self._named else ()
        checkpoint = find_checkpoint(size, self.settings.data)
        weights = checkpoint.name if checkpoint else SEEDED
        wanted = {known_best(identify(with_torch=False), size, weights), *named}
        return tuple(name for name in backends() if name in wanted)

    def pairs_of(self, fixtures: Set[str]) -> list[tuple[str, str]]:
        """Sizes and optimisations of a test with these fixtures: all where it times inference."""
        settings = self.settings
        if FIXTURE in fixtures:
            return [(size, name) for size in settings.sizes for name in self.optimizations_of(size)]
        choices = {
            SWEEP: (settings.throughput_sizes, self.unbatched_of),
            ACCURACY: (settings.accuracy_sizes, self.optimizations_of),
            LAYERS: (settings.layers_sizes, self.layered_of),
            STAGES: (settings.stages_sizes, self.analysed_of),
            MEMORY: (settings.memory_sizes, self.analysed_of),
        }
        sizes, names_of = next(choice for fixture, choice in choices.items() if fixture in fixtures)
        return [(size, name) for size in sizes for name in names_of(size)]

    def analysed_of(self, size: str) -> tuple[str, ...]:
        """The measured optimisations that are looked into: those named for that, else those named, else two."""
        from yolo_perf.backends.registry import ALL

        settings = self.settings
        named = settings.optimizations and ALL not in settings.optimizations
        wanted = settings.analysis_optimizations or ((ALL,) if named else ANALYSED)
        return tuple(name for name in self.optimizations_of(size) if ALL in wanted or name in wanted)

    def unbatched_of(self, size: str) -> tuple[str, ...]:
        """Those looked into that are not another one at a batch: a sweep has batches of its own."""
        from yolo_perf.backends.registry import backends

        return tuple(name for name in self.analysed_of(size) if not backends()[name].batched)

    def layered_of(self, size: str) -> tuple[str, ...]:
        """Those looked into whose layers can be told apart."""
        from yolo_perf.backends.registry import backends

        return tuple(name for name in self.unbatched_of(size) if backends()[name].tells_layers)

    @cached_property
    def thread_counts(self) -> tuple[int, ...]:
        """Threads of a sweep: as asked for, else 1, 2, 4 ... and the usable cores."""
        from yolo_perf.machine.identity import identify

        if self.settings.thread_counts:
            return self.settings.thread_counts
        usable = identify(with_torch=False).usable_cores
        return (*(2**power for power in range(usable.bit_length()) if 2**power < usable), usable)

    @property
    def _baselines(self) -> Path:
        return self.config.rootpath / setting_text(self.config, "baselines")

    def _choose_baseline(self) -> None:
        """Find and read the baseline before measuring: it is better to hear of a damaged one now.

        A bare --benchmark-compare means this machine's newest; with a value, a file or the start of a number.
        Raises UsageError or BaselineError.
        """
        from yolo_perf.archive.baselines import find_baseline, machines_in
        from yolo_perf.archive.histories import history_to
        from yolo_perf.archive.saved_run import read_run, require_baseline
        from yolo_perf.machine.identity import identify
        from yolo_perf.machine.naming import describe
        from yolo_perf.proof.calibration import read_calibration

        asked = self._asked
        if asked == "":
            raise UsageError(TOOK.format(asked))
        path = Path(asked) if isinstance(asked, str) else None
        machine = identify(with_torch=False)
        if path is None or not path.is_file():
            path = find_baseline(self._baselines, machine, asked if isinstance(asked, str) else "")
        if path is None:
            others = machines_in(self._baselines)
            raise BaselineError(
                f"No baseline for this machine ({describe(machine)})"
                + (f" matches {asked!r}" if isinstance(asked, str) else "")
                + f" in {self._baselines}"
                + (f"; there are some for {', '.join(others)}" if others else "")
                + ". Record one: pytest benchmarks/ --perf-save"
            )
        run = read_run(path)
        require_baseline(path, run)
        self._history = history_to(path, run)
        self._calibration = read_calibration(self._baselines, machine)
        self.baseline = (path, run)

    def judge(self, size: str) -> "Judge":
        """Who judges the detections of a size; the previous size's judge is let go, for memory's sake."""
        from yolo_perf.analysis.accuracy import Judge

        if self._judge is None or self._judge.size != size:
            self._judge = None
            self._judge = Judge(self.bench, size, self.settings.accuracy_pictures)
        return self._judge

    def record(self, measurement: "Measurement") -> dict[str, object]:
        """Keep a measurement; its figures for pytest-benchmark's `extra_info`, in SI units."""
        from yolo_perf.analysis.figures import figures

        self.keep(self.measurements, measurement)
        return figures(measurement, self.bench.peaks)

    def keep(self, kind: list[Any], result: object) -> None:
        """Keep what the running test found, among its kind."""
        kind.append(result)
        self._found.setdefault(self._running, []).append((kind, result))

    # Hooks, in the order of a session.

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """A case that was deselected is not missing."""
        self._deselected.update(item.nodeid for item in items)

    def pytest_sessionstart(self) -> None:
        """Everybody has started, pytest-benchmark too."""
        if self._held:
            self._held.stop()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Learn whose session this is; speak up before measuring where it asks for what cannot be had."""
        used = [(item, fixtures_of(item)) for item in session.items]
        asking = [item for item, names in used if names & {*FIXTURES}]
        self._ours = bool(asking) or any(BENCH in names for _, names in used)
        measuring = [item for item, names in used if FIXTURE in names]
        theirs = [item for item, names in used if "benchmark" in names and not names & {*FIXTURES}]
        if self._held:
            self._held.say(self.config) if theirs or not asking else self._held.drop()
        if session.config.option.collectonly:
            return
        if not asking:
            if self.config.option.perf_save and session.items:
                raise pytest.UsageError(NOTHING)
            return
        self._judging = any(ACCURACY in names for _, names in used)
        host = self._host()
        if not (host.skip or self.spread):
            self._prepare(session, host, asking, measuring, bool(theirs))

    def _host(self) -> Any:
        """The session of pytest-benchmark. Raises pytest.UsageError where it is switched off or blocked."""
        host = getattr(self.config, "_benchmarksession", None)
        if host is None:
            raise pytest.UsageError("These benchmarks need pytest-benchmark, which is off (-p no:benchmark).")
        return host

    def _prepare(
        self,
        session: pytest.Session,
        host: Any,
        asking: list[pytest.Item],
        measuring: list[pytest.Item],
        theirs: bool,
    ) -> None:
        """Make ready to measure. Raises pytest.UsageError where that cannot be had, before anything is timed."""
        if self._speaks_for_host(session.items):
            host.quiet = True  # of its table alone: what it writes, and finds regressed, it still says
        self.config.pluginmanager.register(Forecast(self.config, asking), "yolo-perf-forecast")
        try:
            _ = self.bench.machine
            len(self.bench.dataset)
        except YoloPerfError as error:
            raise pytest.UsageError(str(error)) from error
        if not measuring:
            if self.config.option.perf_save or (self.judges and not theirs):
                raise pytest.UsageError(NOTHING)
            return
        self._collected.update(item.nodeid for item in measuring)
        self._labels.update((item.nodeid, _label(item)) for item in measuring)
        if self.config.option.perf_save and self.settings.slow_down:
            raise pytest.UsageError("--perf-save with --perf-slow-down: a drill never becomes a baseline.")
        if self._asked is not None:
            try:
                self._choose_baseline()
            except YoloPerfError as error:
                raise pytest.UsageError(str(error)) from error
            self._tell_host(host, also=theirs)
        self._check_labels()
        self._active = True

    @property
    def spread(self) -> bool:
        """Whether this is one of pytest-xdist's processes, which measure nothing."""
        return "PYTEST_XDIST_WORKER" in os.environ

    @property
    def judges(self) -> bool:
        """Whether this session is asked to compare or to save."""
        return self._asked is not None or bool(self.config.option.perf_save)

    def _tell_host(self, host: Any, *, also: bool) -> None:
        """Let pytest-benchmark show, and check, the baseline of this suite; `also` what it has chosen itself."""
        assert self.baseline  # noqa: S101 - chosen by now
        its_own = host.compared_mapping if also else {}
        host.compare = str(self.baseline[0])
        with warnings.catch_warnings(record=True) as told, uncaptured(self.config):
            warnings.simplefilter("always")
            host.handle_loading()
            for each in told:  # as where it starts: seen, and no error of the collection
                sys.stderr.write(warnings.formatwarning(each.message, each.category, each.filename, each.lineno))
        host.compared_mapping = {**its_own, **host.compared_mapping}

    def _speaks_for_host(self, items: list[pytest.Item]) -> bool:
        """Whether pytest-benchmark's table would say what ours does, and nobody asks for it.

        It is asked for with -v, or by any option that changes it: given here, in `addopts` or in $PYTEST_ADDOPTS.
        """
        given = [
            *self.config.invocation_params.args,
            *self.config.getini("addopts"),
            *shlex.split(os.environ.get("PYTEST_ADDOPTS", "")),
        ]
        asked = self.config.get_verbosity() > 0 or any(str(each).startswith(HOST_TABLE) for each in given)
        timed = [names for names in map(fixtures_of, items) if "benchmark" in names]
        return not asked and all(names & {*FIXTURES} for names in timed)

    def _check_labels(self) -> None:
        """Raise pytest.UsageError for a case that is named and that there is not."""
        labels = {f"{size}-{name}" for size in self.settings.sizes for name in self.optimizations}
        for label, _ in self.settings.slow_down:
            if label not in labels:
                raise pytest.UsageError(f"--perf-slow-down names {label!r}, which is not measured here.")
        if self.baseline:
            labels |= {measurement.case.label for measurement in self.baseline[1].measurements}
            for label, _, _ in self.settings.margins:
                if label not in labels:
                    raise pytest.UsageError(
                        f"--perf-margins names {label!r}, which neither this session nor the baseline measures."
                    )

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """A test that runs again, as plugins for repeated attempts make it, takes back what it found before."""
        self._running = item.nodeid
        for kind, result in self._found.pop(item.nodeid, ()):
            kind.remove(result)
        self._absence.pop(item.nodeid, None)
        host = getattr(self.config, "_benchmarksession", None)
        if host is not None and fixtures_of(item) & {*FIXTURES}:
            host.benchmarks[:] = [each for each in host.benchmarks if each.fullname != item.nodeid]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember why a case was not measured."""
        if report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            self._absence[report.nodeid] = f"skipped: {str(reason).removeprefix('Skipped: ')}"
        elif report.failed:
            self._absence[report.nodeid] = "its test failed"

    @pytest.hookimpl(optionalhook=True)
    def pytest_benchmark_update_machine_info(self, machine_info: dict[str, Any]) -> None:
        """Leave out what makes every two sessions' machines differ: momentary clock, host name, kernel build."""
        if not self._ours:
            return
        for name in ("hz_actual", "hz_actual_friendly"):
            machine_info.get("cpu", {}).pop(name, None)
        machine_info.pop("node", None)
        machine_info["release"] = str(machine_info.get("release", "")).partition("-")[0]

    @pytest.hookimpl(optionalhook=True)
    def pytest_benchmark_update_json(self, output_json: dict[str, Any]) -> None:
        """Add the versioned block. Called once for every file that is written."""
        from yolo_perf.archive.saved_run import BLOCK, block

        if self._results:
            output_json[BLOCK] = block(self.run)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """Keep the run, decide, save a baseline where asked for, set the exit status.

        Before everyone else: the JUnit file is to hold the verdicts, and what the host does now may fail.
        """
        # After Ctrl-C, -x or an internal error what was measured is kept, but decides nothing.
        ended = session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        self._complete = ended and not (session.shouldfail or session.shouldstop)
        if (
            self._active
            and self.measurements
            and self._complete
            and (self.baseline or self.config.option.perf_save)
        ):
            self._measure_peaks_again(session)
        if self._results:
            self._keep_last_run()
        if self._active:
            self._finish(session)
            self._summarise()
        return (yield)

    def _summarise(self) -> None:
        """The verdict and the table on the job's page, where this is a job of GitHub Actions."""
        from yolo_perf.summary import append_summary, wanted

        if not (wanted() and self.measurements):
            return
        from yolo_perf.report.markdown import markdown
        from yolo_perf.report.story import tell

        append_summary(markdown(tell([(Path(LAST_RUN), self.run)])))

    def _measure_peaks_again(self, session: pytest.Session) -> None:
        """What the machine can do now: a host that became slower meanwhile is not the code's fault."""
        from yolo_perf.machine.peaks import measure_peaks

        try:
            with progress(self.config):
                log.info("measuring the roofs again")
                self._peaks_after = measure_peaks(self.bench.machine, self.bench.peaks.threads)
        except KeyboardInterrupt:
            self._complete = False
            session.exitstatus = pytest.ExitCode.INTERRUPTED

    def _finish(self, session: pytest.Session) -> None:
        from yolo_perf.archive.saved_run import BLOCK, block

        if not self.measurements:
            self._nothing_measured(session)
            return
        if self.baseline and self._complete:
            self._decide(session, self.baseline[0])
            self._document[BLOCK] = block(self.run)  # what was kept before deciding, in case that was cut short
            self._keep_last_run()
        if self.config.option.perf_save:
            self._save(session)

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: "pytest.TerminalReporter") -> None:
        """The table and the verdict, after the host's own table."""
        reporter = terminalreporter
        if self._results:
            reporter.section("yolo-perf", sep="-")
        if self.measurements:
            from yolo_perf.analysis.figures import utilization
            from yolo_perf.report import tables
            from yolo_perf.report.remarks import remarks

            width, color = reporter._tw.fullwidth, reporter._tw.hasmarkup
            _write(reporter, tables.results(self.run, self.comparisons, width=max(80, width), color=color))
            above = [m.case.label for m in self.measurements if utilization(m, self.bench.peaks) > 1]
            for line in remarks(self.run):
                _write(reporter, line, yellow=True)
            if above:
                _write(reporter, f"Above the measured roof, which then met a worse moment: {', '.join(above)}")
        if self._beside and self.measurements:
            from yolo_perf.analysis.work import works_of
            from yolo_perf.report.compare import machines
            from yolo_perf.verdict.compare import column

            columns = [column(self._beside, works_of), column(self.run, works_of)]
            _write(reporter, "\n" + machines(columns, width=max(80, reporter._tw.fullwidth)))
        if self._results:
            self._write_sweeps(reporter)
        if absent := {
            self._labels[nodeid]: why for nodeid, why in self._absence.items() if nodeid in self._labels
        }:
            from yolo_perf.report.session import not_measured

            for line in not_measured(absent, width=max(80, reporter._tw.fullwidth)):
                _write(reporter, line, yellow=True)
        for markup, line in self._lines:
            _write(reporter, line, **({markup: True} if markup else {}))

    def _write_sweeps(self, reporter: "pytest.TerminalReporter") -> None:
        """What was also measured: a line each; all tables with -v, or where they are all that there is."""
        from yolo_perf.report.session import also_measured, whole_tables

        width, verbosity = max(80, reporter._tw.fullwidth), self.config.get_verbosity()
        if verbosity > 0 or not self.measurements:
            for table in whole_tables(self.run, width=width, color=reporter._tw.hasmarkup):
                _write(reporter, f"\n{table}")
        elif verbosity == 0:
            command = (
                escape.command("yolo-perf", "report", _relative(self._kept), "--tables") if self._kept else ""
            )
            if lines := also_measured(self.run, command, width=width):
                _write(reporter, lines)

    # The end of a session.

    @property
    def _results(self) -> int:
        """How many results there are to keep."""
        kinds = (self.measurements, self.stages, self.throughput, self.memory, self.accuracy, self.layers)
        return sum(len(kind) for kind in kinds)

    @cached_property
    def _commit_info(self) -> dict[str, Any]:
        """What git says of the working directory, by way of pytest-benchmark."""
        return self.config.hook.pytest_benchmark_generate_commit_info(config=self.config) or {}

    @cached_property
    def commit(self) -> "Commit":
        """The commit, where there is one."""
        from yolo_perf.records import Commit

        found = self._commit_info
        if not re.fullmatch(r"[0-9a-f]{7,64}", str(found.get("id"))):  # "unversioned" where there is no repository
            return Commit()
        return Commit(id=found["id"], branch=found.get("branch"), dirty=bool(found.get("dirty")))

    @property
    def run(self) -> "Run":
        """The session so far as a record."""
        from yolo_perf.records import Run

        return Run(
            created=self._created,
            machine=self.bench.machine,
            peaks=self.bench.peaks,
            peaks_after=self._peaks_after,
            commit=self.commit,
            data=self.bench.dataset.name,
            configuration={**self.settings.plain(), "threads": self.bench.threads},
            complete=self._complete,
            measurements=tuple(self.measurements),
            stages=tuple(self.stages),
            throughput=tuple(self.throughput),
            memory=tuple(self.memory),
            accuracy=tuple(self.accuracy),
            layers=tuple(self.layers),
            comparisons=self.comparisons,
            compared_with=self.baseline[0].name if self.comparisons and self.baseline else "",
        )

    def _say(self, text: str, markup: str = "") -> None:
        self._lines.append((markup, escape.line(text)))

    def _nothing_measured(self, session: pytest.Session) -> None:
        disabled = self.config._benchmarksession.disabled  # type: ignore[attr-defined]
        if disabled and not self.judges:
            return
        self._say("Nothing was measured: no verdict.", "red")
        if session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @cached_property
    def _document(self) -> dict[str, Any]:
        """The finished session in pytest-benchmark's own form, with the block, to be kept and to be saved."""
        host = self.config._benchmarksession  # type: ignore[attr-defined]  # the host offers no other way
        document: dict[str, Any] = self.config.hook.pytest_benchmark_generate_json(
            config=self.config,
            benchmarks=host.benchmarks,
            include_data=False,  # the block has the rounds
            machine_info=host.get_machine_info(),
            commit_info=self._commit_info,
        )
        self.pytest_benchmark_update_json(output_json=document)
        return document

    def _keep_last_run(self) -> None:
        from yolo_perf.archive.saved_run import write_document

        cache = getattr(self.config, "cache", None)
        try:
            if cache is None:
                raise OSError("pytest's cache is switched off")
            path = Path(cache.mkdir("yolo-perf")) / LAST_RUN
            write_document(self._document, path)
            self._kept = path
        except (OSError, ValueError, TypeError) as error:
            self._say(f"This run could not be kept: {error}.", "red")
            return
        if not self._complete:
            kept = f"{self._results} cases were measured and kept in {path}"
            self._say(f"Interrupted: {kept}. No verdict; no baseline was touched.", "yellow")

    @property
    def _rules(self) -> "SessionRules":
        from yolo_perf.proof.calibration import with_noise
        from yolo_perf.verdict.sessions import SessionRules

        rules = SessionRules(
            latency_margin=self.settings.latency_margin,
            utilization_margin=self.settings.utilization_margin,
            margins=self.settings.margins,
        )
        return with_noise(rules, self._calibration)

    def _decide(self, session: pytest.Session, path: Path) -> None:
        from yolo_perf.analysis.work import works_of
        from yolo_perf.report.tables import comparison_lines, reach, tally
        from yolo_perf.verdict.sessions import compare_runs

        run = self.run
        found = compare_runs(
            self._history, run, self._rules, works=works_of, expected=self._expected, absence=self._absence
        )
        timing, interrupted = self._confirm(found, run)
        self.comparisons = (*timing, *self._compare_accuracy(run))
        self._say(f"Compared with {_relative(path)}: {tally(self.comparisons)}.")
        if seen := reach(self.comparisons):
            self._say(seen)
        for verdict, line in comparison_lines(self.comparisons):
            self._say(line, {"regressed": "red", "missing": "red", "improved": "green"}.get(verdict, "yellow"))
        strict = ("inconclusive", "incomparable") if self.settings.strict else ()
        failing = [each for each in self.comparisons if each.fails or each.verdict in strict]
        undecided = all(c.verdict in ("incomparable", "new", "missing") for c in self.comparisons)
        if undecided and not failing:
            self._say("No case could be compared: that is no pass.", "red")
        if failing or undecided:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        self._report(failing)
        if interrupted:
            self._say("Interrupted: what was suspected and not yet confirmed is inconclusive.", "yellow")
            session.exitstatus = pytest.ExitCode.INTERRUPTED

    def _compare_accuracy(self, run: "Run") -> "tuple[Comparison, ...]":
        """The verdicts on what is detected; no timing, so nothing to confirm."""
        from yolo_perf.verdict.accuracy import compare_accuracy, missing_accuracy

        base = self._history[-1]
        asked = self.settings.accuracy_sizes if self._judging else ()
        return (*compare_accuracy(base, run), *missing_accuracy(base, run, asked))

    def _confirm(self, found: "tuple[Comparison, ...]", run: "Run") -> "tuple[tuple[Comparison, ...], bool]":
        """The verdicts once the suspects have been measured again, and whether that was interrupted."""
        if all(comparison.verdict != "regressed" for comparison in found):
            return found, False  # nothing of what starts processes is loaded
        from yolo_perf.pairing.arena import Setup
        from yolo_perf.pairing.confirm import Grounds, confirm

        settings = self.settings
        setup = Setup(
            sizes=(),
            optimizations=(),
            data=settings.data,
            image_size=settings.image_size,
            batch=settings.batch,
            threads=self.bench.threads,
            allocator=settings.allocator,
        )
        grounds = Grounds(
            history=self._history,
            head=run,
            rules=self._rules,
            setup=setup,
            slow_down=settings.slow_down,
            floors=self._calibration.paired_floors if self._calibration else {},
        )
        with progress(self.config):
            confirmation = confirm(found, grounds, settings.confirm)
        return confirmation.comparisons, confirmation.interrupted

    def _report(self, failing: "list[Comparison]") -> None:
        """Failing verdicts as failed reports: the summary and JUnit show them like any other failure."""
        by_case: dict[tuple[str, str], list[str]] = {}
        for comparison in failing:
            key = (comparison.nodeid.partition("::")[0], comparison.label)
            by_case.setdefault(key, []).append(escape.line(f"{comparison.verdict.upper()}: {comparison.reason}"))
        for (file, label), reasons in by_case.items():
            report = pytest.TestReport(
                nodeid=escape.line(f"{file}::gate[{label}]"),
                location=(escape.line(file), None, escape.line(f"gate[{label}]")),
                keywords={},
                outcome="failed",
                longrepr=_Reasons("\n".join(reasons)),  # type: ignore[arg-type]  # what pytest asks of one it has
                when="call",
            )
            self.config.hook.pytest_runtest_logreport(report=report)

    def _save(self, session: pytest.Session) -> None:
        """Promotion is explicit, and only of a whole session that passed."""
        from yolo_perf.analysis.conditions import doubts
        from yolo_perf.archive.baselines import save_baseline

        if not self._complete or session.exitstatus != pytest.ExitCode.OK:
            self._say("Not saved as a baseline: the session did not pass as a whole.", "red")
            return
        open_ones = sorted(
            {each.label for each in self.comparisons if each.suspected and each.verdict == "inconclusive"}
        )
        if open_ones:
            self._say(f"Not saved as a baseline: {', '.join(open_ones)}: suspected and not cleared.", "red")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            return
        doubt = doubts(self.measurements)
        if doubt and not self.config.option.perf_save_anyway:
            self._say(f"Not saved as a baseline: {doubt}, or ask again: --perf-save --perf-save-anyway.", "red")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            return
        lost = self._lost_by_saving()
        if lost:
            self._say(f"Not saved as a baseline: {lost}", "red")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            return
        try:
            path = save_baseline(self._document, self._baselines, self.bench.machine)
        except BaselineError as error:
            self._say(str(error), "red")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            return
        self._say(f"Saved as this machine's baseline: {_relative(path)}")
        if self.commit.id is None:
            from yolo_perf.pairing.sides import why_no_commit

            why = why_no_commit(self.config.rootpath)
            self._say(
                f"It names no commit, so what it suspects cannot be measured in pairs with it: {why}", "yellow"
            )

    def _lost_by_saving(self) -> str:
        """What the gate would no longer see if this session became the baseline; "" where nothing."""
        from yolo_perf.archive.baselines import find_baseline
        from yolo_perf.archive.saved_run import read_run

        path = find_baseline(self._baselines, self.bench.machine)
        if path is None:
            return ""
        try:
            before = {measurement.case.label for measurement in read_run(path).measurements}
        except BaselineError as error:
            return str(error)
        lost = sorted(before - {measurement.case.label for measurement in self.measurements})
        return f"{_relative(path)} has {', '.join(lost)} too. Measure those as well, or remove it." if lost else ""

    def _at(self, argument: str) -> list[Path]:
        """Where the tests are that an argument of pytest's names: a path, or a package with --pyargs."""
        path = (self.config.invocation_params.dir / argument).resolve()
        if not self.config.option.pyargs or path.exists():
            return [path]
        with contextlib.suppress(ImportError, ValueError):
            if spec := importlib.util.find_spec(argument):
                return [Path(each).resolve() for each in spec.submodule_search_locations or [spec.origin or ""]]
        return []

    def _expected(self, measurement: "Measurement") -> bool:
        """Whether this session was asked for a baseline's case.

        A case whose test was collected was; one whose test is no more, too, unless it was deselected or other
        files, sizes or optimisations were named.
        """
        nodeid, settings = measurement.nodeid, self.settings
        if nodeid in self._collected:
            return True
        name = nodeid.partition("::")[0]
        file = (self.config.rootpath / name).resolve()
        arguments = [
            place for argument in self.config.args if "::" not in argument for place in self._at(argument)
        ]
        return (
            nodeid not in self._deselected
            and measurement.case.size in settings.sizes
            and (not settings.optimizations or measurement.case.backend in settings.optimizations)
            # An installed test's node id begins at the package that pytest was given.
            and any(file.is_relative_to(place) or (place / name).is_file() for place in arguments)
        )


class _Reasons:
    """A failure without a traceback, as every pytest from 8 on shows and shortens one."""

    def __init__(self, text: str):
        self.reprcrash = SimpleNamespace(message=text)

    def __str__(self) -> str:
        return self.reprcrash.message  # type: ignore[no-any-return]

    def toterminal(self, tw: Any) -> None:
        tw.line(str(self))


def _write(reporter: "pytest.TerminalReporter", text: str, **markup: bool) -> None:
    """Write a text of ours on pytest's terminal: nothing in it is a command there, or in a log."""
    reporter.write_line(escape.terminal(text, color=reporter._tw.hasmarkup), **markup)


def _relative(path: Path) -> Path:
    """The path below the working directory, where it is there."""
    with contextlib.suppress(ValueError):
        return path.resolve().relative_to(Path.cwd())
    return path


def _label(item: pytest.Item) -> str:
    """The label of an item's case: "n-onnx"; its name where its parameters do not tell."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    return "-".join(str(parameters[name]) for name in ("size", "optimization") if name in parameters) or item.name
