"""`yolo-perf prove-gate`: the gate's false alarms and power, from recorded pairs; and the recording of them."""

import contextlib
import logging
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from yolo_perf import settings as parse
from yolo_perf.cli.common import checked, paired_options, paired_setup
from yolo_perf.cli.output import Output, check_writable, output_options
from yolo_perf.cli.terminal import say
from yolo_perf.errors import UsageError, YoloPerfError
from yolo_perf.pace import NOTHING, STEP, Left, Steps
from yolo_perf.proof.disturb import DISTURBANCES
from yolo_perf.signals import INTERRUPTED_EXIT

if TYPE_CHECKING:
    from yolo_perf.pairing.arena import Setup
    from yolo_perf.proof.proof import Mapper
    from yolo_perf.proof.recording import Setting
    from yolo_perf.records import Pair

log = logging.getLogger(__name__)

TIME_LIMIT_S = 300.0
SCORING = ("suites", "seed", "as_json", "as_csv", "output_path")
RECORDING = ("minutes", "sizes", "optimizations", "batch", "inject", "disturb", "data", "image_size", "threads")
"""Options of one half of the command."""
FEW_SUITES = 500
"""So many are counted sooner than other processes have started."""


@click.command("prove-gate")
@click.argument("rows", type=click.Path(path_type=Path), required=False)
@click.option(
    "--suites",
    default="2000",
    show_default=True,
    callback=checked(parse.parse_count, "The number of suites"),
    help="Comparisons that are dealt from the rows.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**32), help="Of the dealing.")
@click.option(
    "--pairs",
    default=None,
    callback=checked(parse.parse_count, "The number of pairs"),
    help="Pairs of the screen, as for `ab` [6]; with --record, pairs to record.",
)
@click.option(
    "--record", type=click.Path(path_type=Path), metavar="FILE", help="Record rows there; .xz packs them."
)
@click.option(
    "--minutes",
    default=None,
    callback=checked(parse.parse_positive, "The time in minutes"),
    help="Time after which no more pair is recorded [until Ctrl-C].",
)
@click.option(
    "--inject",
    multiple=True,
    metavar="KIND=AMOUNT[@CASE]",
    default=("spin=2%", "spin=3%", "spin=5%"),
    show_default=True,
    help="Slow-downs to record, one after the other; repeat.",
)
@click.option(
    "--disturb",
    multiple=True,
    type=click.Choice(DISTURBANCES),
    default=("cpu-1s", "cpu-10s", "memory"),
    show_default=True,
    help="Disturbances to record, one after the other; repeat.",
)
@paired_options
@output_options()
def prove_gate(
    *,
    rows: Path | None,
    suites: int,
    seed: int,
    pairs: int | None,
    record: Path | None,
    minutes: float | None,
    output: Output,
    **recording: Any,
) -> None:
    """Score the gate, and other tools' rules, on recorded pairs.

    ROWS is a file that --record made. Identical sides tell the false alarms, known slow-downs the power: every
    recorded pair is dealt into many comparisons, which the gate judges as `ab` does.
    """
    if (rows is None) == (record is None):
        raise UsageError("Name a file of rows to score, or one to record with --record.")
    _refuse(*((SCORING, "scored") if record is not None else (RECORDING, "recorded")))
    if record is not None:
        _record(record, pairs, minutes, **recording)
    elif rows is not None:
        _score(rows, output, suites=suites, seed=seed, pairs=pairs)


def _refuse(names: Sequence[str], work: str) -> None:
    """Raise UsageError for an option that would do nothing."""
    context = click.get_current_context()
    for option in context.command.params:
        given = context.get_parameter_source(option.name or "") == click.core.ParameterSource.COMMANDLINE
        if given and option.name in names:
            raise UsageError(f"{option.opts[0]} is for when rows are {work}.")


def _score(path: Path, output: Output, *, suites: int, seed: int, pairs: int | None) -> None:
    from yolo_perf.proof.proof import prove
    from yolo_perf.proof.rows import read_rows
    from yolo_perf.report import proof as report
    from yolo_perf.verdict.gate import Rules

    recording, rules = read_rows(path), Rules().with_pairs(pairs)
    with _mapper(suites) as mapper:
        proof = prove(recording, rules, suites=suites, seed=seed, mapper=mapper)
    output.show(lambda **style: report.proof(proof, **style), report.document(proof), report.rows(proof))


@contextlib.contextmanager
def _mapper(suites: int) -> "Iterator[Mapper]":
    """`map` over all cores where there is much to count."""
    if suites < FEW_SUITES:
        yield map
        return
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    from yolo_perf.machine.identity import identify

    executor = ProcessPoolExecutor(
        identify(with_torch=False).usable_cores,
        mp_context=get_context("spawn"),
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_IGN),  # Ctrl-C is this process's to handle
    )
    try:
        yield executor.map
    finally:
        executor.shutdown(cancel_futures=True)


