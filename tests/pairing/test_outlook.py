"""What remains of a comparison: a clock by hand, and the course itself."""

from collections.abc import Sequence

import pytest

from tests.clocks import Clock
from yolo_perf.pace import NOTHING, Left
from yolo_perf.pairing.outlook import Outlook
from yolo_perf.verdict.course import Course, Progress, Stage
from yolo_perf.verdict.gate import Differences, Rules


@pytest.fixture
def clock() -> Clock:
    return Clock()


def after(clock: Clock, seconds: float, outlook: Outlook, stage: Stage, pair: int, pairs: int) -> Left:
    clock.now += seconds
    return outlook.left(Progress(stage=stage, pair=pair, pairs=pairs, ratios={}))


def test_a_screen_is_a_lower_bound_and_what_decides_an_upper_one(clock: Clock) -> None:
    outlook = Outlook(clock=clock)
    assert after(clock, 30, outlook, "screen", 1, 6) == Left(seconds=150, bound="at least")
    assert after(clock, 50, outlook, "screen", 2, 6) == Left(seconds=160, bound="at least")
    for pair in range(3, 6):
        after(clock, 40, outlook, "screen", pair, 6)
    assert after(clock, 40, outlook, "screen", 6, 6).text == ""  # what follows nobody knows yet
    # One case of them all: its pairs are shorter, and those of the screen do not count.
    assert after(clock, 10, outlook, "decide", 1, 36) == Left(seconds=350, bound="at most")
    assert after(clock, 20, outlook, "decide", 2, 36) == Left(seconds=510, bound="at most")


def test_a_pair_that_was_disturbed_took_its_time_too(clock: Clock) -> None:
    outlook = Outlook(clock=clock)
    assert after(clock, 30, outlook, "screen", 0, 6) == Left(seconds=180, bound="at least")
    assert after(clock, 30, outlook, "screen", 1, 6) == Left(seconds=150, bound="at least")


def test_a_budget_ends_it_sooner(clock: Clock) -> None:
    outlook = Outlook(ends=clock() + 100, clock=clock)
    assert after(clock, 30, outlook, "screen", 1, 2) == Left(seconds=30, bound="at least")
    outlook = Outlook(ends=clock() + 100, clock=clock)
    # 70 s are left of the budget, and a pair that is begun in them is still measured.
    assert after(clock, 30, outlook, "screen", 1, 6) == Left(seconds=100, bound="at most")
    assert after(clock, 90, outlook, "screen", 2, 6) == Left(seconds=60, bound="at most")


def test_the_line_of_a_step(clock: Clock) -> None:
    outlook = Outlook(clock=clock)
    clock.now += 60
    progress = Progress(stage="screen", pair=1, pairs=6, ratios={"n-eager": 1.012, "n-onnx": 0.99999})
    assert outlook.text(progress) == "screen 1/6, at least 5 min left: n-eager +1.2 %, n-onnx +0.0 %"


@pytest.mark.parametrize("slower", [0.0, 0.05])
def test_bounds_hold_along_a_course_of_even_pairs(clock: Clock, slower: float) -> None:
    """Of pairs that take ten seconds each, "at least" is never too much, and "at most" never too little."""
    outlook = Outlook(clock=clock)
    said: list[tuple[float, Left]] = []

    def take(_: Stage, labels: Sequence[str]) -> Differences:
        noise = 0.001 if round(clock.now / 10) % 2 else -0.001
        clock.now += 10
        return Differences(
            cases={label: noise + (slower if label == "n-onnx" else 0.0) for label in labels}, controls={}
        )

    course = Course(
        take,
        ("n-eager", "n-onnx"),
        Rules(),
        tell=lambda progress: said.append((clock.now, outlook.left(progress))),
    )
    course.compare()
    assert said[0][1] != NOTHING
    for at, left in said:
        remained = clock.now - at
        assert left.seconds <= remained + 1e-6 if left.bound == "at least" else left.seconds >= remained - 1e-6
    assert {left.bound for _, left in said} == ({"at least", "at most"} if slower else {"at least"})


def test_of_many_cases_those_that_differ_most_are_said(clock: Clock) -> None:
    ratios = {f"t{number}": 1 + number / 100 for number in range(10)}
    text = Outlook(clock=clock).text(Progress(stage="screen", pair=1, pairs=6, ratios=ratios))
    assert text.partition(": ")[2].startswith("t2 +2.0 %, t3 +3.0 %")
    assert text.endswith("t9 +9.0 %, 2 less")
