"""CSV, one tidy row a benchmark and session."""

from collections.abc import Sequence

from yolo_perf.archive.benchmarks import Benchmarks
from yolo_perf.report.export.rows import case_rows, csv_bytes


def render(sessions: Sequence[Benchmarks]) -> bytes:
    """The rows of all sessions as CSV."""
    rows = case_rows(sessions)
    return csv_bytes(list(dict.fromkeys(name for row in rows for name in row)), rows)
