from typing import Any

import pytest

from tests.factories import UNLABELLED, UNTRAINED, accuracy, machine, measurement, run
from yolo_perf.backends.registry import backends
from yolo_perf.records import Accuracy, Comparison, Parity, Run, Weights
from yolo_perf.verdict.accuracy import LEAST_MAP, compare_accuracy, lost, missing_accuracy, standing, unknown

STATIC = "onnx-static-int8"


def judged(*rows: Accuracy) -> Run:
    return run(measurement(), measurement(backend=STATIC), accuracy=rows)


def by_boxes(backend: str, agreement: float, **changes: Any) -> Accuracy:
    """An accuracy of weights that find nothing of what is labelled, with so much agreement with eager."""
    return accuracy(backend, **{**UNTRAINED, "box_agreement": agreement, **changes})


def verdicts(found: tuple[Comparison, ...]) -> list[tuple[str, str]]:
    return [(each.label, each.verdict) for each in found]


def test_what_loses_more_against_eager_than_it_may_is_regressed_without_any_baseline() -> None:
    (found,) = compare_accuracy(None, judged(accuracy(), accuracy(STATIC, map50_95=0.267)))
    assert (found.label, found.verdict, found.metric) == (f"n-{STATIC}", "regressed", "accuracy")
    assert "0.267 is 0.100 below eager's" in found.reason
    assert found.nodeid.endswith("[n-onnx-static-int8]")
    assert compare_accuracy(None, judged(accuracy(), accuracy(STATIC, map50_95=0.36))) == ()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, ""),
        ({"map50_95": 0.0}, ""),
        ({"boxes": 200}, ""),
        ({"boxes": 199}, "too few labelled boxes: 199 (at least 200 would tell)"),
        ({"boxes": 1, "map50_95": 1.0, "eager_map50_95": 1.0}, "too few labelled boxes: 1 "),
        ({"boxes": 0}, "no box is labelled"),
        (UNLABELLED, "no box is labelled"),
        (UNTRAINED, "eager itself has mAP50-95 0.000 there (at least 0.1 would tell)"),
        ({"eager_map50_95": 0.1}, ""),
        ({"eager_map50_95": 0.0999}, "eager itself has mAP50-95 0.100 there"),
        ({"eager_map50_95": None}, "it is not recorded what eager finds there"),
    ],
)
def test_a_loss_is_known_only_where_eager_finds_what_is_labelled(changes: dict[str, Any], why: str) -> None:
    judged = accuracy(STATIC, **changes)
    assert unknown(judged).startswith(why)
    assert bool(unknown(judged)) == bool(why)
    assert (lost(judged) is None) == bool(why)
    assert standing(judged).basis == ("boxes" if why else "labels")


def test_one_that_finds_nothing_is_beyond_what_any_backend_may_lose() -> None:
    # The floor on eager's own mAP is at least twice what may be lost: else to find nothing would be no loss.
    for name, backend in backends().items():
        assert backend.max_map_drop <= LEAST_MAP / 2, name
        if name != "eager":
            blind = accuracy(name, map50_95=0.0, eager_map50_95=LEAST_MAP)
            assert standing(blind).fault == "loses 0.100"


@pytest.mark.parametrize(
    ("judged", "verdict"),
    [
        (by_boxes(STATIC, 0.5), []),
        (by_boxes(STATIC, 0.49), [(f"n-{STATIC}", "regressed")]),
        (by_boxes("onnx", 0.98), [("n-onnx", "regressed")]),
        (by_boxes("onnx", 0.99), []),
        (by_boxes("onnx", 1.0, compared_boxes=0), [("n-onnx", "inconclusive")]),
        (by_boxes("gone", 0.999), [("n-gone", "regressed")]),
        (by_boxes("onnx", 0.0, **UNLABELLED), [("n-onnx", "regressed")]),
        (by_boxes("onnx", 0.0, eager_map50_95=None, map50_95=0.3), [("n-onnx", "regressed")]),
        (by_boxes("onnx", 0.0, eager_map50_95=0.3, map50_95=0.3), []),  # labels tell
    ],
)
def test_boxes_decide_where_labels_tell_nothing(judged: Accuracy, verdict: list[tuple[str, str]]) -> None:
    found = compare_accuracy(None, run(accuracy=(judged,)))
    assert verdicts(found) == verdict
    assert all("accuracy is unknown: " in each.reason for each in found)


@pytest.mark.parametrize(
    ("before", "now", "verdict", "reason"),
    [
        ((0.002, 1.0), (0.03, 1.0), "unchanged", "within 0.02 of box agreement"),
        ((0.03, 1.0), (0.002, 1.0), "unchanged", "within 0.02 of box agreement"),
        ((0.03, 1.0), (0.03, 0.9), "regressed", "box agreement with eager 1.000 -> 0.900"),
        ((0.3, 1.0), (0.03, 1.0), "regressed", "mAP50-95 0.300 -> 0.030"),
        ((0.03, 1.0), (0.3, 1.0), "improved", "mAP50-95 0.030 -> 0.300"),
    ],
)
def test_two_precisions_are_compared_where_one_of_them_tells_something(
    before: tuple[float, float], now: tuple[float, float], verdict: str, reason: str
) -> None:
    base, head = (
        judged(accuracy(STATIC, map50_95=m, eager_map50_95=0.02, box_agreement=b)) for m, b in (before, now)
    )
    (found,) = compare_accuracy(base, head)
    assert (found.verdict, found.reason[: len(reason)]) == (verdict, reason)


def test_agreement_of_no_boxes_is_no_agreement_with_a_baseline_either() -> None:
    blind = judged(by_boxes("onnx", 1.0, compared_boxes=0))
    assert {each.verdict for each in compare_accuracy(blind, blind)} == {"inconclusive"}


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
    now = {"eager_map50_95": now.get("map50_95", 0.367), **now}  # it loses nothing against eager
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
    now = judged(accuracy(map50_95=0.1, eager_map50_95=0.1, **changes))
    assert compare_accuracy(judged(accuracy()), now) == ()


def test_another_machine_is_not_compared() -> None:
    assert compare_accuracy(run(accuracy=(accuracy(),), machine=machine(model=9)), judged(accuracy())) == ()


@pytest.mark.parametrize(("before", "now", "regressed"), [(12, 8, True), (12, 9.5, False), (120, 90, False)])
def test_what_was_only_timed_is_judged_by_its_noise(before: float, now: float, regressed: bool) -> None:
    base, head = (
        run(measurement(parity=Parity(sqnr_db=sqnr, box_agreement=1, images=2))) for sqnr in (before, now)
    )
    found = compare_accuracy(base, head)
    assert verdicts(found) == ([("n-eager", "regressed")] if regressed else [])


def test_noise_on_other_pictures_is_not_compared() -> None:
    base, head = (
        run(measurement(parity=Parity(sqnr_db=sqnr, box_agreement=1, images=images)))
        for sqnr, images in ((12.0, 2), (8.0, 8))
    )
    (found,) = compare_accuracy(base, head)
    assert (found.verdict, found.reason) == (
        "incomparable",
        "its agreement with eager is of 2 pictures then, 8 now: nothing to compare",
    )


def test_an_accuracy_that_is_no_longer_measured_is_missing() -> None:
    base, head = judged(accuracy(), accuracy(STATIC)), judged(accuracy())
    assert verdicts(missing_accuracy(base, head, ("n",))) == [(f"n-{STATIC}", "missing")]
    assert missing_accuracy(base, head, ()) == ()
    assert missing_accuracy(base, run(measurement(), accuracy=(accuracy(),)), ("n",)) == ()
