"""Options that several commands share, and what they make of them."""

from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from yolo_perf import settings as parse
from yolo_perf.cli import completion
from yolo_perf.settings import Settings
from yolo_perf.yolov5.sizes import check_size

if TYPE_CHECKING:
    from yolo_perf.analysis.bench import Bench
    from yolo_perf.pairing.arena import Setup

Command = Callable[..., None]


def checked(read: Callable[..., Any], *arguments: object) -> Callable[..., Any]:
    """An option's callback: `read(value, *arguments)`, and None for an option that is not given."""
    return lambda _context, _parameter, value: None if value is None else read(value, *arguments)


size_argument = click.argument("size", callback=checked(check_size), shell_complete=completion.sizes)
data_option = click.option(
    "--data",
    type=click.Path(path_type=Path),
    envvar="YOLO_PERF_DATA",
    help="Folder with pictures and weights [$YOLO_PERF_DATA, else drawn pictures and seeded weights].",
)
image_size_option = click.option(
    "--image-size",
    default=str(parse.IMAGE_SIZE),
    show_default=True,
    callback=checked(parse.parse_image_size),
    help="Side of the input in pixels.",
)
threads_option = click.option(
    "--threads",
    default=None,
    callback=checked(parse.parse_count, "The number of threads"),
    help="Threads of every engine [one a usable core].",
)
allocator_option = click.option(
    "--allocator",
    type=click.Choice(parse.ALLOCATORS),
    default=parse.ALLOCATORS[0],
    show_default=True,
    help="Freed memory is kept for the next call, or handled in the system's own way.",
)
batch_option = click.option(
    "--batch",
    default=None,
    callback=checked(parse.parse_count, "The batch", parse.MAX_BATCH),
    help=f"Images a call [1; {parse.BATCH} where the optimisation batches].",
)
baselines_option = click.option(
    "--baselines",
    type=click.Path(path_type=Path),
    default=Path("baselines"),
    show_default=True,
    help="Folder of saved baselines.",
)
optimizations_option = click.option(
    "--optimizations",
    default="",
    metavar="NAME,...",
    help="Optimisations [all].",
    shell_complete=completion.listed(completion.optimizations),
)
rounds_option = click.option(
    "--rounds",
    default=None,
    callback=checked(parse.parse_count, "The number of rounds"),
    help="Timed rounds [as many as the budget holds, 5 at least].",
)


def budget_option(default: float) -> Callable[[Command], Command]:
    """--budget with a default of its own."""
    return click.option(
        "--budget",
        default=f"{default:g}",
        show_default=True,
        callback=checked(parse.parse_positive, "The time budget in seconds"),
        help="Seconds of timed rounds.",
    )


def backend_option(default: str) -> Callable[[Command], Command]:
    """--backend with a default of its own; its name is checked when the registry is loaded."""
    return click.option(
        "--backend",
        default=default,
        show_default=True,
        help="The optimisation.",
        shell_complete=completion.optimizations,
    )


def bench_options(default_budget: float | None = None, *, rounds: bool = True) -> Callable[[Command], Command]:
    """Data, image size and threads, and where something is timed, rounds and budget; `open_bench` takes them."""
    options: list[Callable[[Command], Command]] = [
        data_option,
        image_size_option,
        threads_option,
        allocator_option,
    ]
    if rounds:
        options.append(rounds_option)
    if default_budget is not None:
        options.append(budget_option(default_budget))
    return lambda command: reduce(lambda wrapped, option: option(wrapped), reversed(options), command)


def open_bench(
    *,
    size: str,
    data: Path | None,
    image_size: int,
    threads: int | None,
    allocator: str = parse.ALLOCATORS[0],
    rounds: int | None = None,
    budget: float = parse.BUDGET_S,
) -> "Bench":
    """A bench of these options."""
    from yolo_perf.analysis.bench import Bench

    bench = Bench(
        Settings(
            sizes=(size,),
            data=data,
            image_size=image_size,
            threads=threads,
            allocator=allocator,
            rounds=rounds,
            budget_s=budget,
        )
    )
    len(bench.dataset)  # better to hear of a folder without pictures now than after the roofs
    return bench


def paired_options(command: Command) -> Command:
    """What both sides of a paired measurement run; `paired_setup` takes them."""
    options: list[Callable[[Command], Command]] = [
        click.option(
            "--sizes",
            default="n",
            show_default=True,
            metavar="SIZE,...",
            help="Model sizes.",
            shell_complete=completion.listed(completion.sizes),
        ),
        optimizations_option,
        click.option(
            "--batch",
            default=str(parse.BATCH),
            show_default=True,
            callback=checked(parse.parse_count, "The batch", parse.MAX_BATCH),
            help="Of `batched`.",
        ),
        data_option,
        image_size_option,
        threads_option,
        allocator_option,
    ]
    return reduce(lambda wrapped, option: option(wrapped), reversed(options), command)


def paired_setup(
    *,
    sizes: str,
    optimizations: str,
    batch: int,
    data: Path | None,
    image_size: int,
    threads: int | None,
    allocator: str,
) -> "Setup":
    """What both sides of a paired measurement are asked to run. Raises DataError for a folder without pictures."""
    from yolo_perf.machine.identity import identify
    from yolo_perf.pairing.arena import Setup
    from yolo_perf.pipeline.images import open_dataset

    len(open_dataset(data))  # better to hear of a folder without pictures from here than from a side
    return Setup(
        sizes=parse.parse_sizes(sizes),
        optimizations=parse.parse_names(optimizations),
        data=data,
        image_size=image_size,
        batch=batch,
        threads=threads or identify(with_torch=False).usable_cores,
        allocator=allocator,
    )
