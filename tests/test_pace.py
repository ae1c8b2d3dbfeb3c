from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo_perf.pace import NOTHING, Left, Steps, left_of
from yolo_perf.units import duration, signed_percent

N, X = ("test_inference", "n"), ("test_inference", "x")


def ticking(times: Sequence[float]) -> Callable[[], float]:
    return iter(times).__next__


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (9.4, "9 s"),
        (33, "35 s"),
        (89, "90 s"),
        (90, "2 min"),
        (250, "4 min"),
        (5399, "90 min"),
        (9000, "2.5 h"),
    ],
)
def test_a_time_to_wait_for(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_what_rounds_to_nothing_has_no_minus() -> None:
    assert signed_percent(0.9999) == signed_percent(1.0001) == "+0.0 %"
    assert signed_percent(0.999) == "-0.1 %"


def test_steps_take_what_those_before_took() -> None:
    steps = Steps(16, clock=ticking([100.0, 130.0, 150.0, 340.0]))
    assert steps.left(0) == NOTHING  # nothing is known yet, and no clock is looked at
    assert steps.left(1) == Left(seconds=15 * 30)
    assert steps.left(2) == Left(seconds=14 * 25)
    assert steps.left(16) == Left(seconds=0)


@given(st.integers(1, 100), st.floats(0.1, 1e5))
def test_steps_of_one_length_are_told_exactly(total: int, seconds: float) -> None:
    for done in range(1, total + 1):
        left = Steps(total, clock=ticking([0.0, done * seconds])).left(done)
        assert left.seconds == pytest.approx((total - done) * seconds)


def test_nothing_is_said_of_less_than_a_second_or_of_nothing() -> None:
    assert NOTHING.text == Left(seconds=0.9).text == ""
    assert Left(seconds=240).text == ", about 4 min left"
    assert Left(seconds=240, bound="at least").text == ", at least 4 min left"


def test_a_case_takes_what_the_most_alike_ones_took() -> None:
    done = [((*N, "eager"), 10.0), ((*N, "onnx"), 4.0), (("test_memory", "n", "onnx"), 60.0)]
    assert left_of(done, [(*N, "onnx")]) == Left(seconds=4)  # the same again
    assert left_of(done, [(*N, "int8")]) == Left(seconds=7)  # the size's mean
    assert left_of(done, [(*N, "onnx"), (*N, "int8")]) == Left(seconds=11)


def test_another_size_is_another_model_so_only_a_bound_is_known() -> None:
    done = [((*N, "eager"), 10.0), ((*N, "onnx"), 4.0)]
    assert left_of(done, [(*X, "onnx")]) == Left(seconds=4, bound="at least")
    assert left_of(done, [("test_memory", "n", "onnx")]) == Left(seconds=0, bound="at least")
    assert left_of(done, [(*N, "onnx"), ("test_memory", "n", "onnx")]) == Left(seconds=4, bound="at least")
    assert left_of([], [(*N, "onnx")]).text == ""


def test_a_benchmark_without_sizes_is_like_itself() -> None:
    assert left_of([(("test_mine",), 3.0)], [("test_mine",)]) == Left(seconds=3)
