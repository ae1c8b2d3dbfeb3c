import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tests.factories import decision, full_run, machine, measurement, run, saved_pairs
from tests.report.test_charts import HOSTILE
from tests.report.test_story import REFERENCE, days, on
from yolo_perf.archive.saved_run import read_saved
from yolo_perf.records import Comparison
from yolo_perf.report.page import page
from yolo_perf.report.page_tables import MOST_ROWS, Table, figure_tables
from yolo_perf.report.story import Story, tell

LIBRARY = "window.Plotly = {};"


class _Outline(HTMLParser):
    """Elements by identifier, links, scripts, and whether every element that is opened is closed."""

    VOID = ("meta", "link", "br", "img", "input")

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.references: list[str] = []
        self.scripts = 0
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids += [value for key, value in attrs if key == "id" and value]
        self.references += [value for key, value in attrs if key in ("src", "href", "action") and value]
        self.scripts += tag == "script"
        assert not any(key.startswith("on") for key in found)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def outline(text: str) -> _Outline:
    found = _Outline()
    found.feed(text)
    assert not found.open
    assert len(found.ids) == len({*found.ids})
    return found


def whole() -> Story:
    other = replace(full_run(), machine=machine(model=17), created="2025-01-01T00:00:00+00:00")
    newest = full_run(
        created="2026-02-01T00:00:00+00:00",
        comparisons=(Comparison(label="n-onnx", metric="latency", verdict="regressed", reason="why", ratio=1.5),),
    )
    return tell(days(other, read_saved(REFERENCE), on(1), newest))


def test_the_verdict_comes_first_and_every_section_is_there() -> None:
    text = page(whole(), LIBRARY)
    found = outline(text)
    assert text.index("Regressed: n-onnx.") < text.index("Roofline")
    names = ["roofline", "latency", "accuracy", "stages", "layers", "throughput", "rounds", "history", "machines"]
    assert [name for name in found.ids if name in names] == names
    assert {f"chart-{name}" for name in names} | {f"alternative-{name}" for name in names} <= {*found.ids}
    assert {"table-results", "table-stages", "table-layers-n-eager", "table-memory"} <= {*found.ids}
    assert "Not measured" not in text


def test_the_clock_and_what_does_not_execute_are_named() -> None:
    roofs = replace(full_run().peaks, clock_hz_measured=3.126e9)
    on_it = replace(full_run(), peaks=roofs, machine=machine(isa_faulting=("avx512_bf16",)))
    text = page(tell(days(on_it)), LIBRARY)
    assert "FLOP/B in fp32; clock 3.13 GHz, measured. Pictures" in text
    assert "avx512_bf16 is among the CPU&#39;s flags but does not execute here." in text
    assert "does not execute" not in page(whole(), LIBRARY)


def test_nothing_is_asked_of_a_network() -> None:
    found = outline(page(whole(), LIBRARY))
    assert all(reference.startswith("#") for reference in found.references)
    assert "default-src 'none'" in page(whole(), LIBRARY)


def test_figures_and_rounds_are_in_the_page() -> None:
    text = page(whole(), LIBRARY)
    (figures,) = re.findall(r'id="figures">(.*?)</script>', text)
    (rounds,) = re.findall(r'id="rounds-data">(.*?)</script>', text)
    assert set(json.loads(figures)) >= {"roofline", "latency"}
    assert json.loads(rounds)[0] == ["n-eager-b1-640px-t2", [0.04, 1.1 * 0.04, 1.2 * 0.04]]


@pytest.mark.parametrize("place", ["run", "pairs", "reason"])
def test_no_name_leaves_its_place(place: str) -> None:
    measured = measurement((0.04,), backend=HOSTILE)
    hostile = {
        "run": tell(days(run(measured, data=HOSTILE))),
        "pairs": tell(days(saved_pairs(decision(HOSTILE, "regressed"), failure=HOSTILE))),
        "reason": tell(days(run(measured, comparisons=(verdict(HOSTILE),)))),
    }[place]
    text = page(hostile, LIBRARY)
    plain = page(whole(), LIBRARY)
    assert "alert(1)" in text
    assert "<script>alert" not in text
    assert "\x1b" not in text
    assert outline(text).scripts <= outline(plain).scripts


def verdict(reason: str) -> Comparison:
    return Comparison(label="n-onnx", metric="latency", verdict="regressed", reason=reason)


def test_what_was_not_measured_is_said_with_how_to() -> None:
    text = page(tell(days(run(measurement()))), LIBRARY)
    assert "No layers in this run. Measure it: pytest benchmarks/test_layers.py" in text


def test_a_page_of_nothing_but_pairs() -> None:
    text = page(tell(days(saved_pairs(decision(), decision("n-onnx", "regressed")))), LIBRARY)
    found = outline(text)
    assert "table-pairs-1" in found.ids
    assert 'class="regressed"' in text
    assert not any(name.startswith("chart-") for name in found.ids)


def test_cells_are_sorted_by_what_they_are_worth() -> None:
    table = Table(name="t", title="t", heading=("a", "b"), rows=(("x", 1234.5), ("y", None), ("z", -0.0)))
    assert table.shown == (
        (("x", ""), ("1234", "1234.5")),
        (("y", ""), ("–", "")),
        (("z", ""), ("0.000", "-0.0")),
    )


def test_thousands_of_rows_are_cut_and_counted() -> None:
    many = [measurement((0.04,), backend=f"b{number}") for number in range(MOST_ROWS + 5)]
    (results, *_) = figure_tables(tell(days(run(*many))))
    assert (len(results.shown), results.left_out) == (MOST_ROWS, 5)
