from dataclasses import replace
from pathlib import Path

import pytest

from tests.factories import machine, measurement, peaks, run
from tests.verdict.test_compare import reference
from yolo_perf.archive.baselines import Shelf
from yolo_perf.archive.histories import Spread
from yolo_perf.records import Commit
from yolo_perf.report import plain
from yolo_perf.report.baselines import listing, saved_run

PATH = Path("baselines/amd/0002_baseline.json")
RUN = run(
    measurement((0.04,)),
    measurement((0.1,), backend="batched", batch=4),
    measurement((0.02,), backend="onnx-static-int8", dtype="int8"),
    configuration={"image_size": 640, "rounds": None, "slow_down": ""},
)
DIRTY = replace(RUN, commit=Commit(id="0123456789abcdef", branch="main", dirty=True))
SPREADS = (
    Spread(sessions=3, deviation=0.021),
    Spread(sessions=2, deviation=0.1234),
    Spread(sessions=1, deviation=None),
)
SHELVES = (
    Shelf(name="amd-epyc-25-1-1-2c-9cf14f98", runs=((PATH, RUN), (PATH, DIRTY)), damaged=("a.json is damaged.",)),
    Shelf(name="empty-1c-00000000", damaged=("b.json is damaged.",)),
    Shelf(name="laptop", reference=reference()),
)


def test_the_list_of_what_is_saved() -> None:
    assert (
        listing(SHELVES, SHELVES[0].name)
        == """\
  machine                      sessions      newest     commit  cases
────────────────────────────────────────────────────────────────────────────────
* amd-epyc-25-1-1-2c-9cf14f98         2  2026-01-01  01234567+      3  1 damaged
  empty-1c-00000000                   0           -          -      -  1 damaged
  laptop                              -           -          -      2  published
*: this machine.
+: with changes that were not committed.
Not usable: a.json is damaged.
Not usable: b.json is damaged."""
    )


def test_a_list_without_this_machine_says_how_to_add_it() -> None:
    text = listing(SHELVES[2:], "another")
    assert text.endswith("No baseline of this machine. Record one: pytest benchmarks/ --perf-save")
    assert "*" not in text
    assert listing((), "another").startswith("Nothing is saved there. Record a baseline: ")


def test_the_rows_of_the_list() -> None:
    own, empty, laptop = plain.shelf_rows(SHELVES, SHELVES[0].name)
    assert own == {
        "name": SHELVES[0].name,
        "this_machine": True,
        "published": False,
        "sessions": 2,
        "newest": "2026-01-01T00:00:00+00:00",
        "commit": "0123456789abcdef",
        "dirty": True,
        "cases": 3,
        "damaged": ("a.json is damaged.",),
    }
    assert (empty["sessions"], empty["newest"], empty["cases"]) == (0, None, 0)
    assert (laptop["published"], laptop["sessions"], laptop["cases"]) == (True, 0, 2)
    assert list(own) == list(empty) == list(laptop)


def test_one_saved_run_in_full() -> None:
    text = saved_run(PATH, DIRTY, SPREADS)
    head, identity, table, spreads = text.split("\n\n")
    assert (
        head
        == """\
baselines/amd/0002_baseline.json: session of 2026-01-01T00:00:00+00:00
commit 0123456789ab on main, with changes that were not committed; pictures
    synthetic
settings: image_size 640"""
    )
    assert "CPU          AMD EPYC (family 25, model 1, stepping 1)" in identity
    assert "peak triad   40.0 GB/s" in identity
    assert "  batched x4           25.00  40.0    160.0    80.0  compute" in table
    assert (
        spreads
        == """\
between sessions  sessions  spread %
────────────────────────────────────
n-eager                  3       2.1
n-batched x4             2      12.3
spread %: standard deviation between sessions of the logarithm of the latency's
low quantile. Commits and libraries that differ between them are in it.
Median 7.2 %, widest 12.3 % (n-batched x4)."""
    )


def test_a_run_of_one_session_says_that_its_spread_is_unknown() -> None:
    text = saved_run(PATH, replace(RUN, commit=Commit(), complete=False), SPREADS[2:] * 3)
    assert text.splitlines()[1].strip() == "INTERRUPTED"
    assert "commit unknown; pictures synthetic" in text
    assert text.endswith("not known. Save more: pytest benchmarks/ --perf-save")
    assert "spread %" not in text


def test_a_run_of_other_measurements_names_them() -> None:
    case = measurement().case
    text = saved_run(PATH, run(throughput=(measurement(), measurement())), ())
    assert "holds 2 points of throughput too" in text
    assert "No inference was measured." in text
    assert case.label not in text


@pytest.mark.parametrize("color", [False, True])
def test_a_foreign_file_does_not_steer_the_terminal(color: bool) -> None:
    evil = "\x1b]0;title\x07\u202e"
    found = run(
        measurement(backend=evil),
        machine=machine(cpu_model=evil, libraries={evil: evil}),
        commit=Commit(id=evil, branch=evil),
        peaks=replace(peaks(), method=evil),
        created=evil,
        data=evil,
        configuration={evil: evil},
    )
    shelf = Shelf(name=evil, runs=((PATH, found),), damaged=(evil,))
    text = saved_run(PATH, found, SPREADS[:1], color=color) + listing([shelf], "", color=color)
    assert "\x1b]" not in text
    assert "\x07" not in text
    assert "\u202e" not in text
    assert ("\x1b[" in text) is color


def test_the_rows_of_a_saved_run() -> None:
    document = plain.saved_document(PATH, DIRTY, SPREADS)
    assert document["path"] == str(PATH)
    assert document["commit"] == {"id": "0123456789abcdef", "branch": "main", "dirty": True}
    rows = plain.saved_rows(DIRTY, SPREADS)
    assert document["cases"] == rows
    assert [(row["optimization"], row["sessions"], row["spread"]) for row in rows] == [
        ("eager", 3, 0.021),
        ("batched", 2, 0.1234),
        ("onnx-static-int8", 1, None),
    ]
    assert (rows[1]["latency_s"], rows[1]["batch"], rows[1]["rounds"]) == (0.025, 4, 1)
