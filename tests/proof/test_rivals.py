import math

import pytest

from tests.proof import recorded
from yolo_perf.proof.rivals import RivalScore, blocks, interleaved, matched_threshold, score_rivals
from yolo_perf.proof.rows import Row
from yolo_perf.records import Pair, Turn


def session(at: int, base: float, head: float, *, disturb: str = "none") -> Row:
    """One case, five rounds a side."""
    turn = Turn(label="n-onnx", base=recorded.side(base, 5), head=recorded.side(head, 5))
    return Row(at=at, took=8.0, disturb=disturb, pair=Pair(turns=(turn,)))


def scores(rows: tuple[Row, ...], *amounts: float) -> dict[tuple[str, str], RivalScore]:
    """By design and rule; a rule whose threshold was moved under its statistic's name."""
    return {(score.design, score.rule): score for score in score_rivals(rows, amounts)}


def test_blocks_are_neighbours_in_time_under_one_disturbance() -> None:
    rows = (
        session(30, 3.0, 3.5),
        session(10, 1.0, 1.5),
        session(15, 8.0, 8.5, disturb="memory"),
        session(20, 2.0, 2.5),
        session(25, 9.0, 9.5, disturb="memory"),
    )
    firsts = [(found["n-onnx"][0][0], found["n-onnx"][1][0]) for found in blocks(rows)]
    assert firsts == [(1.0, 2.5), (2.0, 3.5), (8.0, 9.5)]
    assert [found["n-onnx"][1][0] for found in interleaved(rows)] == [3.5, 1.5, 8.5, 2.5, 9.5]


def test_sessions_that_drift_apart_raise_false_alarms_in_blocks_alone() -> None:
    drifting = tuple(session(number, 1.1**number, 1.1**number) for number in range(5))
    found = scores(drifting, 0.03)
    block, paired = found["block", "mean:5%"], found["interleaved", "mean:5%"]
    assert (block.suites, block.comparisons, block.suite_false_alarms.point) == (4, 4, 1.0)
    assert (paired.suites, paired.suite_false_alarms.point, paired.one[0.03]) == (5, 0.0, 0.0)


def test_a_threshold_of_five_per_cent_finds_what_is_beyond_it() -> None:
    found = scores(recorded.rows(4), 0.03, 0.10)
    for rule in ("mean:5%", "min:5%", "median:5%"):
        score = found["interleaved", rule]
        assert score.false_alarms.point == 0.0
        assert score.false_alarms.high == pytest.approx(1 - 0.025 ** (1 / 12))  # Clopper-Pearson, 0 of 12
        assert (score.one, score.every) == ({0.03: 0.0, 0.10: 1.0}, {0.03: 0.0, 0.10: 1.0})


def test_one_case_is_the_middle_one_and_all_are_any_of_them() -> None:
    turns = tuple(
        Turn(label=label, base=recorded.side(1.0, 5), head=recorded.side(head, 5))
        for label, head in (("a", 1.0), ("b", 1.0), ("c", 1.04))
    )
    score = scores((Row(at=0, took=1.0, pair=Pair(turns=turns)),), 0.03)["interleaved", "mean:5%"]
    assert (score.one[0.03], score.every[0.03]) == (0.0, 1.0)


def test_a_moved_threshold_raises_no_more_false_alarms_than_one_in_a_hundred() -> None:
    few = interleaved([session(number, 1.0, 1.0 + number / 100) for number in range(50)])
    assert matched_threshold(min, few) == pytest.approx(0.49)
    many = interleaved([session(number, 1.0, 1.0 + number / 1000) for number in range(200)])
    threshold = matched_threshold(min, many)
    assert sum(found["n-onnx"][1][0] - 1.0 > threshold for found in many) == 2
    assert matched_threshold(min, interleaved([session(0, 1.0, 0.5)])) == 0.0  # a speed-up never fails


def test_a_moved_threshold_is_shown_with_its_power() -> None:
    rows = tuple(session(number, 1.0, 1.0 if number else 1.06) for number in range(20))
    score = scores(rows, 0.03, 0.10)["interleaved", "min"]
    assert score.threshold == pytest.approx(0.06)
    assert score.suite_false_alarms.point == 0.0
    assert score.one == {0.03: pytest.approx(0.05), 0.10: 1.0}
    assert math.isclose(score.suite_false_alarms.high, 1 - 0.025 ** (1 / 20))


def test_one_row_has_no_neighbour() -> None:
    assert {score.design for score in score_rivals(recorded.rows(1), (0.03,))} == {"interleaved"}
