"""`yolo-perf profile`."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from yolo_perf import settings as parse
from yolo_perf.cli.common import batch_option, bench_options, open_bench, size_argument
from yolo_perf.cli.completion import optimizations
from yolo_perf.cli.output import Output, check_writable, output_options
from yolo_perf.errors import UsageError
from yolo_perf.signals import INTERRUPTED_EXIT

DEFAULT_BACKEND = {"onnxruntime": "onnx"}


@click.command(short_help="Run one profiler over a model, and state what it costs.")
@size_argument
@click.option(
    "--with", "profilers", multiple=True, required=True, help="The profiler: cprofile, torch or onnxruntime."
)
@click.option(
    "--backend",
    default=None,
    help="The optimisation [eager; onnx for onnxruntime].",
    shell_complete=optimizations,
)
@batch_option
@click.option("--shapes", is_flag=True, help="Tell operators apart by their inputs' shapes (torch).")
@click.option("--top", default="15", show_default=True, help="Rows of a table.")
@click.option(
    "--save",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Keep the profiler's own file: a Chrome trace (torch, onnxruntime), or pstats data (cprofile).",
)
@bench_options(default_budget=5)
@output_options()
def profile(
    size: str,
    *,
    profilers: tuple[str, ...],
    backend: str | None,
    batch: int | None,
    shapes: bool,
    top: str,
    save: Path | None,
    output: Output,
    **options: Any,
) -> None:
    """Run one profiler over a model and state what the profiler itself costs.

    PyTorch's takes 30 rounds at most: it reads its events for longer than they took.
    """
    if len(profilers) > 1:
        raise UsageError("One profiler at a time: under another one, a profiler shows that one at work.")
    (profiler,) = profilers
    rows = parse.parse_count(top, "The number of rows")
    if save is not None:
        check_writable(save)
        if output.path is not None and output.path.resolve() == save.resolve():
            raise UsageError("--save and --output name the same file.")
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # else PyTorch's profiler writes its own starts to stderr
    from yolo_perf.backends.registry import find

    engine = find(backend or DEFAULT_BACKEND.get(profiler, "eager"))

    from yolo_perf.analysis.profilers import profile_with
    from yolo_perf.report import plain, profiles

    bench = open_bench(size=size, **options)
    run = profile_with(profiler, bench, size, engine, batch=batch, shapes=shapes, save=save)
    output.show(
        lambda **style: profiles.profile(run, bench.dataset.name, rows, **style),
        plain.profiler_document(run),
        plain.profiler_rows(run),
    )
    if not run.complete:
        sys.exit(INTERRUPTED_EXIT)
