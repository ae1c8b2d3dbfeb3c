"""Saved benchmarks in the formats that other programs read. One module a format, with a `render`."""

import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from yolo_perf.archive.benchmarks import Benchmarks

Render = Callable[["Sequence[Benchmarks]"], bytes]

MODULES = {
    "github-action-benchmark": "github_action_benchmark",
    "bencher": "bencher",
    "openmetrics": "openmetrics",
    "csv": "csv_cases",
    "csv-rounds": "csv_rounds",
    "parquet": "parquet",
}
"""Every format's module. To add a format: a file with `render(sessions) -> bytes`, and a line here."""


def renderer(name: str) -> Render:
    """What makes the content of a file of a format, by the format's name."""
    module = importlib.import_module(f"yolo_perf.report.export.{MODULES[name]}")
    render: Render = module.render
    return render
