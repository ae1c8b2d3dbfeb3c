import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.factories import run
from tests.report.test_paired import result
from yolo_perf.archive.saved_pairs import PAIRS_BLOCK, SavedPairs, read_told
from yolo_perf.archive.saved_run import BLOCK, block
from yolo_perf.errors import BaselineError
from yolo_perf.report.paired import document


def written(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "ab.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_what_ab_writes_is_read_again(tmp_path: Path) -> None:
    found = read_told(written(tmp_path, document(result())))
    assert isinstance(found, SavedPairs)
    assert [each.label for each in found.decisions] == [each.label for each in result().decisions]
    assert [each.verdict for each in found.decisions] == [each.verdict for each in result().decisions]
    assert found.base.name == result().sides[0].name
    assert found.measured == result().measured


def test_a_bound_that_is_not_there_is_infinite(tmp_path: Path) -> None:
    plain: dict[str, Any] = document(result())
    plain[PAIRS_BLOCK]["decisions"][0]["ratio"] = {"point": 1.1, "low": 0.9, "high": None, "confidence": 0.95}
    found = read_told(written(tmp_path, plain))
    assert isinstance(found, SavedPairs)
    assert found.decisions[0].ratio is not None
    assert found.decisions[0].ratio.high == math.inf


def test_a_run_is_still_a_run(tmp_path: Path) -> None:
    assert read_told(written(tmp_path, {BLOCK: block(run())})) == run()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "is damaged or not a saved run"),
        ("{", "is damaged or not a saved run"),
        ({}, "was not written by yolo-perf"),
        ({PAIRS_BLOCK: {"schema": 99}}, "has schema 99, this yolo-perf reads up to 1"),
        ({PAIRS_BLOCK: {"schema": 1, "decisions": [{"ratio": 3}]}}, "is damaged or no paired comparison"),
        ({PAIRS_BLOCK: {"schema": 1, "decisions": "none"}}, "is damaged or no paired comparison"),
    ],
)
def test_what_is_none_is_refused_by_name(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(BaselineError, match=rf"ab\.json {message}"):
        read_told(written(tmp_path, content))
