"""`yolo-perf ab`."""

import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from yolo_perf import settings as parse
from yolo_perf.cli.common import baselines_option, checked, paired_options, paired_setup
from yolo_perf.cli.output import Output, check_writable
from yolo_perf.errors import UsageError

if TYPE_CHECKING:
    from yolo_perf.pairing.arena import Arena
    from yolo_perf.pairing.sides import Side
    from yolo_perf.verdict.gate import Rules


@click.command(short_help="Decide whether HEAD is slower than BASE, by process pairs.")
@click.option("--base", multiple=True, metavar="SIDE", help="What to compare with; repeat to combine.")
@click.option(
    "--head", multiple=True, metavar="SIDE", help="What is judged [this installation]; repeat to combine."
)
@click.option(
    "--pairs",
    default=None,
    callback=checked(parse.parse_count, "The number of pairs"),
    help="Process pairs of the screen [6]; six times as many decide on what it suspects.",
)
@click.option(
    "--budget",
    default=None,
    callback=checked(parse.parse_positive, "The time budget in seconds"),
    help="Seconds after which no more pair is begun; what is not decided by then is inconclusive [none].",
)
@click.option(
    "--time-limit",
    default="300",
    show_default=True,
    callback=checked(parse.parse_positive, "The time limit in seconds"),
    help="Seconds in which a side must answer each order.",
)
@click.option("--strict", is_flag=True, help="Exit with 3 where anything is inconclusive or incomparable.")
@click.option(
    "--json", "json_path", type=click.Path(path_type=Path), metavar="FILE", help="Write all of it there."
)
@baselines_option
@paired_options
def ab(
    *,
    base: tuple[str, ...],
    head: tuple[str, ...],
    pairs: int | None,
    budget: float | None,
    time_limit: float,
    strict: bool,
    json_path: Path | None,
    baselines: Path,
    **options: Any,
) -> None:
    """Decide whether HEAD is slower than BASE, by pairs of processes on this machine.

    \b
    A SIDE is one or more of
      ref:GITREF             a commit's tree, as in ref:main
      path:FOLDER            another tree
      python:INTERPRETER     another interpreter or virtual environment
      env:NAME=VALUE,...     environment variables
      threads:N              threads of every engine
      inject:KIND=AMOUNT     a known slow-down, as in inject:spin=3%@n-onnx; also
                             convolution, intermittent

    Each pair is two fresh processes. The one that is not timed is stopped. Exit status: 0 none regressed,
    1 regressed, missing, nothing measured or a side failed, 2 usage, 3 not decided (--strict), 4 the host was
    not fair, 130 interrupted, 143 or 129 by SIGTERM or SIGHUP.
    """
    from yolo_perf.pairing.processes import alone
    from yolo_perf.verdict.gate import Rules

    if not base and not head:
        raise click.UsageError("Name a side: yolo-perf ab --base ref:main")
    if json_path is not None:
        check_writable(json_path)
    rules = Rules(floors=_floors(baselines)).with_pairs(pairs)
    rules.check(1)  # better now than after the sides were prepared
    setup = paired_setup(**options)
    sides = [_side("--base", base), _side("--head", head)]
    with alone():
        from yolo_perf.pairing.arena import Arena

        arena = Arena(sides[0], sides[1], setup, time_limit_s=time_limit, rng=random.Random())  # noqa: S311
        _run(arena, rules, budget=budget, strict=strict, json_path=json_path)


def _side(option: str, words: tuple[str, ...]) -> "Side":
    """The side that an option's words name. Raises UsageError naming the option."""
    from yolo_perf.pairing.sides import parse_side

    try:
        return parse_side(words, Path.cwd())
    except UsageError as error:
        raise UsageError(f"{option}: {error}") from error


def _run(arena: "Arena", rules: "Rules", *, budget: float | None, strict: bool, json_path: Path | None) -> None:
    from yolo_perf.archive.result import compared
    from yolo_perf.report import paired as report
    from yolo_perf.summary import append_pairs

    result = compared(arena, rules, setup=arena.setup, budget=budget)
    Output(form="table", path=None).show(lambda **style: report.paired(result, **style), None)
    append_pairs(report.document(result))
    if json_path is not None:
        Output(form="json", path=json_path).show(lambda **_: "", report.document(result))
    sys.exit(result.status(strict=strict))


def _floors(baselines: Path) -> dict[str, float]:
    """What identical sides were seen to differ by on this machine, where it was calibrated."""
    from yolo_perf.machine.identity import identify
    from yolo_perf.proof.calibration import read_calibration

    found = read_calibration(baselines, identify(with_torch=False))
    return found.paired_floors if found else {}
