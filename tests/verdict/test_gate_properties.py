"""What holds of the gate whatever is measured, and how often it is right."""

import math
import random
from collections.abc import Mapping, Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.factories import turn
from tests.verdict.test_gate import OPPOSITE, RULES, decide, judged, labels, screen, thousandths
from yolo_perf.records import Pair
from yolo_perf.verdict.gate import (
    Decision,
)


@st.composite
def stages(draw: st.DrawFn) -> tuple[dict[str, list[float]], dict[str, list[float]], tuple[str, ...]]:
    """Both stages' differences and who was suspected. A shared shift makes some of them clear."""
    names = draw(labels)
    first, second = (
        {
            name: [shift + each for each in draw(st.lists(thousandths, min_size=pairs, max_size=pairs))]
            for name, shift in zip(names, draw(st.tuples(*[thousandths] * len(names))), strict=True)
        }
        for pairs in (6, 16)
    )
    return first, second, tuple(draw(st.lists(st.sampled_from(names), unique=True)))


def negated(found: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    return {label: [-each for each in values] for label, values in found.items()}


@settings(max_examples=25)
@given(stages())
def test_swapping_the_sides_turns_the_verdicts_round(
    measured: tuple[dict[str, list[float]], dict[str, list[float]], tuple[str, ...]],
) -> None:
    first, second, suspects = measured
    for one, other in zip(
        decide(first, second, suspects, RULES),
        decide(negated(first), negated(second), suspects, RULES),
        strict=True,
    ):
        assert OPPOSITE.get(one.verdict, one.verdict) == other.verdict
        assert not (one.fails and other.fails)


@settings(max_examples=25)
@given(stages(), st.randoms())
def test_the_order_of_the_pairs_changes_nothing(
    measured: tuple[dict[str, list[float]], dict[str, list[float]], tuple[str, ...]], rng: random.Random
) -> None:
    def shuffled(found: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
        pairs = len(next(iter(found.values())))
        order = rng.sample(range(pairs), pairs)
        return {label: [values[index] for index in order] for label, values in found.items()}

    first, second, suspects = measured
    assert screen(shuffled(first), RULES) == screen(first, RULES)
    assert decide(shuffled(first), shuffled(second), suspects, RULES) == decide(first, second, suspects, RULES)


rounds = st.lists(st.floats(1e-3, 1.0), min_size=5, max_size=5)


@settings(max_examples=20)
@given(st.lists(st.tuples(rounds, rounds), min_size=6, max_size=6), st.integers(-20, 20))
def test_scaling_both_sides_by_a_power_of_two_changes_nothing(
    measured: list[tuple[list[float], list[float]]], exponent: int
) -> None:
    def scaled(factor: float) -> list[Pair]:
        return [
            Pair(turns=(turn(base=[factor * b for b in base], head=[factor * h for h in head]),))
            for base, head in measured
        ]

    fresh = [*scaled(1.0), *scaled(1.0), *scaled(1.0)]
    fresh_scaled = [*scaled(2.0**exponent)] * 3
    assert judged(scaled(2.0**exponent), fresh_scaled) == judged(scaled(1.0), fresh)


def suites(number: int, slow_down: float, seed: int) -> list[tuple[Decision, ...]]:
    """Decisions on so many suites of five cases, sd 2 % a pair; the first case is slower."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(number):
        first, second = (
            {
                f"case-{case}": (rng.normal(slow_down if case == 0 else 0.0, 0.02, pairs)).tolist()
                for case in range(5)
            }
            for pairs in (RULES.screen_pairs, RULES.decide_pairs)
        )
        found.append(decide(first, second, screen(first, RULES).suspects, RULES))
    return found


def test_identical_sides_hardly_ever_fail() -> None:
    alarms = sum(any(each.fails for each in decisions) for decisions in suites(400, 0.0, seed=1))
    assert alarms <= 4


def test_a_slow_down_of_five_per_cent_is_nearly_always_found() -> None:
    verdicts = [decisions[0].verdict for decisions in suites(100, math.log(1.05), seed=2)]
    assert verdicts.count("regressed") >= 95
