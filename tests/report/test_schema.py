"""The JSON Schema of saved runs: shipped as the records make it, and true of what is saved."""

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.factories import accuracy, measurement, run
from yolo_perf.archive.saved_run import block
from yolo_perf.records import SCHEMA, Commit
from yolo_perf.report.schema import run_schema

SHIPPED = f"schema/yolo-perf-run-{SCHEMA}.json"
BASELINES = Path(__file__).parents[2] / "baselines"
RUN = run(measurement((0.04, 0.05)), measurement(backend="onnx", dtype="int8"), accuracy=(accuracy(),))


def shipped() -> str:
    return (files("yolo_perf") / SHIPPED).read_text(encoding="utf-8")


def errors(document: object) -> list[str]:
    """Where a document is not as the schema says."""
    found = Draft202012Validator(json.loads(shipped())).iter_errors(document)
    return sorted({error.json_path for error in found})


def saved() -> dict[str, Any]:
    """A run's file as it lies on disk."""
    document: dict[str, Any] = json.loads(json.dumps({"benchmarks": [], "yolo_perf": block(RUN)}))
    return document


def first(block: dict[str, Any]) -> dict[str, Any]:
    """A block's first measurement."""
    found: dict[str, Any] = block["measurements"][0]
    return found


def test_the_shipped_schema_is_what_the_records_make() -> None:
    assert shipped() == run_schema(), f"Records have changed: yolo-perf schema --output yolo_perf/{SHIPPED}"


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(json.loads(shipped()))


@pytest.mark.parametrize(
    "path",
    [path for path in BASELINES.glob("*/*.json") if path.parent.name != "reference"],
    ids=lambda path: f"{path.parent.name}/{path.name}",
)
def test_committed_baselines_are_valid(path: Path) -> None:
    assert errors(json.loads(path.read_text(encoding="utf-8"))) == []


def test_a_run_is_valid_and_so_is_its_block_alone() -> None:
    assert errors(saved()) == []
    schema = json.loads(shipped())
    alone = {"$ref": "#/$defs/Run", "$defs": schema["$defs"]}
    assert list(Draft202012Validator(alone).iter_errors(saved()["yolo_perf"])) == []
    bare = json.loads(json.dumps({"yolo_perf": block(run(commit=Commit()))}))
    assert errors(bare) == []


@pytest.mark.parametrize(
    ("spoil", "where"),
    [
        (lambda block: block.clear(), "$.yolo_perf"),
        (lambda block: block.pop("machine"), "$.yolo_perf"),
        (lambda block: block.update(schema=SCHEMA + 1), "$.yolo_perf.schema"),
        (lambda block: block.update(created=1), "$.yolo_perf.created"),
        (lambda block: block["peaks"].update(bytes_per_s=0), "$.yolo_perf.peaks.bytes_per_s"),
        (lambda block: first(block).update(round_seconds=[]), "$.yolo_perf.measurements[0].round_seconds"),
        (lambda block: first(block).update(round_seconds=[-1]), "$.yolo_perf.measurements[0].round_seconds[0]"),
        (lambda block: first(block)["case"].update(dtype="fp8"), "$.yolo_perf.measurements[0].case.dtype"),
        (lambda block: block["accuracy"][0].update(box_agreement=1.1), "$.yolo_perf.accuracy[0].box_agreement"),
    ],
)
def test_a_spoiled_run_is_not(spoil: Callable[[dict[str, Any]], object], where: str) -> None:
    document = saved()
    spoil(document["yolo_perf"])
    assert errors(document) == [where]


def test_a_file_without_the_block_is_not() -> None:
    assert errors({"benchmarks": []}) == ["$"]
