"""Apache Parquet: the rows of `csv`, with types, and each benchmark's raw rounds as a list. Written by DuckDB."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from yolo_perf.archive.benchmarks import Benchmarks
from yolo_perf.errors import YoloPerfError
from yolo_perf.report.export.rows import case_rows

TYPES = {
    "created": "TIMESTAMPTZ",
    "machine": "VARCHAR",
    "cpu_model": "VARCHAR",
    "commit": "VARCHAR",
    "branch": "VARCHAR",
    "dirty": "BOOLEAN",
    "caution": "VARCHAR",
    "benchmark": "VARCHAR",
    "size": "VARCHAR",
    "optimization": "VARCHAR",
    "rounds": "BIGINT",
    "latency_s": "DOUBLE",
    "min_s": "DOUBLE",
    "low_s": "DOUBLE",
    "high_s": "DOUBLE",
    "max_s": "DOUBLE",
    "images_per_s": "DOUBLE",
    "achieved_flops_per_s": "DOUBLE",
    "attainable_flops_per_s": "DOUBLE",
    "utilization": "DOUBLE",
    "bound": "VARCHAR",
    "macs": "BIGINT",
    "flops": "UBIGINT",  # twice a count that a signed one may just hold
    "weight_bytes": "BIGINT",
    "compulsory_bytes": "BIGINT",
    "operational_intensity": "DOUBLE",
    "parameters": "BIGINT",
    "weights": "VARCHAR",
    "parity_sqnr_db": "DOUBLE",
    "parity_box_agreement": "DOUBLE",
    "threads": "BIGINT",
    "batch": "BIGINT",
    "image_size": "BIGINT",
    "dtype": "VARCHAR",
    "allocator": "VARCHAR",
    "page_faults_per_image": "DOUBLE",
    "involuntary_switches_per_round": "DOUBLE",
    "other_work_share": "DOUBLE",
    "map50": "DOUBLE",
    "map50_95": "DOUBLE",
    "eager_map50_95": "DOUBLE",
    "box_agreement": "DOUBLE",
    "accuracy_unknown": "VARCHAR",  # why mAP is no evidence; empty where it is
    "round_seconds": "DOUBLE[]",
}
"""The columns and their types, so that an empty one has the type of a full one."""


def render(sessions: Sequence[Benchmarks]) -> bytes:
    """One row a benchmark and session. Raises YoloPerfError where DuckDB is missing or fails."""
    try:
        import duckdb
    except ImportError as error:
        raise YoloPerfError(
            f"Parquet is written by DuckDB, which cannot be imported ({error}). pip install 'yolo-perf[history]'"
        ) from error
    rounds = [each.round_seconds for session in sessions for each in session.benchmarks]
    lines = [
        msgspec.json.encode({**row, "round_seconds": raw})
        for row, raw in zip(case_rows(sessions), rounds, strict=True)
    ]
    with TemporaryDirectory() as folder:  # DuckDB writes files only
        source, target = Path(folder, "rows.json"), Path(folder, "rows.parquet")
        source.write_bytes(b"\n".join(lines))
        try:
            with duckdb.connect() as connection:
                connection.execute("SET autoinstall_known_extensions = false")  # nothing is fetched from a server
                connection.read_json(
                    str(source),
                    format="newline_delimited",
                    columns=TYPES,
                    maximum_object_size=max(map(len, lines)) + 1,
                ).write_parquet(str(target))
        except duckdb.Error as error:
            raise YoloPerfError(f"DuckDB could not write Parquet: {error}") from error
        return target.read_bytes()
