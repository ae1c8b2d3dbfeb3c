from dataclasses import replace
from typing import Any

import pytest

from tests.factories import UNTRAINED, accuracy, full_run, layer_profile, machine, measurement, run
from tests.report.test_story import REFERENCE, days, on
from yolo_perf.archive.saved_run import read_saved
from yolo_perf.report.charts import charts, still
from yolo_perf.report.charts.beside import history
from yolo_perf.report.charts.figure import Chart, color, symbol
from yolo_perf.report.charts.reasons import accuracy as accuracy_chart
from yolo_perf.report.charts.reasons import layers
from yolo_perf.report.charts.speed import latency, roofline, throughput
from yolo_perf.report.story import tell

HOSTILE = "</script><script>alert(1)</script><b>x</b>\x1b[31m"


def trace(chart: Chart | None, name: str) -> dict[str, Any]:
    assert chart is not None
    (found,) = [each for each in chart.figure["data"] if each["name"] == name]
    return dict(found)


def every_chart() -> tuple[Chart, ...]:
    other = replace(full_run(), machine=machine(model=17), created="2025-01-01T00:00:00+00:00")
    return charts(tell(days(other, read_saved(REFERENCE), on(1), full_run(created="2026-02-01T00:00:00+00:00"))))


def test_every_kind_of_figure_has_its_chart() -> None:
    assert [chart.name for chart in every_chart()] == [
        "roofline", "latency", "accuracy", "stages", "layers", "throughput", "rounds", "history", "machines",
    ]  # fmt: skip
    assert all(chart.summary and chart.title for chart in every_chart())


@pytest.mark.parametrize("chart", every_chart(), ids=lambda chart: chart.name)
def test_plotly_takes_each_figure_as_it_is(chart: Chart) -> None:
    plotly = pytest.importorskip("plotly.graph_objects", reason="pip install 'yolo-perf[report]'")
    for each in (chart, *still(chart)):
        plotly.Figure(each.figure)


def test_a_run_without_figures_has_no_charts() -> None:
    assert charts(tell(days(run()))) == ()
    assert charts(tell([])) == ()


def test_the_roofline_by_hand() -> None:
    chart = roofline(run(measurement((0.04,)), layers=(layer_profile(),)))
    roof = trace(chart, "fp32 roof")
    assert roof["x"][1] == 5  # 200 GFLOP/s over 40 GB/s
    assert roof["y"][1:] == [200, 200]
    assert roof["y"][0] == pytest.approx(roof["x"][0] * 40)
    point = trace(chart, "eager")
    assert point["x"] == [pytest.approx(4e9 / 207_469_620)]
    assert point["y"] == [pytest.approx(100)]
    assert point["customdata"] == [["n-eager", "40.00", "50.0", "compute"]]
    leaves = trace(chart, "layers of n-eager")
    assert (leaves["visible"], leaves["meta"]) == ("legendonly", "layers:n-eager")
    assert leaves["text"] == ["model.0.conv", "model.2.(own)"]
    assert leaves["y"] == [pytest.approx(100), pytest.approx(0.25)]
    assert "n-eager comes nearest to its roof, at 50.0 %" in chart.summary


def test_whiskers_reach_from_the_low_quantile_to_the_90th_percentile() -> None:
    rounds = tuple(0.01 * number for number in range(1, 12))
    bars = trace(latency(run(measurement(rounds, batch=2))), "eager")
    assert bars["y"] == [pytest.approx(30)]  # median 60 ms of two pictures
    assert bars["error_y"]["arrayminus"] == [pytest.approx(30 - 10)]
    assert bars["error_y"]["array"] == [pytest.approx(50 - 30)]


def test_layers_are_in_the_order_of_what_they_lose() -> None:
    chart = layers(run(layers=(layer_profile(),)))
    bars = trace(chart, "n-eager")
    # 2 GFLOP at 200 GFLOP/s take 10 of 20 ms; 10 MB at 40 GB/s 0.25 of 4 ms.
    assert bars["y"] == ["model.0.conv", "model.2.(own)"]
    assert bars["x"] == [pytest.approx(10), pytest.approx(3.75)]
    assert chart is not None
    assert "model.0.conv loses the most" in chart.summary


def test_accuracy_falls_back_on_agreement_where_nothing_has_labels() -> None:
    both = (measurement((0.04,)), measurement((0.02,), backend="onnx"))
    found = accuracy_chart(run(*both, accuracy=(accuracy("eager"), accuracy("onnx", map50_95=0.36))))
    assert trace(found, "onnx")["y"] == [0.36]
    assert trace(found, "onnx")["customdata"][0][0] == "0.007"
    unlabelled = (accuracy("eager", map50_95=None), accuracy("onnx", map50_95=None, box_agreement=0.9))
    assert trace(accuracy_chart(run(*both, accuracy=unlabelled)), "onnx")["y"] == [0.9]
    assert accuracy_chart(run(*both)) is None


