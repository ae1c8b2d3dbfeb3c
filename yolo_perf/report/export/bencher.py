"""Bencher Metric Format: what `bencher run --adapter json` takes."""

import json
from collections.abc import Sequence
from hashlib import sha256

from yolo_perf.analysis.figures import utilization
from yolo_perf.archive.benchmarks import Benchmark, Benchmarks
from yolo_perf.errors import UsageError
from yolo_perf.report.export.rows import newest, telling_map

Metric = dict[str, float]
MAX_NAME_BYTES = 1024
NANOSECONDS = 1e9


def render(sessions: Sequence[Benchmarks]) -> bytes:
    """Benchmark -> measure -> {value, lower_value, upper_value}, of the newest session that has a benchmark.

    `latency` (ns) and `throughput` (operations/s, here images/s) are Bencher's own measures; `utilization` and
    `map` (where it tells something) are fractions. Raises UsageError for sessions of several machines: a report
    there is of one testbed.
    """
    machines = sorted({session.machine for session in sessions})
    if len(machines) > 1:
        raise UsageError(
            f"Bencher keeps one machine (testbed) a report; these runs are of {len(machines)}: "
            f"{', '.join(machines)}. Export the runs of each by themselves."
        )
    found = {_fitting(benchmark.name): _measures(session, benchmark) for session, benchmark in newest(sessions)}
    return (json.dumps(found, indent=2, allow_nan=False) + "\n").encode()


def _measures(session: Benchmarks, benchmark: Benchmark) -> dict[str, Metric]:
    """A benchmark's measures by the slug of each."""
    measures = {
        "latency": {
            "value": benchmark.median_s * NANOSECONDS,
            "lower_value": benchmark.low_s * NANOSECONDS,
            "upper_value": benchmark.high_s * NANOSECONDS,
        }
    }
    if session.run is None or benchmark.measurement is None:
        return measures
    measures["throughput"] = {
        "value": 1 / benchmark.median_s,
        "lower_value": 1 / benchmark.high_s,
        "upper_value": 1 / benchmark.low_s,
    }
    measures["utilization"] = {"value": utilization(benchmark.measurement, session.run.peaks)}
    precision = telling_map(session, benchmark)
    if precision is not None:
        measures["map"] = {"value": precision}
    return measures


def _fitting(name: str) -> str:
    """A name of the bytes that Bencher takes; a longer one ends in a digest of the whole."""
    content = name.encode()
    if len(content) <= MAX_NAME_BYTES:
        return name
    digest = f"...{sha256(content).hexdigest()[:16]}"
    return content[: MAX_NAME_BYTES - len(digest)].decode(errors="ignore") + digest
