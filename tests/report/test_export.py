"""Every format, read back by its own consumer's parser or schema."""

import csv
import json
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from prometheus_client import Metric, parser
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.factories import UNLABELLED, UNTRAINED, accuracy, machine, measurement, peaks, run
from yolo_perf.analysis.figures import figures
from yolo_perf.archive.benchmarks import Benchmark, Benchmarks, of_run
from yolo_perf.archive.histories import Spread
from yolo_perf.errors import BaselineError, UsageError
from yolo_perf.escape import spelled as printable
from yolo_perf.machine.naming import slug
from yolo_perf.records import Commit, Measurement, Run, Weights
from yolo_perf.report import export
from yolo_perf.report.export import MODULES, renderer
from yolo_perf.report.plain import saved_rows

HERE = slug(machine())
XEON = machine(cpu_model="Intel Xeon")
ROOF = "yolo_perf_peak_flops_per_second"
HOSTILE = ("a\nb", 'a"b', "a\\b", "=cmd|' /C calc'!A1", "@SUM(1)", "a\0b\x1b[31m", "ä漢", "\u2028", "a,b;c\rd")

# What the action's extract.ts takes: `range` and `extra` may be left out.
GITHUB_ACTION_BENCHMARK: dict[str, Any] = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["name", "unit", "value"],
        "properties": {
            "name": {"type": "string", "minLength": 1},
            "unit": {"type": "string", "minLength": 1},
            "value": {"type": "number"},
            "range": {"type": "string", "pattern": r"^± \d+(\.\d+)?(e[+-]\d+)?$"},  # one that it can scale
            "extra": {"type": "string"},
        },
        "additionalProperties": False,
    },
}
# Bencher Metric Format, with the lengths that Bencher takes names and slugs in.
BENCHER: dict[str, Any] = {
    "type": "object",
    "minProperties": 1,
    "propertyNames": {"minLength": 1, "maxLength": 1024},
    "additionalProperties": {
        "type": "object",
        "propertyNames": {"pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "maxLength": 64},
        "additionalProperties": {
            "type": "object",
            "required": ["value"],
            "properties": {name: {"type": "number"} for name in ("value", "lower_value", "upper_value")},
            "additionalProperties": False,
        },
    },
}


def session(saved: Run) -> Benchmarks:
    """A run as it is read from a file."""
    return of_run(Path("run.json"), saved)


def plain(name: str = "tests/test_sum.py::test_sum", *rounds: float, day: int = 1) -> Benchmarks:
    """A session of plain pytest-benchmark, with a benchmark of 1, 2 and 3 microseconds."""
    return Benchmarks(
        created=datetime(2026, 1, day, tzinfo=UTC),
        machine="amd-epyc-2-cpus",
        cpu_model="AMD EPYC",
        commit=Commit(),
        benchmarks=(
            Benchmark(
                name=printable(name),
                median_s=2e-6,
                min_s=1e-6,
                low_s=1e-6,
                high_s=3e-6,
                max_s=3e-6,
                rounds=3,
                round_seconds=rounds,
            ),
        ),
    )


OWN = session(
    run(
        measurement((0.03, 0.04, 0.05)),
        measurement((0.4, 0.2), backend="batched", batch=4),
        measurement((0.01,), backend="onnx-static-int8", dtype="int8"),
        accuracy=(accuracy(), accuracy("batched", batch=4, map50=None, map50_95=None)),
    )
)
LATER = session(run(measurement((0.06,)), created="2026-02-01T00:00:00+00:00", commit=Commit()))
ELSEWHERE = session(run(measurement((0.02,)), machine=XEON))


def text(form: str, *sessions: Benchmarks) -> str:
    return renderer(form)(sessions).decode()


def rows(form: str, *sessions: Benchmarks) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(text(form, *sessions))))


def families(content: str) -> dict[str, Metric]:
    """Families by name, as Prometheus's own parser of OpenMetrics reads them."""
    return {family.name: family for family in text_string_to_metric_families(content)}


def named(texts: str) -> Measurement:
    """A measurement of a case with a hostile name."""
    weights = Weights(source=texts, digest="0" * 64, parameters=1, classes=80)
    return measurement((0.04,), size=texts, backend=texts, weights=weights)


