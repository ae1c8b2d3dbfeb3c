"""`yolo-perf best`."""

import logging
import random
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from yolo_perf import settings as parse
from yolo_perf.cli.common import checked, open_bench, paired_options, paired_setup
from yolo_perf.cli.output import Output, output_options
from yolo_perf.errors import BackendUnavailable, NotEnoughMemory, ParityError
from yolo_perf.pace import STEP, Steps

if TYPE_CHECKING:
    from yolo_perf.analysis.bench import Bench
    from yolo_perf.backends.registry import Backend
    from yolo_perf.pairing.arena import Setup
    from yolo_perf.pairing.contest import Contest, Limits
    from yolo_perf.records import Accuracy, Protocol

log = logging.getLogger(__name__)

NONE_EXIT = 1


@click.command(short_help="Name the fastest optimisation of each size here.")
@click.option(
    "--max-map-drop",
    default="0.01",
    show_default=True,
    callback=checked(parse.parse_fraction, "The drop of mAP50-95"),
    help="What it may lose of mAP50-95 against eager, where labels tell.",
)
@click.option(
    "--max-memory",
    default=None,
    callback=checked(parse.parse_bytes, "The memory"),
    metavar="SIZE",
    help="What it may hold above its engine, as in 500M; memory is measured only if this is given.",
)
@click.option(
    "--sets",
    default="3",
    show_default=True,
    callback=checked(parse.parse_count, "The number of sets", 100),
    help="Sets of fresh processes.",
)
@paired_options
@output_options()
def best(*, max_map_drop: float, max_memory: int | None, sets: int, output: Output, **options: Any) -> None:
    """Name the fastest optimisation of each size for this machine, with the evidence.

    All run one image a call, in turn, in processes of their own; accuracy is judged apart. Where labels do not
    tell it, what does not agree with eager is not timed. The result is kept:
    pytest benchmarks/ --perf-optimizations=best measures only that one. Exit status 1: nothing is within limits.
    """
    from yolo_perf.backends.registry import choose
    from yolo_perf.pairing.contest import REFERENCE, Limits, remember
    from yolo_perf.pairing.processes import alone
    from yolo_perf.report import contest as report
    from yolo_perf.report import plain

    setup = paired_setup(**options)
    names = (REFERENCE, *setup.optimizations) if setup.optimizations else ()
    entrants = [backend for backend in choose(names) if not backend.batched]
    limits = Limits(max_map_drop=max_map_drop, max_memory_bytes=max_memory)
    found: list[Contest] = []
    with alone():
        for size in setup.sizes:
            bench = open_bench(
                size=size,
                data=setup.data,
                image_size=setup.image_size,
                threads=setup.threads,
                allocator=setup.allocator,
            )
            found.append(_hold(bench, entrants, replace(setup, sizes=(size,)), limits, sets))
            remember(found[-1], bench.machine)
    output.show(
        lambda **style: "\n\n".join(report.contest(each, **style) for each in found),
        [plain.contest_document(each) for each in found],
        [row for each in found for row in plain.contest_rows(each)],
    )
    if any(each.best is None for each in found):
        sys.exit(NONE_EXIT)


def _hold(bench: "Bench", entrants: "list[Backend]", setup: "Setup", limits: "Limits", sets: int) -> "Contest":
    """One size's contest."""
    (size,) = setup.sizes
    from yolo_perf.analysis.memory import measure_memory
    from yolo_perf.pairing.contest import REFERENCE, Contender, Contest, created_now, race

    judged, skipped = _judge(bench, size, entrants)
    accuracies = _to_time(judged, limits, skipped)
    memories: dict[str, int | None] = dict.fromkeys(accuracies)
    if limits.max_memory_bytes is not None:
        for backend in (each for each in entrants if each.name in accuracies):
            case = accuracies[backend.name].case
            memories[backend.name] = measure_memory(
                case, bench.subject(size), backend, setup.data, setup.allocator
            ).peak_bytes
    times: dict[str, tuple[float, ...]] = {}
    if accuracies:
        steps = Steps(sets)
        times = race(
            [accuracy.case for accuracy in accuracies.values()],
            setup,
            sets=sets,
            time_limit_s=600,
            rng=random.Random(),  # noqa: S311
            tell=lambda done: log.info("%s: set %d of %d%s", size, done, sets, steps.left(done).text, extra=STEP),
        )
    return Contest(
        created=created_now(),
        size=size,
        limits=limits,
        reference=judged[REFERENCE],
        contenders=tuple(
            Contender(case=accuracy.case, set_seconds=times[name], accuracy=accuracy, memory_bytes=memories[name])
            for name, accuracy in accuracies.items()
        ),
        skipped=tuple(skipped),
    )


def _judge(bench: "Bench", size: str, entrants: "list[Backend]") -> "tuple[dict[str, Accuracy], list[str]]":
    """The accuracy of each that agrees with eager, by name, and why the others are left out.

    Without eager there is nothing to judge by: what it raises is raised. Nothing of the engines is left in this
    process when the race begins: their threads would spin on.
    """
    import gc

    from yolo_perf.analysis.accuracy import Judge
    from yolo_perf.analysis.bench import PARITY_MOST
    from yolo_perf.pairing.contest import REFERENCE

    judge = Judge(bench, size, bench.settings.accuracy_pictures)
    protocol: Protocol | None = (
        None if judge.labels else "square"
    )  # what is timed; rectangles are for the labels' sake
    found: dict[str, Accuracy] = {}
    skipped: list[str] = []
    for backend in entrants:
        try:
            bench.prepare(backend, bench.case(size, backend), pictures=PARITY_MOST)
            found[backend.name] = judge.judge(backend, protocol)
        except (BackendUnavailable, NotEnoughMemory, ParityError) as error:
            if backend.name == REFERENCE:
                raise
            skipped.append(str(error))
    gc.collect()
    return found, skipped


def _to_time(judged: "dict[str, Accuracy]", limits: "Limits", skipped: list[str]) -> "dict[str, Accuracy]":
    """Those that may be timed as the same model; why the others are not, is added to `skipped`.

    What labels tell is a cost that is shown. Where they tell nothing, what does not agree with eager is another
    model, and where eager finds no box, nothing is known of any.
    """
    from yolo_perf.pairing.contest import REFERENCE
    from yolo_perf.verdict.accuracy import floor, standing

    if standing(judged[REFERENCE], limits.max_map_drop).basis == "nothing":
        return {}
    found = {}
    for name, accuracy in judged.items():
        stands = standing(accuracy, limits.max_map_drop)
        if stands.basis == "labels" or not stands.fault:
            found[name] = accuracy
        else:
            skipped.append(
                f"{accuracy.case.label} is not timed: {100 * accuracy.box_agreement:.1f} % of its boxes and "
                f"eager's agree over {accuracy.pictures} pictures (at least {100 * floor(accuracy):g} %)."
            )
    return found
