"""`yolo-perf calibrate`."""

import logging
import math
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from yolo_perf import settings as parse
from yolo_perf.cli.common import baselines_option, checked, paired_options, paired_setup
from yolo_perf.cli.output import Output, output_options
from yolo_perf.errors import UsageError, YoloPerfError
from yolo_perf.pace import STEP, Steps

if TYPE_CHECKING:
    from yolo_perf.pairing.arena import Arena
    from yolo_perf.records import Pair

log = logging.getLogger(__name__)

LEAST_PAIRS = 6
TIME_LIMIT_S = 300


@click.command()
@click.option(
    "--pairs",
    default="16",
    show_default=True,
    callback=checked(parse.parse_count, "The number of pairs", 1000),
    help="Pairs of processes of the same code.",
)
@baselines_option
@paired_options
@output_options()
def calibrate(*, pairs: int, baselines: Path, output: Output, **options: Any) -> None:
    """Record what identical code differs by on this machine.

    It is kept beside the machine's baselines: `ab` takes its margins from it where they are wider, and
    --benchmark-compare its noise between sessions. Cases that were calibrated before and are not now stay.
    """
    from yolo_perf.machine.identity import identify
    from yolo_perf.machine.naming import fingerprint, slug
    from yolo_perf.pairing.arena import Arena
    from yolo_perf.pairing.processes import alone
    from yolo_perf.pairing.sides import parse_side
    from yolo_perf.proof import calibration as noise
    from yolo_perf.report import calibration as report
    from yolo_perf.report.plain import calibration_rows

    if pairs < LEAST_PAIRS:
        raise UsageError(f"A calibration takes at least {LEAST_PAIRS} pairs, not {pairs}.")
    machine = identify(with_torch=False)
    earlier = noise.read_calibration(baselines, machine)
    side = parse_side([], Path.cwd())
    with alone():
        arena = Arena(side, side, paired_setup(**options), time_limit_s=TIME_LIMIT_S, rng=random.Random())  # noqa: S311
        found = _measure(arena, pairs)
    calibration = noise.Calibration(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=slug(machine),
        fingerprint=fingerprint(machine),
        python=machine.python,
        libraries=machine.libraries,
        sessions=pairs,
        pairs=pairs,
        cases={**(earlier.cases if earlier else {}), **_noise(found)},
    )
    path = noise.write_calibration(baselines, calibration)
    rows = calibration_rows(calibration)
    output.show(lambda **style: report.calibration(calibration, path, **style), rows, rows)


def _measure(arena: "Arena", pairs: int) -> "list[Pair]":
    """So many pairs of all that can run here; Ctrl-C leaves an earlier calibration as it is."""
    labels = [subject.label for subject in arena.survey().subjects]
    if not labels:
        raise YoloPerfError("Nothing to calibrate: none of these cases can run here.")
    found: list[Pair] = []
    steps = Steps(pairs)
    for done in range(1, pairs + 1):
        found.append(arena.measure(labels))
        log.info("pair %d of %d%s", done, pairs, steps.left(done).text, extra=STEP)
    return found


def _noise(pairs: "list[Pair]") -> dict[str, Any]:
    """Sessions are the base's processes, one after the other; differences are the pairs'."""
    from yolo_perf.analysis.rounds import low_quantile
    from yolo_perf.proof.calibration import calibrate as noise_of
    from yolo_perf.verdict import gate

    sessions: dict[str, list[float]] = {}
    for pair in pairs:
        for turn in pair.turns:
            if not turn.control:
                sessions.setdefault(turn.label, []).append(math.log(low_quantile(turn.base.round_seconds)))
    differences = gate.by_label([gate.differences(pair).cases for pair in pairs])
    return noise_of(sessions, {label: differences[label] for label in sessions})
