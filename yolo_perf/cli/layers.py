"""`yolo-perf layers`."""

import sys
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import click

from yolo_perf.cli.common import (
    backend_option,
    batch_option,
    bench_options,
    open_bench,
    size_argument,
)
from yolo_perf.cli.output import Output, output_options
from yolo_perf.errors import UsageError
from yolo_perf.signals import INTERRUPTED_EXIT

if TYPE_CHECKING:
    from collections.abc import Iterable


@click.command()
@size_argument
@backend_option("eager")
@batch_option
@click.option("--leaves", is_flag=True, help="Show every leaf instead of the 25 blocks (JSON has all).")
@click.option("--filter", "pattern", metavar="PATTERN", help='Show the layers that match, as in "model.6*".')
@bench_options(default_budget=20)
@output_options()
def layers(
    size: str,
    *,
    backend: str,
    batch: int | None,
    leaves: bool,
    pattern: str | None,
    output: Output,
    **options: Any,
) -> None:
    """Time every layer of a model and set it beside its own roof."""
    from yolo_perf.backends.registry import find

    engine = find(backend)

    from yolo_perf.analysis.layers import profile_layers
    from yolo_perf.analysis.work import layer_counts
    from yolo_perf.report import layers as report
    from yolo_perf.report import plain

    if pattern is not None:
        _check(pattern, (layer.name for layer in layer_counts(size)))
    bench = open_bench(size=size, **options)
    profile = profile_layers(bench, size, engine, batch)
    if pattern is not None:
        rows = [layer for layer in profile.layers if fnmatchcase(layer.name, pattern)]
    elif leaves:
        rows = list(profile.leaves)
    else:
        rows = [layer for layer in profile.layers if layer.name.count(".") == 1]
    output.show(
        lambda **style: report.layers(profile, rows, bench.dataset.name, **style),
        plain.layer_document(profile),
        [row for row in plain.layer_rows(profile) if row["layer"] in {layer.name for layer in rows}],
    )
    if not profile.complete:
        sys.exit(INTERRUPTED_EXIT)


def _check(pattern: str, leaves: "Iterable[str]") -> None:
    names = {".".join(leaf.split(".")[:depth]) for leaf in leaves for depth in range(2, leaf.count(".") + 2)}
    if not any(fnmatchcase(name, pattern) for name in names):
        raise UsageError(
            f'No layer matches {pattern!r}. Layers are named as in "model.6", "model.6.m.0.cv1.conv" or '
            '"model.24.(own)"; * stands for anything: --filter "model.6*". All of them: --leaves'
        )
