"""How fast: roofline, latency, threads and batches, raw rounds."""

from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np

from yolo_perf import units
from yolo_perf.analysis.figures import fastest_of_sizes, utilization
from yolo_perf.analysis.layers import roof_dtype
from yolo_perf.analysis.roofline import attainable_flops_per_s, bound
from yolo_perf.escape import printable
from yolo_perf.records import Dtype, LayerProfile, Measurement, Peaks, Run
from yolo_perf.report.charts.figure import (
    DASHES,
    Chart,
    Figure,
    axis,
    choices,
    color,
    figure_of,
    in_order,
    label_text,
    one_at_a_time,
    pattern,
    span,
    symbol,
)
from yolo_perf.yolov5.sizes import SIZES

GIGA = 1e9


def roofline(run: Run) -> Chart:
    """Achieved FLOP/s over operational intensity, under the roofs of every measured number format."""
    peaks = run.peaks
    points = [(m.work.operational_intensity, m.achieved_flops_per_s / GIGA) for m in run.measurements]
    intensities = [x for x, _ in points] + [
        layer.work.operational_intensity for p in run.layers for layer in p.leaves if layer.work.flops
    ]
    ridge = [peaks.ridge_point(dtype) for dtype in peaks.flops_per_s]
    low, high = min(*intensities, *ridge) / 2, max(*intensities, *ridge) * 2
    traces = [_roof(peaks, dtype, low, high) for dtype in peaks.flops_per_s]
    for name in in_order([m.case for m in run.measurements]):
        traces.append(_roofline_points(run, [m for m in run.measurements if m.case.backend == name]))
    traces += [_layer_points(profile) for profile in run.layers]
    best = max(run.measurements, key=lambda m: utilization(m, peaks))
    bounds = [bound(m.work, peaks, m.case.dtype) for m in run.measurements]
    return Chart(
        name="roofline",
        title="Roofline",
        summary=(
            f"{bounds.count('compute')} of {len(bounds)} cases are compute bound and {bounds.count('memory')} "
            f"memory bound. {printable(best.case.label)} comes nearest to its roof, at "
            f"{units.percent(utilization(best, peaks))} %."
        ),
        hint="Click a model to see its layers, where they were timed." if run.layers else "",
        figure=figure_of(
            traces,
            x=axis("operational intensity, FLOP per compulsory byte", type="log"),
            y=axis("GFLOP/s (INT8: Gop/s)", type="log"),
        ),
    )


def _roof(peaks: Peaks, dtype: Dtype, low: float, high: float) -> Figure:
    """One number format's roof between two intensities."""
    rate, bytes_per_s = peaks.flops_per_s[dtype], peaks.bytes_per_s
    number = list(peaks.flops_per_s).index(dtype)
    ridge = rate / bytes_per_s
    xs = [low, ridge, high]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"{dtype} roof",
        "x": xs,
        "y": [min(rate, x * bytes_per_s) / GIGA for x in xs],
        "line": {"dash": DASHES[number % len(DASHES)], "width": 2, "color": "#888888"},
        "hovertemplate": f"{dtype}: {units.giga_rate(rate)} G/s, ridge point {ridge:.1f} FLOP/B<extra></extra>",
    }


def _roofline_points(run: Run, measured: Sequence[Measurement]) -> Figure:
    name = measured[0].case.backend
    return {
        "type": "scatter",
        "mode": "markers+text",
        "name": label_text(name),
        "x": [m.work.operational_intensity for m in measured],
        "y": [m.achieved_flops_per_s / GIGA for m in measured],
        "text": [label_text(m.case.size) for m in measured],
        "textposition": "top center",
        "marker": {"color": color(name), "symbol": symbol(name), "size": 11},
        "customdata": [
            [
                label_text(m.case.label),
                units.milliseconds(m.latency_s),
                units.percent(utilization(m, run.peaks)),
                bound(m.work, run.peaks, m.case.dtype),
            ]
            for m in measured
        ],
        "hovertemplate": "%{customdata[0]}: %{customdata[1]} ms/image<br>%{x:.1f} FLOP/B, %{y:.1f} GFLOP/s<br>"
        "%{customdata[2]} % of the peak, %{customdata[3]} bound<extra></extra>",
    }


def _layer_points(profile: LayerProfile) -> Figure:
    """The leaves of a timed case; hidden until the case is clicked, by its `meta`."""
    leaves = [layer for layer in profile.leaves if layer.seconds and layer.work.flops]
    case, peaks = profile.case, profile.peaks
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"layers of {label_text(case.label)}",
        "meta": f"layers:{label_text(case.label)}",
        "visible": "legendonly",
        "x": [layer.work.operational_intensity for layer in leaves],
        "y": [layer.work.flops / (layer.seconds or 1) / GIGA for layer in leaves],
        "text": [label_text(layer.name) for layer in leaves],
        "marker": {
            "color": color(case.backend),
            "symbol": f"{symbol(case.backend)}-open",
            "size": [6 + 40 * (layer.seconds or 0) / profile.layers_s for layer in leaves],
        },
        "customdata": [
            [
                units.milliseconds(layer.seconds or 0),
                units.giga_rate(attainable_flops_per_s(layer.work, peaks, roof_dtype(layer, case))),
                bound(layer.work, peaks, roof_dtype(layer, case)),
            ]
            for layer in leaves
        ],
        "hovertemplate": "%{text}: %{customdata[0]} ms<br>%{x:.1f} FLOP/B, "
        "%{y:.1f} of %{customdata[1]} GFLOP/s<br>"
        "%{customdata[2]} bound<extra></extra>",
    }


