"""Beside what: the sessions of one machine, and other machines."""

import math
from collections.abc import Sequence

from yolo_perf import units
from yolo_perf.analysis.rounds import low_quantile
from yolo_perf.escape import printable
from yolo_perf.records import Measurement, Run
from yolo_perf.report.charts.figure import COLORS, Chart, Figure, axis, color, dash, figure_of, label_text, symbol
from yolo_perf.verdict.compare import BEST, Column, rows


def history(sessions: Sequence[Run]) -> Chart | None:
    """The steady latency of every case over the sessions of one machine; None of a single session.

    A line is a case with its weights. Where its level changes (see docs/history.md) its mark is larger.
    """
    if len(sessions) < 2:
        return None
    series: dict[tuple[str, str], list[tuple[Run, Measurement]]] = {}
    for run in sessions:
        for m in run.measurements:
            series.setdefault((m.case.id, m.weights.digest), []).append((run, m))
    changed = {key: _changes(points) for key, points in series.items()}
    traces = [_line(points, changed[key]) for key, points in series.items()]
    told = [
        f"{printable(series[key][0][1].case.label)} in the session of {printable(series[key][index][0].created)}"
        for key, indices in changed.items()
        for index in indices[-1:]
    ]
    words = f"Last changes of level: {', '.join(told)}." if told else "No change of level was found."
    return Chart(
        name="history",
        title="History of this machine",
        summary=f"{len(sessions)} sessions, low quantiles of their rounds. {words}",
        figure=figure_of(traces, x=axis("", type="date"), y=axis("ms per image", type="log")),
    )


def _changes(points: Sequence[tuple[Run, Measurement]]) -> tuple[int, ...]:
    """The sessions at which a case's level changes."""
    from yolo_perf.verdict.history import LEAST_SEGMENT, change_points

    if len(points) < 2 * LEAST_SEGMENT:
        return ()  # nothing can be found in so few, and the engine takes a second to load
    return change_points([math.log(_steady(m)) for _, m in points])


def _line(points: Sequence[tuple[Run, Measurement]], changes: Sequence[int]) -> Figure:
    case = points[0][1].case
    name = label_text(case.label)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": [run.created for run, _ in points],
        "y": [1e3 * _steady(m) for _, m in points],
        "line": {"color": color(case.backend), "dash": dash(case.size)},
        "marker": {
            "symbol": symbol(case.backend),
            "size": [14 if index in changes else 7 for index in range(len(points))],
        },
        "customdata": [
            [
                label_text((run.commit.id or "unknown commit")[:10]),
                ", the level changes" if index in changes else "",
            ]
            for index, (run, _) in enumerate(points)
        ],
        "hovertemplate": f"{name}: %{{y:.2f}} ms<br>%{{x}}, commit %{{customdata[0]}}%{{customdata[1]}}"
        "<extra></extra>",
    }


def _steady(measurement: Measurement) -> float:
    """Seconds an image, the low quantile."""
    return low_quantile(measurement.round_seconds) / measurement.case.batch


def machines(columns: Sequence[Column]) -> Chart:
    """Latency of every case on every machine."""
    keys = [key for key in rows(columns) if sum(key in each.cells for each in columns) > 1] or rows(columns)
    traces = [
        {
            "type": "bar",
            "name": label_text(f"[{number}] {each.name}"),
            "x": ["-".join(map(label_text, key)) for key in keys if key in each.cells],
            "y": [1e3 * each.cells[key].latency_s for key in keys if key in each.cells],
            "marker": {
                "color": COLORS[(number - 1) % len(COLORS)],
                "pattern": {"shape": ("", "/", "\\", "x")[(number - 1) % 4]},
            },
            "customdata": [
                [units.percent(each.cells[key].utilization), label_text(each.cells[key].of)]
                for key in keys
                if key in each.cells
            ],
            "hovertemplate": "%{x} %{customdata[1]}: %{y:.2f} ms/image, utilisation %{customdata[0]} %"
            "<extra></extra>",
        }
        for number, each in enumerate(columns, 1)
    ]
    shared = [key for key in keys if key[1] == BEST and all(key in each.cells for each in columns)]
    first = columns[0]
    words = [
        f"[{number}] is {first.cells[key].latency_s / each.cells[key].latency_s:.2f} times as fast as [1] at "
        f"yolov5{key[0]}"
        for number, each in enumerate(columns[1:], 2)
        for key in shared[:1]
    ]
    return Chart(
        name="machines",
        title="Machines side by side",
        summary=f"{'; '.join(words)}, each with its fastest optimisation."
        if words
        else f"{len(columns)} machine(s).",
        figure=figure_of(traces, x=axis(""), y=axis("ms per image", type="log"), barmode="group"),
    )
