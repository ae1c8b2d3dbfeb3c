"""What a session says when it is over: tables, remarks, verdicts; and failing verdicts as failed reports."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

import pytest

from yolo_perf import escape

if TYPE_CHECKING:
    from yolo_perf.archive.result import Result
    from yolo_perf.records import Comparison, Reference, Run

LEAST_WIDTH = 80
COLORS = {"regressed": "red", "missing": "red", "improved": "green"}


class Words:
    """Lines for the terminal, kept until the session is over."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []  # (markup, text)

    def say(self, text: str, markup: str = "") -> None:
        """One line."""
        self.lines.append((markup, escape.line(text)))

    def verdicts(self, path: Path, comparisons: "Sequence[Comparison]", *, undecided: bool, failing: bool) -> None:
        """The verdicts against a baseline."""
        from yolo_perf.report.tables import comparison_lines, reach, tally

        self.say(f"Compared with {relative(path)}: {tally(comparisons)}.")
        if seen := reach(comparisons):
            self.say(seen)
        for verdict, line in comparison_lines(comparisons):
            self.say(line, COLORS.get(verdict, "yellow"))
        if undecided and not failing:
            self.say("No case could be compared: that is no pass.", "red")


class Terminal:
    """pytest's terminal. Nothing in what is written is a command there, or in a log."""

    def __init__(self, reporter: pytest.TerminalReporter):
        self._reporter = reporter

    @property
    def _color(self) -> bool:
        return self._reporter._tw.hasmarkup

    @property
    def _width(self) -> int:
        return max(LEAST_WIDTH, self._reporter._tw.fullwidth)

    def write(self, text: str, **markup: bool) -> None:
        """A text of ours."""
        self._reporter.write_line(escape.terminal(text, color=self._color), **markup)

    def results(self, run: "Run", comparisons: "Sequence[Comparison]") -> None:
        """The table of inference, and remarks on it."""
        from yolo_perf.analysis.figures import utilization
        from yolo_perf.report import tables
        from yolo_perf.report.remarks import remarks

        self.write(tables.results(run, comparisons, width=self._width, color=self._color))
        for line in remarks(run):
            self.write(line, yellow=True)
        if above := [m.case.label for m in run.measurements if utilization(m, run.peaks) > 1]:
            self.write(f"Above the measured roof, which then met a worse moment: {', '.join(above)}")

    def beside(self, other: "Run | Reference", run: "Run") -> None:
        """Another machine's figures beside this run's."""
        from yolo_perf.analysis.work import works_of
        from yolo_perf.report.compare import machines
        from yolo_perf.verdict.compare import column

        columns = [column(other, works_of), column(run, works_of)]
        self.write("\n" + machines(columns, width=self._width))

    def also(self, run: "Run", kept: Path | None, verbosity: int) -> None:
        """What was also measured: a line each; all tables with -v, or where they are all that there is."""
        from yolo_perf.report.session import also_measured, whole_tables

        if verbosity > 0 or not run.measurements:
            for table in whole_tables(run, width=self._width, color=self._color):
                self.write(f"\n{table}")
        elif verbosity == 0:
            command = escape.command("yolo-perf", "report", relative(kept), "--tables") if kept else ""
            if lines := also_measured(run, command, width=self._width):
                self.write(lines)

    def paired(self, result: "Result") -> None:
        """The table of a paired comparison."""
        from yolo_perf.report.paired import paired

        self.write(paired(result, width=self._width, color=self._color))

    def absent(self, reasons: Mapping[str, str]) -> None:
        """What was not measured, and why."""
        if not reasons:
            return  # nothing is loaded in others' sessions
        from yolo_perf.report.session import not_measured

        for line in not_measured(reasons, width=self._width):
            self.write(line, yellow=True)

    def lines(self, words: Words) -> None:
        """What was kept to be said now."""
        for markup, line in words.lines:
            self.write(line, **({markup: True} if markup else {}))


def report_failures(config: pytest.Config, failing: "Iterable[Comparison]") -> None:
    """Failing verdicts as failed reports: the summary and JUnit show them like any other failure."""
    by_case: dict[tuple[str, str], list[str]] = {}
    for comparison in failing:
        key = (comparison.nodeid.partition("::")[0], comparison.label)
        by_case.setdefault(key, []).append(escape.line(f"{comparison.verdict.upper()}: {comparison.reason}"))
    for (file, label), reasons in by_case.items():
        nodeid = f"{file}::gate[{label}]"
        report(config, nodeid, (file, None, f"gate[{label}]"), "failed", Reasons("\n".join(reasons)))


def report(
    config: pytest.Config,
    nodeid: str,
    location: tuple[str, int | None, str],
    outcome: Literal["passed", "failed", "skipped"],
    why: "Reasons | tuple[str, int, str] | None" = None,
) -> None:
    """Tell pytest of an outcome as it does itself of a test's; `why` has the form that it asks of that outcome."""
    file, line, domain = location
    told = pytest.TestReport(
        nodeid=escape.line(nodeid),
        location=(escape.line(file), line, escape.line(domain)),
        keywords={},
        outcome=outcome,
        longrepr=why,  # type: ignore[arg-type]  # what pytest asks of a failure, `Reasons` has
        when="call",
    )
    config.hook.pytest_runtest_logreport(report=told)


class Reasons:
    """A failure without a traceback, as every pytest from 8 on shows and shortens one."""

    def __init__(self, text: str):
        self.reprcrash = SimpleNamespace(message=text)

    def __str__(self) -> str:
        return self.reprcrash.message  # type: ignore[no-any-return]

    def toterminal(self, tw: Any) -> None:
        """Write it."""
        tw.line(str(self))


def relative(path: Path) -> Path:
    """The path below the working directory, where it is there."""
    with contextlib.suppress(ValueError):
        return path.resolve().relative_to(Path.cwd())
    return path
