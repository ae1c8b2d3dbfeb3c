import json
import math
from dataclasses import replace

import pytest

from tests.verdict.test_history import quiet, session, subject
from yolo_perf.records import Commit
from yolo_perf.report.history import ASCII, document, history, names, rows, sparkline
from yolo_perf.verdict.history import History, Selection
from yolo_perf.verdict.history import history as look_back

EAGER, ONNX = subject("eager"), subject("onnx")


def found() -> History:
    """Eager creeps by four steps of 4 %, onnx has one of 5 % that the machine's roofs do not share."""
    eager = quiet(*((10, 0.04 * 1.04**step) for step in range(4)))
    onnx = quiet((20, 0.0200), (20, 0.0210))
    return look_back(
        session(i, *both, subjects=(EAGER, ONNX), commit=Commit(id=f"{i:02d}abcdef99", dirty=i == 20))
        for i, both in enumerate(zip(eager, onnx, strict=True))
    )


def test_the_table_and_what_happened() -> None:
    text = history(replace(found(), left_out=(("interrupted", 2), ("saved twice", 1))))
    assert (
        text
        == """\
AMD EPYC, 2 cores: 40 sessions, 2026-01-01 to 2026-02-09
case     sessions  first ms  last ms  trend %  spread %
───────────────────────────────────────────────────────
n-eager        40     40.02    44.96    +14.9       0.1
  ▁▁▁▁▁▁▃▃▃▃▃▃▆▆▆▆▆▆██████  2026-01-31  29abcde..30abcde  +4.0 %
n-onnx         40     20.01    20.99     +5.5       0.1
  ▁▁▁▁▁▁▁▁▁▁▁▁▅▅▅▅▅▅▅▅▅▅▅▅  2026-01-21  19abcde..20abcde+  +5.0 %

CREEPS n-eager +12.5 % in small steps, none beyond the margin: 09abcde..30abcde,
    2026-01-10 to 2026-01-31 (p below 0.0001)
SLOWER n-eager +4.0 %: 09abcde..10abcde, 2026-01-10 to 2026-01-11 (p below
    0.0001; utilisation -3.8 %)
SLOWER n-eager +4.0 %: 19abcde..20abcde+, 2026-01-20 to 2026-01-21 (p below
    0.0001; utilisation -3.8 %)
SLOWER n-eager +4.0 %: 29abcde..30abcde, 2026-01-30 to 2026-01-31 (p below
    0.0001; utilisation -3.8 %)
SLOWER n-onnx +5.0 %: 19abcde..20abcde+, 2026-01-20 to 2026-01-21 (p below
    0.0001; utilisation -4.8 %)

ms: low quantile of the rounds, per image. trend %: along the Theil-Sen line
from first to last session. spread %: between sessions, with changes of level
taken out.
From session to session, so weak: what the host did in those days is in it. To
decide on two commits: yolo-perf ab --base ref:BEFORE --head ref:AFTER

Left out: 2 interrupted, 1 saved twice."""
    )


def test_what_the_machine_shares_and_what_was_taken_back_are_said() -> None:
    """Up by 20 % while the roofs fell as much, then down again; utilisation is the same throughout."""
    seconds = quiet((10, 0.04), (10, 0.048), (10, 0.04))
    found = look_back(session(i, each, utilizations=(0.5,)) for i, each in enumerate(seconds))
    text = " ".join(history(found).split())
    assert "SLOWER n-onnx +20.0 %, taken back since: c9..c10, 2026-01-10 to 2026-01-11" in text
    assert "utilisation +0.0 %: the machine itself was slower)" in text
    assert "faster n-onnx -16.7 %: c19..c20, 2026-01-20 to 2026-01-21" in text
    assert "utilisation +0.0 %: the machine itself was faster)" in text
    assert not found.regressed


def test_every_line_fits_80_columns_and_ascii_where_that_is_all() -> None:
    text = history(found(), blocks=ASCII)
    assert max(map(len, text.splitlines())) <= 80
    assert "▁" not in text
    assert "________________________"[:10] in text


