from typing import Any

import pytest

from tests.factories import UNLABELLED, UNTRAINED, accuracy, measurement, run
from yolo_perf.report.accuracy import accuracy as table
from yolo_perf.report.accuracy import against_eager
from yolo_perf.report.markdown import markdown
from yolo_perf.report.page_tables import figure_tables
from yolo_perf.report.plain import accuracy_rows
from yolo_perf.report.story import Story
from yolo_perf.report.tables import results

STATIC = "onnx-static-int8"


def test_the_table() -> None:
    rows = (
        accuracy(),
        accuracy("onnx", map50_95=0.366, sqnr_db=113.7),
        accuracy(STATIC, map50=0.511, map50_95=0.319, sqnr_db=11.7, box_agreement=0.991),
        accuracy("compile", protocol="square", map50_95=0.357, eager_map50_95=0.358),
    )
    assert table(run(accuracy=rows)).splitlines()[:9] == [
        "accuracy           mAP50 mAP50-95  lost may lose SQNR dB boxes %",
        "─────────────────────────────────────────────────────────────────────────",
        "n-eager            0.563    0.367 0.000    0.000   200.0   100.0",
        "n-onnx             0.563    0.366 0.001    0.002   113.7   100.0",
        "n-onnx-static-int8 0.511    0.319 0.048    0.035    11.7    99.1 too much",
        "n-compile          0.563    0.357 0.001    0.002   200.0   100.0",
        "128 pictures of coco128, 929 labelled boxes, weights seeded, 640 px, square for",
        "compile, else rectangular.",
        "Average precision is COCO's by pycocotools: 101 points, the mean over the",
    ]


def test_a_loss_of_minus_nothing_is_nothing() -> None:
    rows = (accuracy(), accuracy("onnx", map50_95=0.367 + 1e-9), accuracy(STATIC, map50_95=0.369))
    lost = [line.split()[3] for line in table(run(accuracy=rows)).splitlines()[2:5]]
    assert lost == ["0.000", "0.000", "-0.002"]


def test_without_labels_there_is_agreement_only() -> None:
    text = table(run(accuracy=(accuracy(**UNLABELLED),)))
    row = ["-", "-", "-", "-", "200.0", "100.0", "unknown"]
    assert [line.split()[1:] for line in text.splitlines()[2:3]] == [row]
    assert "no labels, so no average precision" in text
    assert "Accuracy is unknown: no box is labelled. The boxes decide: 100 % are asked for." in text
    assert "pycocotools" not in text


def test_a_precision_of_weights_that_find_nothing_is_no_loss_and_no_pass() -> None:
    rows = (
        accuracy(**UNTRAINED),
        accuracy("onnx", **UNTRAINED, box_agreement=0.998),
        accuracy(STATIC, **UNTRAINED, box_agreement=0.0),
        accuracy("openvino", **{**UNTRAINED, "map50_95": 0.02}, compared_boxes=0),
    )
    text = table(run(accuracy=rows))
    assert text.splitlines()[2:6] == [
        "n-eager            0.000    0.000    -        -   200.0   100.0 unknown",
        "n-onnx             0.000    0.000    -        -   200.0    99.8 unknown",
        "n-onnx-static-int8 0.000    0.000    -        -   200.0     0.0 too few",
        "n-openvino         0.000    0.020    -        -   200.0   100.0 unknown",
    ]
    notes = " ".join(text.split())
    why = "is unknown: eager itself has mAP50-95 0.000 there (at least 0.1 would tell)"
    assert f"Accuracy of n-eager, n-onnx, n-onnx-static-int8 {why}. The boxes decide: 50 to 100 % are" in notes
    assert f"Accuracy of n-openvino {why}, and neither it nor eager finds a box. Nothing can be said." in notes
    assert max(map(len, text.splitlines())) <= 80


def test_where_some_cases_are_known_the_others_have_a_question_mark() -> None:
    cases = [measurement(backend=name) for name in ("eager", STATIC, "onnx")]
    judged = (accuracy(), accuracy(STATIC, **UNTRAINED, box_agreement=0.3), accuracy("onnx", boxes=9))
    rows = {line.split()[0]: line.split() for line in results(run(*cases, accuracy=judged)).splitlines() if line}
    assert rows["optimisation"][-2:] == ["mAP", "bound"]
    assert [rows[name][-2] for name in ("eager", STATIC, "onnx")] == ["0.367", "?", "?"]


def test_boxes_that_are_too_few_are_marked_and_none_are_no_agreement() -> None:
    cases = [measurement(backend=name) for name in ("eager", STATIC, "onnx", "openvino")]
    judged = (
        accuracy(**UNTRAINED),
        accuracy(STATIC, **UNTRAINED, box_agreement=0.3),
        accuracy("onnx", **UNTRAINED, compared_boxes=0),
    )
    rows = {line.split()[0]: line.split() for line in results(run(*cases, accuracy=judged)).splitlines() if line}
    assert rows["optimisation"][-3:] == ["boxes", "%", "bound"]
    found = [rows[name][-2] for name in ("eager", STATIC, "onnx", "openvino")]
    assert found == ["100.0", "30.0!", "?", "100.0"]  # the last was only timed


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "within"),
        ({"map50_95": 0.3}, "loses 0.067"),
        (UNTRAINED, "unknown, boxes agree"),
        ({**UNTRAINED, "box_agreement": 0.4}, "unknown, too few boxes"),
        ({**UNTRAINED, "compared_boxes": 0}, "unknown, no evidence"),
    ],
)
def test_how_a_case_stands_is_said_in_every_door(changes: dict[str, Any], words: str) -> None:
    judged = accuracy(STATIC, **changes)
    assert against_eager(judged) == words
    told = run(measurement(backend=STATIC), accuracy=(judged,))
    (page_table, *_) = figure_tables(Story(subject=told))
    cells = dict(zip(page_table.heading, page_table.rows[0], strict=True))
    assert cells["against eager"] == words
    known = not words.startswith("unknown")
    assert (cells["mAP lost"] is not None) == known
    assert page_table.note.startswith("" if known else "Accuracy is unknown: eager itself has mAP50-95 0.000")
    (row,) = accuracy_rows(told)
    assert (row["map50_95_lost"] is not None) == known
    assert bool(row["unknown"]) != known
    in_markdown = markdown(Story(subject=told))
    assert ("| mAP50-95 |" in in_markdown, "| boxes % |" in in_markdown) == (known, not known)
    assert ("Accuracy is unknown: eager itself has" in in_markdown) != known


def test_accuracy_stands_beside_latency_and_a_loss_is_marked() -> None:
    cases = (measurement(), measurement(backend=STATIC), measurement(backend="onnx"))
    text = results(run(*cases, accuracy=(accuracy(), accuracy(STATIC, map50_95=0.3, box_agreement=0.9))))
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}
    assert rows["optimisation"][-2:] == ["mAP", "bound"]
    assert [rows[name][-2] for name in ("eager", STATIC, "onnx")] == ["0.367", "0.300!", "-"]


def test_without_labels_the_agreement_stands_there() -> None:
    unlabelled = accuracy(STATIC, **UNLABELLED, box_agreement=0.9)
    text = results(run(measurement(), measurement(backend=STATIC), accuracy=(unlabelled,)))
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}
    assert rows["optimisation"][-3:] == ["boxes", "%", "bound"]
    assert [rows[name][-2] for name in ("eager", STATIC)] == ["100.0", "90.0"]