def test_every_module_is_a_format_with_a_name() -> None:
    folder = Path(str(export.__file__)).parent
    assert {path.stem for path in folder.glob("*.py")} - {"__init__", "rows"} == set(MODULES.values())


def test_github_action_benchmark() -> None:
    entries = json.loads(text("github-action-benchmark", OWN))
    Draft202012Validator(GITHUB_ACTION_BENCHMARK).validate(entries)
    assert entries[0] == {
        "name": f"n-eager-b1-640px-t2 ({HERE})",
        "unit": "ms",
        "value": 40.0,
        "range": "± 10.000000000000002",  # half of what lies between 30 and 50 ms
        "extra": "25.0 images/s\nutilisation 50.0 % of fp32\n3 rounds",  # 4 GFLOP in 40 ms, under 200 GFLOP/s
    }
    assert entries[2]["extra"].endswith("\n1 round")


def test_github_action_benchmark_tells_machines_apart_and_takes_the_newest() -> None:
    entries = json.loads(text("github-action-benchmark", LATER, OWN, ELSEWHERE, plain()))
    found = {each["name"]: each["value"] for each in entries}
    assert found[f"n-eager-b1-640px-t2 ({HERE})"] == 60.0
    assert found[f"n-eager-b1-640px-t2 ({slug(XEON)})"] == 20.0
    assert found["tests/test_sum.py::test_sum (amd-epyc-2-cpus)"] == 0.002
    assert len(found) == len(entries) == 5


def test_github_action_benchmark_says_what_is_no_usual_session() -> None:
    (entry,) = json.loads(text("github-action-benchmark", session(run(measurement(), complete=False))))
    assert entry["extra"].endswith("\nThis session was interrupted.")


def test_bencher() -> None:
    found = json.loads(text("bencher", OWN, LATER))
    Draft202012Validator(BENCHER).validate(found)
    eager = found["n-eager-b1-640px-t2"]  # the newest: 60 ms, 4 GFLOP under 200 GFLOP/s
    assert eager["latency"] == {"value": 6e7, "lower_value": 6e7, "upper_value": 6e7}
    assert eager["utilization"]["value"] == pytest.approx(1 / 3)
    assert "map" not in eager
    batched = found["n-batched-b4-640px-t2"]  # 75 ms an image, between 50 and 100
    assert batched["throughput"] == pytest.approx({"value": 40 / 3, "lower_value": 10, "upper_value": 20})
    assert set(batched) == {"latency", "throughput", "utilization"}
    assert json.loads(text("bencher", OWN))["n-eager-b1-640px-t2"]["map"] == {"value": 0.367}


def test_bencher_takes_one_machine() -> None:
    with pytest.raises(UsageError, match=f"these runs are of 2: {HERE}, {slug(XEON)}"):
        renderer("bencher")([OWN, ELSEWHERE])


def test_bencher_takes_no_longer_names() -> None:
    long, other = "ä" * 600, "ä" * 601
    found = json.loads(text("bencher", plain(long), plain(other), plain("b" * 1024)))
    assert len(found) == 3
    assert "b" * 1024 in found
    assert all(len(name.encode()) <= 1024 for name in found)
    assert set(found["b" * 1024]) == {"latency"}


def test_openmetrics() -> None:
    content = text("openmetrics", OWN, LATER, ELSEWHERE, plain())
    assert content.endswith("\n# EOF\n")
    found = families(content)
    latency = found["yolo_perf_latency_seconds"]
    assert (latency.type, latency.unit) == ("gauge", "seconds")
    values = {(s.labels["machine"], s.labels["optimization"]): s.value for s in latency.samples}
    assert values == {
        (HERE, "eager"): 0.06,
        (HERE, "batched"): pytest.approx(0.075),
        (HERE, "onnx-static-int8"): 0.01,
        (slug(XEON), "eager"): 0.02,
    }
    (eager,) = (s for s in latency.samples if s.value == 0.06)
    assert eager.labels == {
        "machine": HERE,
        "size": "n",
        "optimization": "eager",
        "batch": "1",
        "image_size": "640",
        "threads": "2",
        "dtype": "fp32",
    }
    roofs = {(s.labels["machine"], s.labels["dtype"]): s.value for s in found[ROOF].samples}
    assert roofs[HERE, "int8"] == 400e9
    assert len(roofs) == 4
    (call,) = found["pytest_benchmark_median_seconds"].samples
    assert (call.labels["benchmark"], call.value) == ("tests/test_sum.py::test_sum", 2e-6)
    measured = found["yolo_perf_measured_timestamp_seconds"].samples
    assert {s.labels["commit"]: s.value for s in measured if s.labels.get("optimization") == "batched"} == {
        "abc1234": 1767225600.0  # 2026-01-01
    }
    assert all(name.endswith(f"_{family.unit}") for name, family in found.items())