def latency(run: Run) -> Chart:
    """Median latency per image by size and optimisation, with the span from the low quantile to the 90th."""
    names = in_order([m.case for m in run.measurements])
    traces = [_bars([m for m in run.measurements if m.case.backend == name]) for name in names]
    fastest = fastest_of_sizes(run.measurements).values()
    return Chart(
        name="latency",
        title="Latency",
        summary="Fastest of each size, median of the rounds: "
        + ", ".join(f"{printable(m.case.label)} {units.milliseconds(m.latency_s)} ms" for m in fastest)
        + ".",
        hint="Whiskers reach from the low quantile to the 90th percentile of the rounds.",
        figure=figure_of(
            traces,
            x=axis("", categoryorder="array", categoryarray=[f"yolov5{size}" for size in SIZES]),
            y=axis("ms per image", rangemode="tozero"),
            barmode="group",
            updatemenus=choices(
                [("linear", {"yaxis.type": "linear"}), ("logarithmic", {"yaxis.type": "log"})], "relayout"
            ),
        ),
    )


def _bars(measured: Sequence[Measurement]) -> Figure:
    """One optimisation's bars with their whiskers."""
    name = measured[0].case.backend
    spans = [span([s / m.case.batch for s in m.round_seconds]) for m in measured]
    return {
        "type": "bar",
        "name": label_text(name),
        "x": [f"yolov5{label_text(m.case.size)}" for m in measured],
        "y": [1e3 * m.latency_s for m in measured],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [1e3 * (high - m.latency_s) for m, (_, high) in zip(measured, spans, strict=True)],
            "arrayminus": [1e3 * (m.latency_s - low) for m, (low, _) in zip(measured, spans, strict=True)],
            "thickness": 1,
            "width": 2,
        },
        "marker": {"color": color(name), "pattern": {"shape": pattern(name)}},
        "customdata": [
            [
                units.milliseconds(low),
                units.milliseconds(high),
                len(m.round_seconds),
                units.rate(m.images_per_s),
            ]
            for m, (low, high) in zip(measured, spans, strict=True)
        ],
        "hovertemplate": f"{label_text(name)}, %{{x}}: %{{y:.2f}} ms/image, "
        "%{customdata[3]} images/s<br>"
        "%{customdata[0]} to %{customdata[1]} ms (low quantile to p90) of %{customdata[2]} rounds"
        "<extra></extra>",
    }


def throughput(run: Run) -> Chart | None:
    """Images a second over the batch, a line for each case and number of threads."""
    if not run.throughput:
        return None
    series: dict[tuple[str, str, int], list[Any]] = {}
    for each in run.throughput:
        series.setdefault((each.case.size, each.case.backend, each.case.threads), []).append(each)
    threads = sorted({key[2] for key in series})
    traces = []
    for (size, name, count), found in series.items():
        found.sort(key=lambda each: each.case.batch)
        label = f"{label_text(size)}-{label_text(name)}, {count} thread{'' if count == 1 else 's'}"
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": label,
                "x": [each.case.batch for each in found],
                "y": [each.images_per_s for each in found],
                "line": {"color": color(name), "dash": DASHES[threads.index(count) % len(DASHES)]},
                "marker": {"symbol": symbol(name), "size": 8},
                "hovertemplate": f"{label}: batch %{{x}}, %{{y:.1f}} images/s<extra></extra>",
            }
        )
    most = max(run.throughput, key=lambda each: each.images_per_s)
    batches = sorted({each.case.batch for each in run.throughput})
    return Chart(
        name="throughput",
        title="Threads and batches",
        summary=(
            f"Most images a second: {units.rate(most.images_per_s)}, {printable(most.case.label)} at batch "
            f"{most.case.batch} on {most.case.threads} thread(s)."
        ),
        figure=figure_of(
            traces,
            x=axis("images a call", type="log", tickvals=batches, ticktext=[str(b) for b in batches]),
            y=axis("images/s", rangemode="tozero"),
        ),
    )


def rounds(run: Run) -> Chart:
    """Every timed round of one case at a time, in the order in which they were measured."""
    traces = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": label_text(m.case.label),
            "visible": number == 0,
            "y": [round(1e3 * seconds, 4) for seconds in m.round_seconds],
            "line": {"color": color(m.case.backend), "width": 1},
            "hovertemplate": "round %{x}: %{y:.2f} ms<extra></extra>",
        }
        for number, m in enumerate(run.measurements)
    ]
    spreads = [
        (np.percentile(m.round_seconds, 75) - np.percentile(m.round_seconds, 25)) / median(m.round_seconds)
        for m in run.measurements
    ]
    widest = run.measurements[int(np.argmax(spreads))]
    return Chart(
        name="rounds",
        title="Raw rounds",
        summary=(
            f"{sum(len(m.round_seconds) for m in run.measurements)} rounds. The widest middle half is that of "
            f"{printable(widest.case.label)}: {units.percent(max(spreads))} % of its median."
        ),
        hint="Choose a case above the chart; all rounds can be saved as CSV below." if len(traces) > 1 else "",
        figure=figure_of(
            traces,
            x=axis("round"),
            y=axis("ms per round", rangemode="tozero"),
            showlegend=False,
            updatemenus=one_at_a_time(traces),
        ),
    )
