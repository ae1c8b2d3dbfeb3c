"""Why, and at what cost: stages, layers, accuracy."""

from collections.abc import Sequence
from typing import NamedTuple

from yolo_perf import units
from yolo_perf.analysis.layers import lost_seconds, roof_dtype
from yolo_perf.analysis.roofline import bound
from yolo_perf.analysis.stages import stage_figures
from yolo_perf.escape import printable
from yolo_perf.records import STAGES, Accuracy, Case, LayerProfile, Run
from yolo_perf.report.accuracy import unknowns
from yolo_perf.report.charts.figure import (
    COLORS,
    Chart,
    Figure,
    axis,
    color,
    figure_of,
    height_of,
    in_order,
    label_text,
    one_at_a_time,
    symbol,
)
from yolo_perf.report.tables import by_labels
from yolo_perf.verdict.accuracy import lost, standing

LAYERS_SHOWN = 20


def stages(run: Run) -> Chart | None:
    """The share of each stage of the pipeline, from a file to its boxes."""
    found = [(each.case, stage_figures(each)) for each in run.stages if each.times]
    if not found:
        return None
    names = [label_text(case.label) for case, _ in found]
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": stage,
            "y": names,
            "x": [100 * figures[stage]["share"] for _, figures in found],
            "marker": {"color": COLORS[number], "pattern": {"shape": ("", "/", "", "\\")[number]}},
            "customdata": [units.milliseconds(figures[stage]["median_s"]) for _, figures in found],
            "hovertemplate": f"{stage} of %{{y}}: %{{x:.1f}} %, median %{{customdata}} ms<extra></extra>",
        }
        for number, stage in enumerate(STAGES)
    ]
    shares = [figures["inference"]["share"] for _, figures in found]
    return Chart(
        name="stages",
        title="Stages",
        summary=f"Inference takes {units.percent(min(shares))} to {units.percent(max(shares))} % of a picture's "
        "time.",
        figure=figure_of(
            traces,
            x=axis("% of the time", range=[0, 100]),
            y=axis("", autorange="reversed"),
            barmode="stack",
            height=height_of(len(names)),
        ),
    )


def layers(run: Run) -> Chart | None:
    """The layers that lose the most time against their own roofs; one timed case at a time."""
    profiles = [profile for profile in run.layers if any(layer.seconds for layer in profile.leaves)]
    if not profiles:
        return None
    traces = [_lost(profile, visible=number == 0) for number, profile in enumerate(profiles)]
    worst = traces[0]
    return Chart(
        name="layers",
        title="Layers by lost time",
        summary=(
            f"In {printable(profiles[0].case.label)}, {worst['y'][0]} loses the most against its own roof: "
            f"{worst['x'][0]:.2f} ms."
        ),
        hint="Choose a timed case above the chart." if len(profiles) > 1 else "",
        figure=figure_of(
            traces,
            x=axis("ms lost against the layer's own roof"),
            y=axis("", autorange="reversed"),
            showlegend=False,
            updatemenus=one_at_a_time(traces),
            height=height_of(LAYERS_SHOWN),
        ),
    )


def _lost(profile: LayerProfile, *, visible: bool) -> Figure:
    case, peaks = profile.case, profile.peaks
    found = sorted(
        ((lost_seconds(layer, case, peaks), layer) for layer in profile.leaves if layer.seconds),
        key=lambda pair: -pair[0],
    )[:LAYERS_SHOWN]
    return {
        "type": "bar",
        "orientation": "h",
        "name": label_text(case.label),
        "visible": visible,
        "y": [label_text(layer.name) for _, layer in found],
        "x": [1e3 * seconds for seconds, _ in found],
        "marker": {"color": color(case.backend)},
        "customdata": [
            [
                units.milliseconds(layer.seconds or 0),
                label_text(layer.kind),
                bound(layer.work, peaks, roof_dtype(layer, case)),
            ]
            for _, layer in found
        ],
        "hovertemplate": "%{y}: %{x:.2f} ms lost of %{customdata[0]}<br>%{customdata[1]}, %{customdata[2]} bound"
        "<extra></extra>",
    }


def accuracy(run: Run) -> Chart | None:
    """Accuracy over latency: mAP50-95 of what labels tell of, else the boxes that eager finds too.

    A case of which neither tells anything is no point. Boxes agree with eager of the same size: who is beaten by
    whom is told within a size then.
    """
    judged = {each.case.id: each for each in run.accuracy}
    pairs = [(m, judged[m.case.id]) for m in run.measurements if m.case.id in judged]
    precise = by_labels(run)
    shown = [(m, each) for m, each in pairs if standing(each).basis == ("labels" if precise else "boxes")]
    if not shown:
        return None
    points = [_Point(m.case, m.latency_s, _value(each, precise), each) for m, each in shown]
    front = [own.case.label for own in points if not any(_beats(other, own, precise) for other in points)]
    names = in_order([point.case for point in points])
    traces = [_judged(name, [point for point in points if point.case.backend == name]) for name in names]
    what = "mAP50-95" if precise else "share of boxes that eager finds too"
    best = f"No other is both faster and at least as accurate ({what}): {', '.join(map(printable, front))}."
    return Chart(
        name="accuracy",
        title="Accuracy against latency",
        summary=" ".join([best, *map(printable, unknowns([each for _, each in pairs]))]),
        figure=figure_of(traces, x=axis("ms per image"), y=axis(what)),
    )


class _Point(NamedTuple):
    """One case in the chart: seconds an image, what it finds, and its whole accuracy."""

    case: Case
    latency_s: float
    value: float
    accuracy: Accuracy


def _value(accuracy: Accuracy, precise: bool) -> float:
    return accuracy.map50_95 if precise and accuracy.map50_95 is not None else accuracy.box_agreement


def _beats(one: _Point, other: _Point, precise: bool) -> bool:
    """Whether `one` is nowhere worse and somewhere better."""
    alike = precise or (one.case.size, one.accuracy.weights) == (other.case.size, other.accuracy.weights)
    no_worse = one.latency_s <= other.latency_s and one.value >= other.value
    return alike and no_worse and (one.latency_s, one.value) != (other.latency_s, other.value)


def _judged(name: str, points: Sequence[_Point]) -> Figure:
    """The points of one optimisation."""
    losses = [lost(point.accuracy) for point in points]
    return {
        "type": "scatter",
        "mode": "markers+text",
        "name": label_text(name),
        "x": [1e3 * point.latency_s for point in points],
        "y": [point.value for point in points],
        "text": [label_text(point.case.size) for point in points],
        "textposition": "top center",
        "marker": {"color": color(name), "symbol": symbol(name), "size": 12},
        "customdata": [
            [
                "unknown" if loss is None else f"{loss + 0:.3f}",
                units.percent(point.accuracy.box_agreement),
                f"{point.accuracy.sqnr_db:.1f}",
            ]
            for loss, point in zip(losses, points, strict=True)
        ],
        "hovertemplate": f"{label_text(name)}: %{{x:.2f}} ms, %{{y:.3f}}<br>"
        "lost against eager %{customdata[0]}, "
        "%{customdata[1]} % of the boxes agree, SQNR %{customdata[2]} dB<extra></extra>",
    }
