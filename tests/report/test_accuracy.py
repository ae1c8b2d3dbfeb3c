from tests.factories import accuracy, measurement, run
from yolo_perf.report.accuracy import accuracy as table
from yolo_perf.report.tables import results

STATIC = "onnx-static-int8"


def test_the_table() -> None:
    rows = (
        accuracy(),
        accuracy("onnx", map50_95=0.366, sqnr_db=113.7),
        accuracy(STATIC, map50=0.511, map50_95=0.319, sqnr_db=11.7, box_agreement=0.991),
        accuracy("compile", protocol="square", map50_95=0.357),
    )
    assert table(run(accuracy=rows)).splitlines()[:9] == [
        "accuracy           mAP50 mAP50-95  lost may lose SQNR dB boxes %",
        "─────────────────────────────────────────────────────────────────────────",
        "n-eager            0.563    0.367 0.000    0.000   200.0   100.0",
        "n-onnx             0.563    0.366 0.001    0.002   113.7   100.0",
        "n-onnx-static-int8 0.511    0.319 0.048    0.035    11.7    99.1 too much",
        "n-compile          0.563    0.357     -        -   200.0   100.0",
        "128 pictures of coco128, 929 labelled boxes, weights seeded, 640 px, square for",
        "compile, else rectangular.",
        "Average precision is COCO's by pycocotools: 101 points, the mean over the",
    ]


def test_a_loss_of_minus_nothing_is_nothing() -> None:
    rows = (accuracy(), accuracy("onnx", map50_95=0.367 + 1e-9), accuracy(STATIC, map50_95=0.369))
    lost = [line.split()[3] for line in table(run(accuracy=rows)).splitlines()[2:5]]
    assert lost == ["0.000", "0.000", "-0.002"]


def test_without_labels_there_is_agreement_only() -> None:
    text = table(run(accuracy=(accuracy(map50=None, map50_95=None, boxes=0),)))
    assert [line.split()[1:] for line in text.splitlines()[2:3]] == [["-", "-", "-", "-", "200.0", "100.0"]]
    assert "no labels, so no average precision" in text
    assert "pycocotools" not in text


def test_accuracy_stands_beside_latency_and_a_loss_is_marked() -> None:
    cases = (measurement(), measurement(backend=STATIC), measurement(backend="onnx"))
    text = results(run(*cases, accuracy=(accuracy(), accuracy(STATIC, map50_95=0.3, box_agreement=0.9))))
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}
    assert rows["optimisation"][-2:] == ["mAP", "bound"]
    assert [rows[name][-2] for name in ("eager", STATIC, "onnx")] == ["0.367", "0.300!", "-"]


def test_without_labels_the_agreement_stands_there() -> None:
    unlabelled = accuracy(STATIC, map50=None, map50_95=None, box_agreement=0.9)
    text = results(run(measurement(), measurement(backend=STATIC), accuracy=(unlabelled,)))
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}
    assert rows["optimisation"][-3:] == ["boxes", "%", "bound"]
    assert [rows[name][-2] for name in ("eager", STATIC)] == ["100.0", "90.0"]
