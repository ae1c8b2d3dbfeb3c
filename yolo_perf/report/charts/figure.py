"""What all charts share: the record of one, the layout, colours and marks by optimisation.

Text in figures is escaped, since Plotly reads a few HTML tags in labels. Colours and marks follow the
optimisation, the same in every chart; the colours are those of Okabe and Ito (2008), told apart by colour-blind
people, and no chart depends on colour alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from statistics import median
from typing import Any

import numpy as np

from yolo_perf.analysis.rounds import low_quantile
from yolo_perf.backends.registry import backends
from yolo_perf.escape import printable
from yolo_perf.records import Case
from yolo_perf.yolov5.sizes import SIZES

Figure = dict[str, Any]
COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#8C6D31", "#7F7F7F")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star", "hexagon", "x")
DASHES = ("solid", "dash", "dot", "dashdot")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One chart: an identifier, a heading, what it shows in words, and the figure."""

    name: str
    title: str
    summary: str
    figure: Figure
    hint: str = ""  # what can be done with it


def figure_of(traces: Sequence[Figure], *, x: Figure, y: Figure, **layout: Any) -> Figure:
    """Traces with a layout that has no colours of its own but the traces': the page knows light and dark."""
    return {
        "data": list(traces),
        "layout": {
            "xaxis": x,
            "yaxis": y,
            "margin": {"l": 60, "r": 16, "t": 40 if layout.get("updatemenus") else 16, "b": 60},
            "legend": {"orientation": "h", "y": -0.2, "yanchor": "top"},
            "hovermode": "closest",
            "height": 460,
            **layout,
        },
    }


def axis(title: str, **settings: Any) -> Figure:
    """An axis with its title, which holds the unit."""
    return {"title": {"text": title}, "automargin": True, **settings}


def choices(options: Sequence[tuple[str, Figure]], method: str) -> list[Figure]:
    """A menu above the chart."""
    return [
        {
            "type": "dropdown",
            "buttons": [{"label": label, "method": method, "args": [change]} for label, change in options],
            "x": 0,
            "xanchor": "left",
            "y": 1.02,
            "yanchor": "bottom",
        }
    ]


def one_at_a_time(traces: Sequence[Figure]) -> list[Figure]:
    """A menu that shows one trace and hides the others; none for a single one."""
    if len(traces) < 2:
        return []
    options = [(trace["name"], {"visible": [each is trace for each in traces]}) for trace in traces]
    return choices(options, "restyle")


def span(seconds: Sequence[float]) -> tuple[float, float]:
    """The low quantile and the 90th percentile, neither beyond the median's other side."""
    return min(low_quantile(seconds), median(seconds)), max(float(np.percentile(seconds, 90)), median(seconds))


def in_order(cases: Sequence[Case]) -> list[str]:
    """The optimisations of the cases in the registry's order, unknown ones last."""
    names = list(dict.fromkeys(case.backend for case in cases))
    order = list(backends())
    return sorted(names, key=lambda name: order.index(name) if name in order else len(order))


def place(name: str) -> int:
    """The optimisation's place in the registry; a steady number for one that is not there."""
    order = list(backends())
    return order.index(name) if name in order else sum(map(ord, name))


def color(name: str) -> str:
    """The optimisation's colour."""
    return COLORS[place(name) % len(COLORS)]


def symbol(name: str) -> str:
    """The optimisation's mark."""
    return SYMBOLS[place(name) % len(SYMBOLS)]


def pattern(name: str) -> str:
    """A hatch for the optimisations whose colour comes round again."""
    return "/" if place(name) >= len(COLORS) else ""


def dash(size: str) -> str:
    """The size's dash."""
    order = list(SIZES)
    return DASHES[order.index(size) % len(DASHES)] if size in order else "dot"


def height_of(count: int) -> int:
    """Pixels of a chart of so many horizontal bars."""
    return 160 + 24 * count


def label_text(text: str) -> str:
    """Text as a figure may hold it: no tag, no control character."""
    return escape(printable(text))
