"""`yolo-perf compare`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from yolo_perf.cli.common import baselines_option
from yolo_perf.cli.completion import saved_runs
from yolo_perf.cli.output import Output, output_options
from yolo_perf.cli.terminal import say
from yolo_perf.errors import BaselineError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from yolo_perf.records import Comparison, Reference, Run

FAILED_EXIT, UNDECIDED_EXIT = 1, 3
BASIS = (
    "From session to session, so weak: nothing was measured again. pytest benchmarks/ --benchmark-compare does."
)


@click.command(short_help="Set saved runs side by side; judge two of one machine.")
@click.argument("saved", nargs=-1, required=True, shell_complete=saved_runs)
@baselines_option
@click.option("--strict", is_flag=True, help="Exit with 3 where a verdict is inconclusive or incomparable.")
@click.option(
    "--fail-on-efficiency",
    is_flag=True,
    help="Exit with 1 where a case is less efficient on a later machine than on the first.",
)
@output_options()
def compare(
    saved: tuple[str, ...], baselines: Path, strict: bool, fail_on_efficiency: bool, output: Output
) -> None:
    """Set saved runs side by side; give verdicts on two of one machine.

    SAVED are saved runs: files, names of machines in the folder of baselines, or of published references such
    as ryzen-7-6800hs. One alone stands beside the newest baseline of this machine. Of two runs of the same
    machine the second is judged against the first, and the exit code is 1 where a case is regressed or missing.
    """
    from yolo_perf.analysis.work import works_of
    from yolo_perf.archive.baselines import locate_saved
    from yolo_perf.archive.saved_run import read_saved
    from yolo_perf.records import Run
    from yolo_perf.report import compare as report
    from yolo_perf.report import plain
    from yolo_perf.verdict.compare import column, efficiency_changes

    paths = [locate_saved(name, baselines) for name in saved]
    if len(paths) == 1:
        paths.append(_own(baselines, paths[0]))
    found = [read_saved(path) for path in paths]
    for path, each in zip(paths, found, strict=True):
        if isinstance(each, Run) and not each.measurements:
            raise BaselineError(f"{path} holds no measurements of inference: there is nothing to compare.")
    columns = [column(each, works_of) for each in found]
    rows = plain.machine_rows(columns)
    output.show(lambda **style: report.machines(columns, **style), plain.machine_document(columns), rows)
    status = 0
    if fail_on_efficiency and any(each.verdict == "regressed" for each in efficiency_changes(columns)):
        status = FAILED_EXIT
    if len(saved) == 2:
        status = _judge(paths, found, baselines, output, strict=strict) or status
    sys.exit(status)


def _own(baselines: Path, other: Path) -> Path:
    """This machine's newest baseline."""
    from yolo_perf.archive.baselines import find_baseline
    from yolo_perf.machine.identity import identify
    from yolo_perf.machine.naming import describe

    machine = identify(with_torch=False)
    own = find_baseline(baselines, machine)
    if own is None:
        raise BaselineError(
            f"No baseline for this machine ({describe(machine)}) in {baselines} to set beside {other}. "
            "Record one (pytest benchmarks/ --perf-save), or name two saved runs."
        )
    return own


def _judge(
    paths: "Sequence[Path]", found: "Sequence[Run | Reference]", baselines: Path, output: Output, *, strict: bool
) -> int:
    """Verdicts on the second of two runs of one machine, told where a table is; the exit code."""
    from yolo_perf.analysis.work import works_of
    from yolo_perf.archive.histories import history_to
    from yolo_perf.archive.saved_run import require_baseline
    from yolo_perf.proof.calibration import session_rules
    from yolo_perf.records import Run
    from yolo_perf.report.tables import comparison_lines, reach, tally
    from yolo_perf.verdict.accuracy import compare_accuracy
    from yolo_perf.verdict.sessions import compare_runs, machine_differences

    base, head = found
    if not isinstance(base, Run) or not isinstance(head, Run) or machine_differences(base.machine, head.machine):
        return 0
    require_baseline(paths[0], base)
    rules = session_rules(baselines, base.machine)
    timing = compare_runs(history_to(paths[0], base), head, rules, works=works_of)
    comparisons = (*timing, *compare_accuracy(base, head))
    lines = [f"{paths[1]} against {paths[0]}: {tally(comparisons)}.", reach(comparisons), BASIS]
    lines += [line for _, line in comparison_lines(comparisons)]
    # With JSON and CSV, or into a file, the verdicts go beside it: neither form is to change by what it holds.
    aside = output.form != "table" or output.path is not None
    for line in filter(None, lines):
        say(line, err=aside)
    return exit_code(comparisons, strict=strict)


def exit_code(comparisons: "Sequence[Comparison]", *, strict: bool) -> int:
    """The exit code of verdicts: what fails comes before what is not known, and nothing compared is no pass."""
    verdicts = {each.verdict for each in comparisons}
    if any(each.fails for each in comparisons):
        return FAILED_EXIT
    if verdicts <= {"incomparable", "new"} or (strict and verdicts & {"inconclusive", "incomparable"}):
        return UNDECIDED_EXIT
    return 0
