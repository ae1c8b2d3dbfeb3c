"""The JSON Schema of a saved run, made from the records that read it."""

import msgspec

from yolo_perf.records import SCHEMA, Run
from yolo_perf.verdict.baselines import BLOCK

Schema = dict[str, object]


def run_schema() -> Schema:
    """JSON Schema (Draft 2020-12) of a file with a `yolo_perf` block; `#/$defs/Run` is that of the block alone."""
    (run,), records = msgspec.json.schema_components([Run], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A saved run of yolo-perf, schema {SCHEMA}",
        "description": f"pytest-benchmark's JSON with a `{BLOCK}` block. SI base units: seconds, bytes, FLOP.",
        "type": "object",
        "required": [BLOCK],
        "properties": {BLOCK: run},
        "$defs": records,
    }