def test_openmetrics_is_read_as_the_older_format_too() -> None:
    content = text("openmetrics", OWN, plain())
    older = {family.name: family for family in parser.text_string_to_metric_families(content)}
    assert {name: family.samples for name, family in older.items()} == {
        name: family.samples for name, family in families(content).items()
    }


def test_what_nobody_measured_is_left_out() -> None:
    assert "yolo_perf_map_ratio" in families(text("openmetrics", OWN))
    assert "yolo_perf_map_ratio" not in families(text("openmetrics", LATER))
    assert set(families(text("openmetrics", plain()))) == {
        "pytest_benchmark_median_seconds",
        "pytest_benchmark_min_seconds",
        "yolo_perf_measured_timestamp_seconds",
    }


def test_the_newest_roofs_stand_though_an_older_session_has_more_cases() -> None:
    old = session(run(measurement(), measurement(backend="onnx")))
    slower = replace(peaks(), flops_per_s={"fp32": 100e9})
    new = session(run(measurement(), created="2026-03-01T00:00:00+00:00", peaks=slower))
    for order in ([new, old], [old, new]):
        samples = families(text("openmetrics", *order))[ROOF].samples
        assert {s.labels["dtype"]: s.value for s in samples} == {"fp32": 100e9, "int8": 400e9}


def test_csv_is_one_row_a_case_and_run() -> None:
    found = rows("csv", OWN, LATER, plain())
    assert [(row["created"][:10], row["benchmark"]) for row in found] == [
        ("2026-01-01", "n-eager-b1-640px-t2"),
        ("2026-01-01", "n-batched-b4-640px-t2"),
        ("2026-01-01", "n-onnx-static-int8-b1-640px-t2"),
        ("2026-02-01", "n-eager-b1-640px-t2"),
        ("2026-01-01", "tests/test_sum.py::test_sum"),
    ]
    assert [row["map50_95"] for row in found] == ["0.367", "", "", "", ""]
    assert [row["commit"] for row in found] == ["abc1234"] * 3 + ["", ""]
    assert (found[-1]["latency_s"], found[-1]["images_per_s"], found[-1]["batch"]) == ("2e-06", "", "")


positive = st.floats(min_value=1e-9, max_value=1e6)


@given(st.lists(positive, min_size=1, max_size=5), st.integers(1, 64))
def test_csv_has_the_figures_exactly(rounds: list[float], batch: int) -> None:
    own = measurement(tuple(rounds), batch=batch)
    saved = session(run(own))
    assert saved.run is not None
    (row,) = rows("csv", saved)
    for name, value in figures(own, saved.run.peaks).items():
        assert row[name] == ("" if value is None else str(value))
        assert not isinstance(value, float) or float(row[name]) == value
    (shown,) = saved_rows(saved.run, [Spread(sessions=0, deviation=None)])
    assert all(row[name] == ("" if value is None else str(value)) for name, value in shown.items() if name in row)


def test_the_accuracy_of_other_weights_is_not_a_cases_own() -> None:
    others = Weights(source="best.pt", digest="1" * 64, parameters=1_867_405, classes=80)
    (row,) = rows("csv", session(run(measurement(), accuracy=(accuracy(weights=others),))))
    assert (row["weights"], row["map50"], row["map50_95"]) == ("seeded", "", "")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, 0.367),
        (UNTRAINED, None),
        (UNLABELLED, None),
        ({"boxes": 3}, None),
        ({"map50_95": 0.0}, 0.0),  # eager finds them, and this does not: that is what a tracker is for
        ({"eager_map50_95": None}, 0.367),  # of an older file
    ],
)
def test_trackers_get_a_precision_only_where_it_tells_something(
    changes: dict[str, Any], told: float | None
) -> None:
    found = session(run(measurement(), accuracy=(accuracy(**changes),)))
    (benchmark,) = json.loads(text("bencher", found)).values()
    assert benchmark.get("map") == (None if told is None else {"value": told})
    lines = [line for line in text("openmetrics", found).splitlines() if line.startswith("yolo_perf_map_ratio{")]
    assert [float(line.split()[-1]) for line in lines] == ([] if told is None else [told])


