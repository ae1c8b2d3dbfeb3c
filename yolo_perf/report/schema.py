"""The JSON Schema of a saved run, made from the records that read it."""

import json

import msgspec

from yolo_perf.archive.saved_run import BLOCK
from yolo_perf.records import SCHEMA, Run


def run_schema() -> str:
    """JSON Schema (Draft 2020-12) of a file with a `yolo_perf` block; `#/$defs/Run` is that of the block alone."""
    (run,), records = msgspec.json.schema_components([Run], ref_template="#/$defs/{name}")
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A saved run of yolo-perf, schema {SCHEMA}",
        "description": f"pytest-benchmark's JSON with a `{BLOCK}` block. SI base units: seconds, bytes, FLOP.",
        "type": "object",
        "required": [BLOCK],
        "properties": {BLOCK: run},
        "$defs": records,
    }
    return json.dumps(schema, indent=2) + "\n"
