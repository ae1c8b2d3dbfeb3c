"""Flat rows of saved benchmarks in SI units, and which of them count where a name may stand but once."""

from collections.abc import Iterable, Iterator, Sequence

from yolo_perf import escape
from yolo_perf.analysis.figures import figures
from yolo_perf.archive.benchmarks import Benchmark, Benchmarks
from yolo_perf.records import Accuracy
from yolo_perf.verdict.accuracy import telling, unknown

Row = dict[str, object]


def case_rows(sessions: Sequence[Benchmarks]) -> list[Row]:
    """One row a benchmark and session, in the order given. A plain benchmark has fewer columns."""
    return [_row(session, each) for session in sessions for each in session.benchmarks]


def round_rows(sessions: Sequence[Benchmarks]) -> Iterator[Row]:
    """One row a round: `seconds` of the whole round, which is of `batch` images (None for a plain benchmark)."""
    for session in sessions:
        for each in session.benchmarks:
            of = {**_identity(session, each), "batch": each.measurement and each.measurement.case.batch}
            for number, seconds in enumerate(each.round_seconds):
                yield {**of, "round": number, "seconds": seconds}


def newest(sessions: Sequence[Benchmarks]) -> list[tuple[Benchmarks, Benchmark]]:
    """Every machine's benchmarks by name, once: of the newest session that has one. Older sessions come first."""
    found = {
        (session.machine, each.name): (session, each)
        for session in sorted(sessions, key=lambda session: session.created)
        for each in session.benchmarks
    }
    return sorted(found.values(), key=lambda each: each[0].created)


def accuracy_of(session: Benchmarks, benchmark: Benchmark) -> Accuracy | None:
    """What a benchmark's case detected in the same session with the same weights; None where nobody looked."""
    measurement = benchmark.measurement
    if session.run is None or measurement is None:
        return None
    judged = (a for a in session.run.accuracy if a.case.id == measurement.case.id)
    return next((a for a in judged if a.weights.digest == measurement.weights.digest), None)


def telling_map(session: Benchmarks, benchmark: Benchmark) -> float | None:
    """The mAP50-95 of a benchmark's case where it tells something: what a tracker may raise an alarm about."""
    accuracy = accuracy_of(session, benchmark)
    return accuracy.map50_95 if accuracy is not None and telling(accuracy) else None


def csv_bytes(heading: Sequence[str], rows: Iterable[Row]) -> bytes:
    """Rows as CSV in UTF-8 under a heading, as `escape.csv_text` writes it."""
    return escape.csv_text(heading, rows).encode()


def _identity(session: Benchmarks, benchmark: Benchmark) -> Row:
    """Which benchmark of which session a row is of."""
    measurement = benchmark.measurement
    return {
        "created": session.created.isoformat(),
        "machine": session.machine,
        "cpu_model": session.cpu_model,
        "commit": session.commit.id,
        "branch": session.commit.branch,
        "dirty": session.commit.dirty,
        "caution": session.caution,
        "benchmark": benchmark.name,
        "size": measurement and escape.spelled(measurement.case.size),
        "optimization": measurement and escape.spelled(measurement.case.backend),
    }


def _row(session: Benchmarks, benchmark: Benchmark) -> Row:
    row: Row = {
        **_identity(session, benchmark),
        "rounds": benchmark.rounds,
        "latency_s": benchmark.median_s,
        "min_s": benchmark.min_s,
        "low_s": benchmark.low_s,
        "high_s": benchmark.high_s,
        "max_s": benchmark.max_s,
    }
    if session.run is None or benchmark.measurement is None:
        return row
    accuracy = accuracy_of(session, benchmark)
    known = figures(benchmark.measurement, session.run.peaks)
    return {
        **row,
        **{name: escape.spelled(value) if isinstance(value, str) else value for name, value in known.items()},
        "map50": accuracy and accuracy.map50,
        "map50_95": accuracy and accuracy.map50_95,
        "eager_map50_95": accuracy and accuracy.eager_map50_95,
        "box_agreement": accuracy and accuracy.box_agreement,
        "accuracy_unknown": accuracy and unknown(accuracy),
    }
