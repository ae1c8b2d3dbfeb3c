from typing import Any

import pytest

from tests.factories import accuracy, machine, measurement, run
from yolo_perf.records import Accuracy, Comparison, Parity, Run, Weights
from yolo_perf.verdict.accuracy import compare_accuracy, lost, missing_accuracy

STATIC = "onnx-static-int8"


def judged(*rows: Accuracy) -> Run:
    return run(measurement(), measurement(backend=STATIC), accuracy=rows)


def verdicts(found: tuple[Comparison, ...]) -> list[tuple[str, str]]:
    return [(each.label, each.verdict) for each in found]


def test_what_loses_more_against_eager_than_it_may_is_regressed_without_any_baseline() -> None:
    (found,) = compare_accuracy(None, judged(accuracy(), accuracy(STATIC, map50_95=0.267)))
    assert (found.label, found.verdict, found.metric) == (f"n-{STATIC}", "regressed", "accuracy")
    assert "0.267 is 0.100 below eager's" in found.reason
    assert found.nodeid.endswith("[n-onnx-static-int8]")
    assert compare_accuracy(None, judged(accuracy(), accuracy(STATIC, map50_95=0.36))) == ()


@pytest.mark.parametrize(
    ("now", "verdict"),
    [
        ({}, "unchanged"),
        ({"map50_95": 0.3621}, "unchanged"),
        ({"map50_95": 0.3615}, "regressed"),
        ({"map50_95": 0.373}, "improved"),
        ({"map50_95": None, "map50": None}, "unchanged"),
        ({"box_agreement": 0.97}, "regressed"),
        ({"box_agreement": 0.985}, "unchanged"),
    ],
)
def test_a_baseline_is_compared_by_precision_then_by_agreement(now: dict[str, Any], verdict: str) -> None:
    found = compare_accuracy(judged(accuracy("onnx")), judged(accuracy("onnx", **now)))
    assert verdicts(found) == [("n-onnx", verdict)]


@pytest.mark.parametrize(
    "changes",
    [
        {"pictures": 64},
        {"data": "mine"},
        {"boxes": 928},
        {"protocol": "square"},
        {"weights": Weights(source="x", digest="1" * 64, parameters=1, classes=80)},
    ],
)
def test_other_ground_is_not_compared(changes: dict[str, Any]) -> None:
    now = judged(accuracy(map50_95=0.1, **changes))
    assert compare_accuracy(judged(accuracy()), now) == ()
    assert lost(accuracy("onnx", map50_95=0.3), now) is None


def test_another_machine_is_not_compared() -> None:
    assert compare_accuracy(run(accuracy=(accuracy(),), machine=machine(model=9)), judged(accuracy())) == ()


@pytest.mark.parametrize(("before", "now", "regressed"), [(12, 8, True), (12, 9.5, False), (120, 90, False)])
def test_what_was_only_timed_is_judged_by_its_noise(before: float, now: float, regressed: bool) -> None:
    base, head = (
        run(measurement(parity=Parity(sqnr_db=sqnr, box_agreement=1, images=2))) for sqnr in (before, now)
    )
    found = compare_accuracy(base, head)
    assert verdicts(found) == ([("n-eager", "regressed")] if regressed else [])


def test_an_accuracy_that_is_no_longer_measured_is_missing() -> None:
    base, head = judged(accuracy(), accuracy(STATIC)), judged(accuracy())
    assert verdicts(missing_accuracy(base, head, ("n",))) == [(f"n-{STATIC}", "missing")]
    assert missing_accuracy(base, head, ()) == ()
    assert missing_accuracy(base, run(measurement(), accuracy=(accuracy(),)), ("n",)) == ()
