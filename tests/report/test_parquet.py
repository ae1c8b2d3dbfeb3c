"""Parquet: the types that it says, and the figures of CSV."""

import json
import sys
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from tests.factories import measurement, run
from tests.report.test_export import LATER, OWN, plain, rows
from yolo_perf.archive.benchmarks import read_benchmarks
from yolo_perf.archive.saved_run import block
from yolo_perf.errors import YoloPerfError
from yolo_perf.report.export import renderer
from yolo_perf.report.export.parquet import TYPES


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    path = tmp_path / "cases.parquet"
    path.write_bytes(renderer("parquet")([OWN, LATER, plain(), plain("a", 1e-6, 2e-6, 3e-6)]))
    return path


def test_parquet_has_the_types_that_it_says(parquet: Path) -> None:
    with duckdb.connect() as connection:
        described = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(parquet)]).fetchall()
    names = {"TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE"}
    assert [row[:2] for row in described] == [(name, names.get(type_, type_)) for name, type_ in TYPES.items()]


def test_parquet_has_the_figures_of_csv_and_the_rounds(parquet: Path) -> None:
    expected = rows("csv", OWN, LATER, plain(), plain("a"))
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT * REPLACE (epoch_us(created) AS created) FROM read_parquet(?)", [str(parquet)]
        ).fetchall()
    for row, known in zip(found, expected, strict=True):
        values = dict(zip(TYPES, row, strict=True))
        moment = datetime.fromisoformat(known.pop("created"))
        assert values.pop("created") == moment.timestamp() * 1e6
        values.pop("round_seconds")
        assert {name: "" if value is None else str(value) for name, value in values.items()} == known
    assert [row[-1] for row in found[1:]] == [[0.4, 0.2], [0.01], [0.06], [], [1e-6, 2e-6, 3e-6]]


def test_parquet_takes_the_greatest_counts(tmp_path: Path) -> None:
    greatest = {
        "macs": 2**62 - 1,
        "other_flops": 2**62 - 1,
        "weight_bytes": 2**62 - 1,
        "activation_bytes": 2**62 - 1,
    }
    whole = run(measurement((0.04,)))
    document = block(whole)
    document["measurements"][0]["work"].update(greatest)
    path = tmp_path / "run.json"
    path.write_text(json.dumps({"yolo_perf": document}))
    target = tmp_path / "cases.parquet"
    target.write_bytes(renderer("parquet")([read_benchmarks(path)]))
    with duckdb.connect() as connection:
        query = "SELECT flops, compulsory_bytes FROM read_parquet(?)"
        assert connection.execute(query, [str(target)]).fetchone() == (3 * (2**62 - 1), 2 * (2**62 - 1))


def test_parquet_takes_as_many_rounds_as_a_file_holds(tmp_path: Path) -> None:
    many = plain("a", *[0.1234567890123456] * 1_000_000)  # 19 MB in one row
    path = tmp_path / "cases.parquet"
    path.write_bytes(renderer("parquet")([many]))
    with duckdb.connect() as connection:
        assert connection.execute("SELECT len(round_seconds) FROM read_parquet(?)", [str(path)]).fetchone() == (
            1_000_000,
        )


def test_parquet_without_duckdb_says_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(YoloPerfError, match=r"pip install 'yolo-perf\[history\]'"):
        renderer("parquet")([OWN])