def test_nothing_is_said_to_be_nothing() -> None:
    assert history(look_back([])) == "No session of inference is there to look back on."


def test_quiet_history_says_so() -> None:
    text = history(look_back(session(i, 0.04) for i in range(8)))
    assert "No change of level, and nothing creeps." in text


def test_one_session_has_no_trend() -> None:
    text = history(look_back([session(0, 0.04)]))
    assert "n-onnx         1     40.00    40.00        -         -" in text
    assert "1 session, 2026-01-01 to 2026-01-01" in text


@pytest.mark.parametrize(
    ("seconds", "line"),
    [
        ((1.0,), "▁"),
        ((1.0, 1.0, 1.0), "▁▁▁"),
        ((1.0, 1.5, 2.0), "▁▅█"),
        ((1.00, 1.05, 1.0999), "▁▅█"),  # the margin of 10 % is the whole height
        ((1.0, 1.01), "▁▁"),
        (tuple([1.0] * 24 + [2.0] * 24), "▁" * 12 + "█" * 12),
    ],
)
def test_a_line_of_blocks(seconds: tuple[float, ...], line: str) -> None:
    assert sparkline(seconds) == line
    assert len(sparkline(seconds, ASCII)) == len(line)


def test_names_are_as_short_as_tells_them_apart() -> None:
    subjects = (subject("eager"), subject(), subject(image_size=320), subject(digest="1" * 64))
    (machine,) = look_back([session(0, 0.04, 0.04, 0.04, 0.04, subjects=subjects)]).machines
    assert names(machine) == (
        "n-eager",
        "n-onnx-b1-640px-t2 seeded 00000000",
        "n-onnx-b1-320px-t2",
        "n-onnx-b1-640px-t2 seeded 11111111",
    )


@pytest.mark.parametrize("color", [False, True])
def test_a_foreign_file_does_not_steer_the_terminal(color: bool) -> None:
    evil = "\x1b]0;\x07\u202e"
    seconds = quiet((10, 0.04), (10, 0.06))
    runs = [
        session(i, s, subjects=(subject(evil, digest=evil),), commit=Commit(id=evil), described=evil)
        for i, s in enumerate(seconds)
    ]
    text = history(look_back(runs), color=color)
    assert not {"\x07", "\u202e"} & set(text)
    assert "\x1b]" not in text
    assert ("\x1b[" in text) is color


def test_the_document_is_easy_to_draw() -> None:
    whole = json.loads(json.dumps(document(found()), allow_nan=False))
    (machine,) = whole["machines"]
    eager, onnx = machine["series"]
    assert (machine["sessions"], len(eager["points"]), eager["regressed"]) == (40, 40, True)
    assert [change["index"] for change in eager["changes"]] == [10, 20, 30]
    assert (eager["creep"]["start"], eager["creep"]["end"]) == (9, 30)
    assert (eager["creep"]["commit_before"], eager["creep"]["commit_after"]) == ("09abcdef99", "30abcdef99")
    assert onnx["creep"] is None
    (change,) = onnx["changes"]
    assert change["stands"] is True
    assert change["ratio"] == pytest.approx(1.05, rel=1e-3)
    assert onnx["points"][change["index"]]["dirty"] is True
    assert onnx["points"][0]["latency_s"] == pytest.approx(0.02 * math.exp(0.0005))


def test_the_rows_have_the_same_keys_with_and_without_a_change() -> None:
    quiet_ones = look_back((session(i, 0.04) for i in range(3)), Selection())
    (calm,) = rows(quiet_ones)
    eager, _ = rows(found())
    assert calm.keys() == eager.keys()
    assert calm["last_change"] is None
    assert (eager["changes"], eager["last_change_before"], eager["last_change_after"]) == (
        3,
        "29abcdef99",
        "30abcdef99",
    )