def test_a_chart_of_accuracy_has_what_is_evidence_and_names_the_rest() -> None:
    cases = [measurement((s,), backend=b) for b, s in (("eager", 0.04), ("onnx", 0.02), ("openvino-int8", 0.01))]
    untrained = (
        accuracy(**UNTRAINED),
        accuracy("onnx", **UNTRAINED, box_agreement=0.995),
        accuracy("openvino-int8", **UNTRAINED, compared_boxes=0),
    )
    chart = accuracy_chart(run(*cases, accuracy=untrained))
    assert chart is not None
    assert [each["name"] for each in chart.figure["data"]] == ["eager", "onnx"]
    assert trace(chart, "onnx")["y"] == [0.995]
    assert trace(chart, "onnx")["customdata"][0][0] == "unknown"
    assert (
        "(share of boxes that eager finds too): n-eager, n-onnx. Accuracy of n-eager, n-onnx is unknown: eager"
        in chart.summary
    )
    mixed = (accuracy(), accuracy("onnx", map50_95=0.36), accuracy("openvino-int8", **UNTRAINED))
    chart = accuracy_chart(run(*cases, accuracy=mixed))
    assert chart is not None
    assert [each["y"] for each in chart.figure["data"]] == [[0.367], [0.36]]
    assert "(mAP50-95): n-eager, n-onnx. Accuracy of n-openvino-int8 is unknown: " in chart.summary
    nothing = tuple(accuracy(each.case.backend, **UNTRAINED, compared_boxes=0) for each in cases)
    assert accuracy_chart(run(*cases, accuracy=nothing)) is None


def test_agreement_with_eager_beats_nothing_of_another_size() -> None:
    # n is faster, and agrees as well with its own eager: that says nothing about s.
    both = [measurement((s,), size=size) for size, s in (("n", 0.02), ("s", 0.06))]
    boxes = tuple(accuracy(size=size, **UNTRAINED) for size in "ns")
    chart = accuracy_chart(run(*both, accuracy=boxes))
    assert chart is not None
    assert "n-eager, s-eager." in chart.summary
    precise = (accuracy(size="n"), accuracy(size="s", map50_95=0.3, eager_map50_95=0.3))
    chart = accuracy_chart(run(*both, accuracy=precise))
    assert chart is not None
    assert chart.summary.endswith("(mAP50-95): n-eager.")


def test_a_line_for_each_number_of_threads() -> None:
    chart = throughput(full_run())
    assert trace(chart, "n-eager, 1 thread")["y"] == [pytest.approx(25), pytest.approx(25)]
    assert trace(chart, "n-eager, 2 threads")["y"] == [pytest.approx(50), pytest.approx(50)]


def test_history_needs_two_sessions() -> None:
    assert history([full_run()]) is None
    chart = history([on(1), on(2, 0.05)])
    assert trace(chart, "n-eager")["y"] == [pytest.approx(40), pytest.approx(50)]
    assert chart is not None
    assert chart.summary.endswith("No change of level was found.")


def test_where_the_level_changes_the_mark_is_larger() -> None:
    slower = [on(day, 0.04 + 0.0001 * (day % 3) + (0.02 if day > 8 else 0.0)) for day in range(1, 17)]
    chart = history(slower)
    sizes = trace(chart, "n-eager")["marker"]["size"]
    assert [index for index, size in enumerate(sizes) if size > 7] == [8]
    assert chart is not None
    assert "n-eager in the session of 2026-01-09" in chart.summary


def test_other_weights_are_another_line() -> None:
    other = replace(measurement().weights, digest="1" * 64)
    chart = history([on(1), on(2), run(measurement(weights=other), created="2026-01-03T00:00:00+00:00")])
    assert chart is not None
    assert [len(each["x"]) for each in chart.figure["data"]] == [2, 1]


def test_an_optimisation_looks_the_same_everywhere() -> None:
    drawn = {chart.name: chart for chart in every_chart()}
    assert trace(drawn["roofline"], "onnx")["marker"]["color"] == color("onnx")
    assert trace(drawn["accuracy"], "onnx")["marker"]["symbol"] == symbol("onnx")
    assert trace(drawn["latency"], "onnx")["marker"]["color"] == color("onnx")
    assert color("gone long ago") == color("gone long ago")


def test_a_menu_becomes_a_still_for_each_case() -> None:
    drawn = {chart.name: still(chart) for chart in every_chart()}
    assert [each.name for each in drawn["layers"]] == ["layers-n-eager", "layers-n-onnx"]
    assert all(len(each.figure["data"]) == 1 for each in drawn["layers"])
    assert [each.name for each in drawn["latency"]] == ["latency"]
    assert not any(each.figure["layout"]["updatemenus"] for stills in drawn.values() for each in stills)


def test_names_are_text() -> None:
    measured = measurement((0.04, 0.05), backend=HOSTILE, size=HOSTILE)
    drawn = charts(tell(days(run(measured, layers=(layer_profile(HOSTILE),)))))
    assert len(drawn) == 4
    for chart in drawn:
        assert "<script" not in str(chart.figure)
        assert "\x1b" not in str(chart.figure) + chart.summary
    assert all("/" not in each.name for chart in drawn for each in still(chart))
