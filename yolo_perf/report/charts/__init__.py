"""The charts of a report as Plotly figures in plain values: records in, dictionaries out, no Plotly needed."""

import re
from dataclasses import replace

from yolo_perf.analysis.work import works_of
from yolo_perf.report.charts.beside import history, machines
from yolo_perf.report.charts.figure import Chart
from yolo_perf.report.charts.reasons import accuracy, layers, stages
from yolo_perf.report.charts.speed import latency, roofline, rounds, throughput
from yolo_perf.report.story import Story
from yolo_perf.verdict.compare import column


def charts(story: Story) -> tuple[Chart, ...]:
    """Every chart that the story has figures for, in the order of the page."""
    run = story.subject
    found: list[Chart | None] = []
    if run is not None:
        found = [
            roofline(run) if run.measurements else None,
            latency(run) if run.measurements else None,
            accuracy(run),
            stages(run),
            layers(run),
            throughput(run),
            rounds(run) if run.measurements else None,
            history(story.history),
        ]
    if story.others:
        beside = (*([run] if run and run.measurements else []), *story.others)
        found.append(machines([column(each, works_of) for each in beside]))
    return tuple(chart for chart in found if chart is not None)


def still(chart: Chart) -> tuple[Chart, ...]:
    """The chart as it can be printed: without menus, and once for each case where a menu chooses one."""
    data, layout = chart.figure["data"], {**chart.figure["layout"], "updatemenus": []}
    menus = chart.figure["layout"].get("updatemenus")
    if not menus or menus[0]["buttons"][0]["method"] != "restyle":
        titled = {**layout, "title": {"text": chart.title}}
        return (replace(chart, figure={"data": data, "layout": titled}),)
    return tuple(
        replace(
            chart,
            name=f"{chart.name}-{re.sub(r'[^A-Za-z0-9.-]+', '_', trace['name'])}",
            figure={
                "data": [{**trace, "visible": True}],
                "layout": {**layout, "title": {"text": f"{chart.title}: {trace['name']}"}},
            },
        )
        for trace in data
    )
