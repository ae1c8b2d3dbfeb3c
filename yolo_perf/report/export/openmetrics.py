"""OpenMetrics text, which Prometheus and node_exporter's textfile collector read.

Gauges alone, and no timestamps on samples: what the older text format of Prometheus lacks would make the textfile
collector refuse the whole file. How old a figure is, a gauge of its own tells.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from yolo_perf import escape
from yolo_perf.analysis.figures import utilization
from yolo_perf.analysis.roofline import attainable_flops_per_s
from yolo_perf.archive.benchmarks import Benchmark, Benchmarks
from yolo_perf.records import Measurement, Run
from yolo_perf.report.export.rows import newest, telling_map

Labels = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A gauge; its name ends in its unit, a base unit, where it has one."""

    name: str
    unit: str
    help: str
    samples: Callable[[Benchmarks, Benchmark], Sequence[tuple[Labels, float | None]]]


def render(sessions: Sequence[Benchmarks]) -> bytes:
    """Every benchmark of every machine once, of the newest session that has it, family by family."""
    found = newest(sessions)
    lines = [line for family in FAMILIES for line in _lines(family, found)]
    return "\n".join([*lines, "# EOF", ""]).encode()


def _lines(family: Family, found: Sequence[tuple[Benchmarks, Benchmark]]) -> Iterator[str]:
    """The lines of a family; none where it has no sample. Labels that come twice are of one thing: the last."""
    samples = {
        ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items()): value
        for each in found
        for labels, value in family.samples(*each)
        if value is not None
    }
    if not samples:
        return
    yield f"# TYPE {family.name} gauge"
    if family.unit:
        yield f"# UNIT {family.name} {family.unit}"
    yield f"# HELP {family.name} {family.help}"
    for labels, value in samples.items():
        yield f"{family.name}{{{labels}}} {float(value)!r}"


def _escaped(text: str) -> str:
    return escape.spelled(text).replace("\\", "\\\\").replace('"', '\\"')


def _labels(session: Benchmarks, measurement: Measurement) -> Labels:
    """What tells a case of one machine from every other."""
    case = measurement.case
    return {
        "machine": session.machine,
        "size": case.size,
        "optimization": case.backend,
        "batch": str(case.batch),
        "image_size": str(case.image_size),
        "threads": str(case.threads),
        "dtype": case.dtype,
    }


def _case(
    name: str, unit: str, help_: str, value: Callable[[Benchmarks, Benchmark, Run, Measurement], float | None]
) -> Family:
    """A family with a sample for each case that yolo-perf measured."""

    def samples(session: Benchmarks, benchmark: Benchmark) -> Sequence[tuple[Labels, float | None]]:
        run, measurement = session.run, benchmark.measurement
        if run is None or measurement is None:
            return ()
        return ((_labels(session, measurement), value(session, benchmark, run, measurement)),)

    return Family(name=f"yolo_perf_{name}", unit=unit, help=help_, samples=samples)


def _plain(name: str, help_: str, value: Callable[[Benchmark], float]) -> Family:
    """A family with a sample for each benchmark of a plain pytest-benchmark file."""

    def samples(session: Benchmarks, benchmark: Benchmark) -> Sequence[tuple[Labels, float | None]]:
        if benchmark.measurement is not None:
            return ()
        return (({"machine": session.machine, "benchmark": benchmark.name}, value(benchmark)),)

    return Family(name=f"pytest_benchmark_{name}", unit="seconds", help=help_, samples=samples)


def _compute_roofs(session: Benchmarks, _: Benchmark) -> Sequence[tuple[Labels, float | None]]:
    if session.run is None:
        return ()
    peaks = session.run.peaks.flops_per_s
    return tuple(({"machine": session.machine, "dtype": dtype}, rate) for dtype, rate in peaks.items())


def _memory_roof(session: Benchmarks, _: Benchmark) -> Sequence[tuple[Labels, float | None]]:
    return () if session.run is None else (({"machine": session.machine}, session.run.peaks.bytes_per_s),)


def _measured_at(session: Benchmarks, benchmark: Benchmark) -> Sequence[tuple[Labels, float | None]]:
    measurement = benchmark.measurement
    name = {"machine": session.machine, "benchmark": benchmark.name}
    labels = name if measurement is None else _labels(session, measurement)
    source = {"commit": session.commit.id or "", "branch": session.commit.branch or ""}
    return (({**labels, **source}, session.created.timestamp()),)


FAMILIES = (
    _case("latency_seconds", "seconds", "Median time an image.", lambda _, b, run, m: b.median_s),
    _case(
        "latency_low_seconds", "seconds", "First decile of the time an image, the steady one.",
        lambda _, b, run, m: b.low_s,
    ),
    _case("latency_high_seconds", "seconds", "Last decile of the time an image.", lambda _, b, run, m: b.high_s),
    _case(
        "throughput_images_per_second", "images_per_second", "Images a second at the median round.",
        lambda _, b, run, m: m.images_per_s,
    ),
    _case(
        "achieved_flops_per_second", "flops_per_second",
        "Floating-point operations a second at the median round, a multiply-accumulate counted as two.",
        lambda _, b, run, m: m.achieved_flops_per_s,
    ),
    _case(
        "attainable_flops_per_second", "flops_per_second", "What the roofs of the machine leave to this work.",
        lambda _, b, run, m: attainable_flops_per_s(m.work, run.peaks, m.case.dtype),
    ),
    _case(
        "utilization_ratio", "ratio", "Achieved over the measured peak of the number format.",
        lambda _, b, run, m: utilization(m, run.peaks),
    ),
    _case(
        "map_ratio", "ratio", "COCO mean average precision, IoU 0.50 to 0.95, where it tells something.",
        lambda s, b, run, m: telling_map(s, b),
    ),
    Family(
        name="yolo_perf_peak_flops_per_second", unit="flops_per_second", help="The measured compute roof.",
        samples=_compute_roofs,
    ),
    Family(
        name="yolo_perf_peak_bytes_per_second", unit="bytes_per_second", help="The measured memory roof.",
        samples=_memory_roof,
    ),
    _plain("median_seconds", "Median time a call.", lambda b: b.median_s),
    _plain("min_seconds", "Least time a call.", lambda b: b.min_s),
    Family(
        name="yolo_perf_measured_timestamp_seconds", unit="seconds", help="The time of a benchmark's session.",
        samples=_measured_at,
    ),
)  # fmt: skip
