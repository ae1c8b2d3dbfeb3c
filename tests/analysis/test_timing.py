import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.clocks import Clock
from yolo_perf.analysis.rounds import MAX_ROUNDS, MIN_ROUNDS, low_quantile, plan
from yolo_perf.analysis.timing import slowed


@pytest.mark.parametrize(
    ("round_s", "rounds"), [(0.1, 30), (0.29, 10), (2.0, MIN_ROUNDS), (60.0, MIN_ROUNDS), (1e-4, MAX_ROUNDS)]
)
def test_rounds_fill_the_budget(round_s: float, rounds: int) -> None:
    assert plan(round_s, budget_s=3.0).rounds == rounds
    assert plan(round_s, budget_s=3.0).warmup_rounds == 1


def test_rounds_that_are_asked_for_are_taken() -> None:
    assert plan(60.0, budget_s=3.0, rounds=7).rounds == 7


@pytest.mark.parametrize(("count", "position"), [(1, 0), (3, 0), (10, 0), (11, 1), (20, 1), (21, 2), (50, 4)])
def test_low_quantile_is_the_tenth_of_the_rounds(count: int, position: int) -> None:
    rounds = [float(i) for i in range(1, count + 1)]
    assert low_quantile(rounds[::-1]) == rounds[position]


@given(st.lists(st.floats(1e-6, 1e3), min_size=1))
def test_low_quantile_is_a_round_and_ignores_order(rounds: list[float]) -> None:
    assert low_quantile(rounds) in rounds
    assert low_quantile(rounds) == low_quantile(sorted(rounds, reverse=True))


def test_a_slowed_call_lasts_its_factor() -> None:
    clock = Clock(tick=0.001)

    def work() -> None:
        clock.now += 2.0

    slow = slowed(work, 1.5, clock)
    before = clock.now
    slow()
    assert clock.now - before == pytest.approx(3.0, abs=0.01)
