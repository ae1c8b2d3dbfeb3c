from collections.abc import Callable, Sequence
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo_perf.analysis.rounds import middle_half, steady_mean
from yolo_perf.analysis.timing import alternate

SECONDS = st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=60)


class Stage:
    """A clock that moves only while a call lasts, and the order in which the calls came."""

    def __init__(self) -> None:
        self.now = 100.0
        self.called: list[str] = []

    def __call__(self) -> float:
        return self.now

    def actor(
        self, name: str, lasts: Sequence[float], interrupted_in_round: int | None = None
    ) -> Callable[[], object]:
        """A call that lasts so long in each round, in turn; in the given round (from 1) Ctrl-C comes instead."""

        def call() -> object:
            number = self.called.count(name)
            self.called.append(name)
            if number + 1 == interrupted_in_round:
                raise KeyboardInterrupt
            self.now += lasts[number % len(lasts)]
            return name

        return call


def test_each_call_has_its_own_seconds_of_every_round() -> None:
    stage = Stage()
    calls = [stage.actor("a", (1.0, 2.0, 4.0)), stage.actor("b", (8.0, 16.0, 32.0)), stage.actor("c", (0.5,))]
    assert alternate(calls, 3, stage) == ((1.0, 2.0, 4.0), (8.0, 16.0, 32.0), (0.5, 0.5, 0.5))


def test_the_order_turns_over_every_round() -> None:
    stage = Stage()
    alternate([stage.actor(name, (1.0,)) for name in "abc"], 4, stage)
    assert "".join(stage.called) == "abc" + "cba" + "abc" + "cba"


@pytest.mark.parametrize("interrupted", ["a", "b", "c"])
def test_an_interruption_in_the_third_round_keeps_two_whole_rounds_of_every_call(interrupted: str) -> None:
    stage = Stage()
    calls = [stage.actor(name, (1.0, 2.0, 4.0), 3 if name == interrupted else None) for name in "abc"]
    assert alternate(calls, 5, stage) == ((1.0, 2.0),) * 3
    assert stage.called[-1] == interrupted  # nothing runs on after Ctrl-C


@pytest.mark.parametrize("interrupted", ["a", "b"])
def test_an_interruption_before_the_first_round_is_whole_goes_on(interrupted: str) -> None:
    stage = Stage()
    calls = [stage.actor(name, (1.0,), 1 if name == interrupted else None) for name in "ab"]
    with pytest.raises(KeyboardInterrupt):
        alternate(calls, 5, stage)


def test_an_interruption_in_the_second_round_keeps_the_first() -> None:
    stage = Stage()
    assert alternate([stage.actor("a", (1.0, 2.0), 2)], 5, stage) == ((1.0,),)


def test_an_error_is_no_interruption() -> None:
    stage = Stage()

    def fail() -> object:
        if stage.called.count("a") == 3:
            raise ZeroDivisionError
        return None

    with pytest.raises(ZeroDivisionError):
        alternate([stage.actor("a", (1.0,)), fail], 5, stage)


@pytest.mark.parametrize(
    ("seconds", "indices"),
    [
        ([7.0], {0}),
        ([7.0, 5.0], {0, 1}),
        ([7.0, 5.0, 6.0], {0, 1, 2}),  # too few for quartiles
        ([9.0, 1.0, 8.0, 2.0], {2, 3}),
        ([9.0, 1.0, 8.0, 2.0, 3.0], {2, 3, 4}),
        ([], set()),
    ],
)
def test_the_middle_half_by_hand(seconds: list[float], indices: set[int]) -> None:
    assert set(middle_half(seconds)) == indices


def test_the_steady_mean_by_hand() -> None:
    assert steady_mean([100.0, 1.0, 50.0, 3.0, 7.0]) == 20.0  # of 3, 7 and 50
    assert steady_mean([2.5]) == 2.5


@given(SECONDS)
def test_as_many_rounds_are_left_out_above_as_below(seconds: list[float]) -> None:
    chosen = middle_half(seconds)
    assert len(set(chosen)) == len(chosen) == len(seconds) - 2 * (len(seconds) // 4)
    outside = sorted(seconds[index] for index in range(len(seconds)) if index not in chosen)
    below, above = outside[: len(outside) // 2], outside[len(outside) // 2 :]
    assert max(below, default=0.0) <= min(seconds[index] for index in chosen)
    assert max(seconds[index] for index in chosen) <= min(above, default=float("inf"))


@given(SECONDS, st.floats(0.01, 100))
def test_the_steady_mean_follows_scale_and_ignores_order(seconds: list[float], factor: float) -> None:
    mean = steady_mean(seconds)
    assert steady_mean([factor * each for each in seconds]) == pytest.approx(factor * mean)
    assert steady_mean(sorted(seconds, reverse=True)) == pytest.approx(mean)
    assert min(seconds) <= mean * (1 + 1e-12)
    assert mean <= max(seconds) * (1 + 1e-12)


@given(st.lists(st.tuples(st.floats(1e-3, 1.0), st.floats(1e-3, 1.0)), min_size=1, max_size=30))
def test_parts_averaged_over_the_middle_half_add_up_to_the_steady_mean(parts: list[tuple[float, float]]) -> None:
    whole = [sum(pair) for pair in parts]
    kept = middle_half(whole)
    added = fmean(parts[index][0] for index in kept) + fmean(parts[index][1] for index in kept)
    assert added == pytest.approx(steady_mean(whole))
