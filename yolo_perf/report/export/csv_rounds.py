"""CSV, one row a raw round."""

from collections.abc import Sequence
from itertools import chain

from yolo_perf.archive.benchmarks import Benchmarks
from yolo_perf.errors import BaselineError
from yolo_perf.report.export.rows import csv_bytes, round_rows


def render(sessions: Sequence[Benchmarks]) -> bytes:
    """The rounds of all sessions as CSV. Raises BaselineError where a benchmark has none saved."""
    without = [each.name for session in sessions for each in session.benchmarks if not each.round_seconds]
    if without:
        raise BaselineError(
            f"No raw rounds are saved of {without[0]}"
            + (f" and {len(without) - 1} more" if len(without) > 1 else "")
            + ". pytest-benchmark keeps them with --benchmark-save-data or --benchmark-json; "
            "--format csv gives what there is."
        )
    rows = round_rows(sessions)
    first = next(rows)
    return csv_bytes(list(first), chain((first,), rows))  # there can be a million
