"""`yolo-perf audit`."""

import logging
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from yolo_perf.cli.common import bench_options, open_bench, size_argument
from yolo_perf.cli.output import Output, output_options
from yolo_perf.errors import BackendUnavailable, ParityError, YoloPerfError

if TYPE_CHECKING:
    from yolo_perf.analysis.audit import Audit
    from yolo_perf.analysis.bench import Bench

log = logging.getLogger(__name__)


@click.command(short_help="Show what of a quantised model really runs in integers.")
@size_argument
@click.option("--time/--no-time", "timing", default=True, help="Time each beside FP32 in the same engine [yes].")
@bench_options(rounds=False)
@output_options()
def audit(size: str, *, timing: bool, output: Output, **options: Any) -> None:
    """Show what of each quantised model really runs in integers, and why it is faster or slower than FP32."""
    from yolo_perf.analysis import audit as analysis
    from yolo_perf.backends.registry import backends
    from yolo_perf.report import audit as report
    from yolo_perf.report import plain

    bench = open_bench(size=size, **options)
    rows: list[Audit] = []
    for backend in backends().values():
        if backend.dtype != "int8":
            continue
        try:
            rows.append(analysis.audit(bench, size, backend))
        except (BackendUnavailable, ParityError) as error:
            log.warning("Skipped: %s", error)
    if not rows:
        raise YoloPerfError("None of the quantised optimisations can run here.")
    if timing:
        rows = _timed(bench, size, rows)
    dynamic = analysis.torch_dynamic(bench, size)
    output.show(
        lambda **style: report.audit(rows, dynamic, **style), plain.audit_rows(rows), plain.audit_rows(rows)
    )


def _timed(bench: "Bench", size: str, rows: "list[Audit]") -> "list[Audit]":
    """The rows with latencies: every engine's FP32 and what is quantised for it, in turn, one process each."""
    from yolo_perf.analysis.work import count
    from yolo_perf.backends.registry import backends
    from yolo_perf.pairing.arena import Setup
    from yolo_perf.pairing.contest import race
    from yolo_perf.pairing.processes import alone

    plain_ones = {b.engine: b for b in backends().values() if b.graph is not None and b.dtype == "fp32"}
    entrants = [plain_ones[engine] for engine in dict.fromkeys(row.engine for row in rows)]
    quantised = [b for b in backends().values() if f"{size}-{b.name}" in {row.label for row in rows}]
    cases = [bench.case(size, backend) for backend in (*entrants, *quantised)]
    setup = Setup(
        sizes=(size,),
        optimizations=(),
        data=bench.settings.data,
        image_size=bench.settings.image_size,
        batch=1,
        threads=bench.threads,
        allocator=bench.settings.allocator,
    )
    with alone():
        seconds = {
            f"{size}-{name}": found[0]
            for name, found in race(cases, setup, sets=1, time_limit_s=600, rng=random.Random()).items()  # noqa: S311
        }
    work = count(size, bench.subject(size).weights.classes, setup.image_size, "int8")
    peak = bench.peaks.flops_per_s.get("int8")
    return [
        replace(
            row,
            seconds=seconds[row.label],
            float_seconds=seconds[f"{size}-{plain_ones[row.engine].name}"],
            utilization=work.flops / seconds[row.label] / peak if peak else None,
        )
        for row in rows
    ]
