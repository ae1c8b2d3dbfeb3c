"""Why, and at what cost: stages, layers, accuracy."""

from collections.abc import Callable
from typing import Any

from yolo_perf import units
from yolo_perf.analysis.layers import lost_seconds, roof_dtype
from yolo_perf.analysis.stages import stage_figures
from yolo_perf.analysis.work import bound
from yolo_perf.records import STAGES, LayerProfile, Run
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
from yolo_perf.report.tables import printable
from yolo_perf.verdict.accuracy import lost

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
    """Accuracy over latency: mAP50-95 where there are labels, else the boxes that eager finds too."""
    judged = {each.case.id: each for each in run.accuracy}
    pairs = [(m, judged[m.case.id]) for m in run.measurements if m.case.id in judged]
    if not pairs:
        return None
    precise = all(each.map50_95 is not None for _, each in pairs)
    value: Callable[[Any], float] = lambda each: each.map50_95 if precise else each.box_agreement  # noqa: E731
    front = [
        m.case.label
        for m, own in pairs
        if not any(
            o.latency_s <= m.latency_s
            and value(a) >= value(own)
            and (o.latency_s, value(a)) != (m.latency_s, value(own))
            for o, a in pairs
        )
    ]
    traces = []
    for name in in_order([m.case for m, _ in pairs]):
        mine = [(m, each) for m, each in pairs if m.case.backend == name]
        losses = [lost(each, run) for _, each in mine]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers+text",
                "name": label_text(name),
                "x": [1e3 * m.latency_s for m, _ in mine],
                "y": [value(each) for _, each in mine],
                "text": [label_text(m.case.size) for m, _ in mine],
                "textposition": "top center",
                "marker": {"color": color(name), "symbol": symbol(name), "size": 12},
                "customdata": [
                    [
                        "unknown" if loss is None else f"{loss + 0:.3f}",
                        units.percent(each.box_agreement),
                        f"{each.sqnr_db:.1f}",
                    ]
                    for loss, (_, each) in zip(losses, mine, strict=True)
                ],
                "hovertemplate": f"{label_text(name)}: %{{x:.2f}} ms, %{{y:.3f}}<br>"
                "lost against eager %{customdata[0]}, "
                "%{customdata[1]} % of the boxes agree, SQNR %{customdata[2]} dB<extra></extra>",
            }
        )
    what = "mAP50-95" if precise else "share of boxes that eager finds too"
    return Chart(
        name="accuracy",
        title="Accuracy against latency",
        summary=f"No other is both faster and at least as accurate ({what}): {', '.join(map(printable, front))}.",
        figure=figure_of(traces, x=axis("ms per image"), y=axis(what)),
    )
