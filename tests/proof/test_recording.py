from pathlib import Path

import pytest

from tests.proof import recorded as by_hand
from yolo_perf.errors import BaselineError
from yolo_perf.proof.recording import Setting, record, recorded, schedule
from yolo_perf.proof.rows import Header, read_rows
from yolo_perf.records import Pair

HEADER = Header(machine="here", created="now", setup="n")


def measure(_: Setting) -> Pair:
    return by_hand.pair(lambda: 1.0)


def taken(path: Path, count: int, settings: tuple[Setting, ...] = (Setting(),)) -> int:
    times = iter(range(0, 1000, 7))
    return len(
        list(
            record(
                measure, path, settings, header=HEADER, more=lambda done: done < count, clock=lambda: next(times)
            )
        )
    )


def test_a_cycle_is_mostly_of_identical_sides() -> None:
    assert schedule(("spin=3%",), ("memory",)) == (
        *(Setting(),) * 4,
        Setting(disturb="memory"),
        Setting(inject="spin=3%"),
    )


def test_conditions_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    assert taken(path, 5, (Setting(), Setting(disturb="memory"), Setting(inject="spin=3%"))) == 5
    rows = read_rows(path)
    assert (rows.header.machine, rows.header.created) == ("here", "now")
    assert [(row.inject, row.disturb) for row in rows.rows] == [
        ("", "none"),
        ("", "memory"),
        ("spin=3%", "none"),
        ("", "none"),
        ("", "memory"),
    ]
    assert [(row.at, row.took) for row in rows.rows][:2] == [(0.0, 7.0), (14.0, 7.0)]


def test_more_is_added_to_what_there_is(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    assert recorded(path) == 0
    taken(path, 2)
    path.write_bytes(path.read_bytes().rstrip())  # a last line without its end
    taken(path, 1)
    assert recorded(path) == 3


def test_each_pair_is_in_the_file_before_the_next_is_measured(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    calls = 0

    def interrupted(_: Setting) -> Pair:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return by_hand.pair(lambda: 1.0)

    with pytest.raises(KeyboardInterrupt):
        list(record(interrupted, path, (Setting(),), header=HEADER, more=lambda _: True))
    assert recorded(path) == 2


def test_another_file_is_not_added_to(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine\n")
    with pytest.raises(BaselineError, match="line 1: no recorded pair"):
        recorded(path)


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match=r"Cannot write .*: No such file"):
        taken(tmp_path / "none" / "rows.jsonl", 1)