def test_rows_have_the_precision_with_what_it_is_worth() -> None:
    found = [
        rows(kind, session(run(measurement(), accuracy=(accuracy(**changes),))))[0]
        for kind, changes in (("csv", {}), ("csv", UNTRAINED))
    ]
    names = ("map50_95", "eager_map50_95", "box_agreement", "accuracy_unknown")
    assert [found[0][name] for name in names] == ["0.367", "0.367", "1.0", ""]
    assert [found[1][name] for name in names[:3]] == ["0.0", "0.0", "1.0"]
    assert found[1]["accuracy_unknown"].startswith("eager itself has mAP50-95 0.000")


def test_csv_of_rounds_is_one_row_a_round() -> None:
    found = rows("csv-rounds", OWN, plain("a::b", 1e-6, 3e-6))
    batched = [row for row in found if row["optimization"] == "batched"]
    assert [(row["round"], row["seconds"], row["batch"]) for row in batched] == [
        ("0", "0.4", "4"),
        ("1", "0.2", "4"),
    ]
    assert [(row["benchmark"], row["seconds"], row["batch"]) for row in found[-2:]] == [
        ("a::b", "1e-06", ""),
        ("a::b", "3e-06", ""),
    ]
    assert len(found) == 3 + 2 + 1 + 2


def test_csv_of_rounds_needs_rounds() -> None:
    with pytest.raises(BaselineError, match=r"No raw rounds are saved of tests/.* and 1 more"):
        renderer("csv-rounds")([OWN, plain(), plain("other")])


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_break_no_format(name: str, tmp_path: Path) -> None:
    own, foreign = session(run(named(name))), plain(name, 1e-6, 2e-6)
    shown = printable(name)
    for form, schema in (("github-action-benchmark", GITHUB_ACTION_BENCHMARK), ("bencher", BENCHER)):
        for each in (own, foreign):
            document = json.loads(text(form, each))
            Draft202012Validator(schema).validate(document)
            assert shown in json.dumps(document, ensure_ascii=False).replace("\\\\", "\\").replace('\\"', '"')
    found = families(text("openmetrics", own, foreign))
    assert found["yolo_perf_latency_seconds"].samples[0].labels["size"] == shown
    assert found["pytest_benchmark_median_seconds"].samples[0].labels["benchmark"] == shown
    for form in ("csv", "csv-rounds"):
        for each in (own, foreign):
            for row in rows(form, each):
                cells = [row["benchmark"], row["size"], row["optimization"], row.get("weights", "")]
                assert all(cell.removeprefix("'") in ("", shown, own.benchmarks[0].name) for cell in cells)
                assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)
    target = tmp_path / "cases.parquet"
    target.write_bytes(renderer("parquet")([own, foreign]))
    with duckdb.connect() as connection:
        query = "SELECT benchmark, size FROM read_parquet(?)"
        assert connection.execute(query, [str(target)]).fetchall() == [
            (own.benchmarks[0].name, shown),
            (shown, None),
        ]


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_label_comes_back(name: str) -> None:
    found = families(text("openmetrics", session(run(named(name))), plain(name)))
    for family in found.values():
        for sample in family.samples:
            assert sample.labels.get("benchmark", printable(name)) == printable(name)
            assert sample.labels.get("size", printable(name)) == printable(name)


def test_two_of_one_name_are_one_sample() -> None:
    twice = session(run(measurement((0.04,)), measurement((0.05,))))
    (sample,) = families(text("openmetrics", twice))["yolo_perf_latency_seconds"].samples
    assert sample.value == 0.05
    assert len(json.loads(text("github-action-benchmark", twice))) == 1
    assert len(rows("csv", twice)) == 2