def _record(path: Path, pairs: int | None, minutes: float | None, **recording: Any) -> None:
    """Record until the pairs or the time are full, or somebody interrupts; what there is is kept."""
    from yolo_perf.pairing.processes import alone
    from yolo_perf.proof.recording import recorded
    from yolo_perf.proof.rows import read_rows, write_rows

    check_writable(path)
    packed = path.suffix == ".xz"
    plain = path.with_name(f"{path.name}.part") if packed else path
    if packed and path.exists():
        raise UsageError(f"{path} is there already, and packed: record into another file.")
    before = recorded(plain)
    interrupted = False
    with alone():
        try:
            _record_rows(plain, pairs, minutes, **recording)
        except KeyboardInterrupt:
            interrupted = True
    count = recorded(plain)
    if packed and count:
        write_rows(read_rows(plain), path)
        plain.unlink()
    say(f"Recorded {count - before} pairs, {count} in all, in {path}.")
    if interrupted:
        sys.exit(INTERRUPTED_EXIT)


def _record_rows(
    path: Path,
    pairs: int | None,
    minutes: float | None,
    *,
    inject: Sequence[str],
    disturb: Sequence[str],
    **options: Any,
) -> None:
    from datetime import UTC, datetime

    from yolo_perf.machine.identity import identify
    from yolo_perf.machine.naming import describe
    from yolo_perf.proof.recording import check_setup, record, schedule
    from yolo_perf.proof.rows import Header

    settings = schedule(inject, [kind for kind in disturb if kind != "none"])
    machine = identify(with_torch=False)
    setup = paired_setup(**options)
    check_setup(path, describe(machine), _described(setup))
    measure = _measurer(setup, inject)
    steps = Steps(pairs or 0)
    ends = time.monotonic() + 60 * minutes if minutes else None

    def more(number: int) -> bool:
        return (pairs is None or number < pairs) and (ends is None or time.monotonic() < ends)

    header = Header(
        machine=describe(machine), created=datetime.now(UTC).isoformat(timespec="seconds"), setup=_described(setup)
    )
    for done, row in enumerate(record(measure, path, settings, header=header, more=more), 1):
        left = _left(steps.left(done) if pairs else None, ends - time.monotonic() if ends else None)
        log.info("%s, %s: %.1f s%s", row.inject or "identical", row.disturb, row.took, left.text, extra=STEP)


def _left(of_pairs: Left | None, seconds: float | None) -> Left:
    """Until the pairs or the time are full, whichever is first; nothing where only Ctrl-C ends it."""
    if of_pairs is not None and (seconds is None or of_pairs.seconds <= seconds):
        return of_pairs
    return NOTHING if seconds is None else Left(seconds=max(0.0, seconds))


def _described(setup: "Setup") -> str:
    """What the recorded pairs have in common beside the machine."""
    from yolo_perf.machine.versions import version

    versions = (f"{name} {version(name)}" for name in ("torch", "onnxruntime", "numpy"))
    weights = "official weights where there are any" if setup.data else "seeded weights"
    return (
        f"{','.join(setup.sizes)} {','.join(setup.optimizations) or 'all'}, {setup.image_size} px, "
        f"batch {setup.batch}, {setup.threads} threads, {weights}, {', '.join(versions)}"
    )


def _measurer(setup: "Setup", injections: Sequence[str]) -> "Callable[[Setting], Pair]":
    """Measures a pair under a setting: an arena for each injection, surveyed beforehand."""
    import random

    from yolo_perf.pairing.arena import Arena
    from yolo_perf.pairing.sides import parse_side
    from yolo_perf.proof.disturb import disturbed

    arenas: dict[str, tuple[Arena, list[str]]] = {}
    for injection in ("", *injections):
        base = parse_side([], Path.cwd())
        head = parse_side([f"inject:{injection}"] if injection else [], Path.cwd())
        arena = Arena(base, head, setup, time_limit_s=TIME_LIMIT_S, rng=random.Random())  # noqa: S311
        labels = [subject.label for subject in arena.survey().subjects]
        if not labels:
            raise YoloPerfError("Nothing to record: neither side can run any of these cases here.")
        arenas[injection] = (arena, labels)

    def measure(setting: "Setting") -> "Pair":
        arena, labels = arenas[setting.inject]
        with disturbed(setting.disturb):
            return arena.measure(labels)

    return measure
