"""The array that benchmark-action/github-action-benchmark reads as `tool: customSmallerIsBetter`."""

import json
from collections.abc import Sequence

from yolo_perf import units
from yolo_perf.analysis.figures import utilization
from yolo_perf.archive.benchmarks import Benchmark, Benchmarks
from yolo_perf.report.export.rows import newest


def render(sessions: Sequence[Benchmarks]) -> bytes:
    """One entry a benchmark and machine: the median latency in ms, of the newest session that has it.

    The action compares entries by name with no notion of a machine, and raises an alert on a change. So the
    machine is part of the name: a runner with another CPU begins a series of its own.
    """
    entries = [
        {
            "name": f"{benchmark.name} ({session.machine})",
            "unit": "ms",
            "value": benchmark.median_s * 1e3,
            # The action scales a range that is a number after this sign along with its value.
            "range": f"± {(benchmark.high_s - benchmark.low_s) / 2 * 1e3}",
            "extra": _extra(session, benchmark),
        }
        for session, benchmark in newest(sessions)
    ]
    return (json.dumps(entries, indent=2, allow_nan=False) + "\n").encode()


def _extra(session: Benchmarks, benchmark: Benchmark) -> str:
    """The lines of a point's tooltip."""
    lines = [f"{benchmark.rounds} round{'' if benchmark.rounds == 1 else 's'}"]
    measurement = benchmark.measurement
    if session.run is not None and measurement is not None:
        share = utilization(measurement, session.run.peaks)
        lines = [
            f"{units.rate(measurement.images_per_s)} images/s",
            f"utilisation {units.percent(share)} % of {measurement.case.dtype}",
            *lines,
        ]
    return "\n".join([*lines, f"This session {session.caution}."] if session.caution else lines)
