"""Beside what: the sessions of one machine, and other machines."""

from collections.abc import Sequence

from yolo_perf import units
from yolo_perf.analysis.timing import low_quantile
from yolo_perf.records import Run
from yolo_perf.report.charts.figure import COLORS, Chart, axis, color, dash, figure_of, label_text, symbol
from yolo_perf.report.tables import printable
from yolo_perf.verdict.compare import BEST, Column, rows


def history(sessions: Sequence[Run]) -> Chart | None:
    """The steady latency of every case over the sessions of one machine; None of a single session."""
    if len(sessions) < 2:
        return None
    series: dict[str, list[tuple[str, float, str]]] = {}
    for run in sessions:
        for m in run.measurements:
            commit = (run.commit.id or "unknown commit")[:10]
            series.setdefault(m.case.label, []).append(
                (run.created, low_quantile(m.round_seconds) / m.case.batch, commit)
            )
    by_label = {m.case.label: m.case for run in sessions for m in run.measurements}
    traces = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": label_text(label),
            "x": [created for created, _, _ in points],
            "y": [1e3 * seconds for _, seconds, _ in points],
            "line": {"color": color(by_label[label].backend), "dash": dash(by_label[label].size)},
            "marker": {"symbol": symbol(by_label[label].backend), "size": 7},
            "customdata": [label_text(commit) for _, _, commit in points],
            "hovertemplate": f"{label_text(label)}: %{{y:.2f}} ms<br>%{{x}}, commit %{{customdata}}"
            "<extra></extra>",
        }
        for label, points in series.items()
    ]
    changes = {label: points[-1][1] / points[0][1] for label, points in series.items() if len(points) > 1}
    words = "No case is in two of them."
    if changes:
        low, high = min(changes, key=changes.__getitem__), max(changes, key=changes.__getitem__)
        words = (
            f"From the first to the last: {printable(low)} {units.signed_percent(changes[low])} at one end, "
            f"{printable(high)} {units.signed_percent(changes[high])} at the other."
        )
    return Chart(
        name="history",
        title="History of this machine",
        summary=f"{len(sessions)} sessions, low quantiles of their rounds. {words}",
        figure=figure_of(traces, x=axis("", type="date"), y=axis("ms per image", type="log")),
    )


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
        figure=figure_of(traces, x=axis("", automargin=True), y=axis("ms per image", type="log"), barmode="group"),
    )
