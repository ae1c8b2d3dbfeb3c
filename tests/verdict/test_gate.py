import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import strategies as st

from tests.factories import pairs, turn
from yolo_perf.errors import UsageError
from yolo_perf.records import Pair, Verdict
from yolo_perf.verdict import gate
from yolo_perf.verdict.gate import (
    SUITE,
    TAIL,
    Decision,
    Rules,
    Samples,
    Screening,
    Table,
    by_label,
    cleared,
    difference,
    differences,
    fresh,
    invalid_controls,
    suite,
)

RULES = Rules(screen_pairs=6, decide_pairs=16, suspect_change=0.005, suspect_p=0.10)
ONE_TO_SIX = tuple(step / 1000 for step in range(1, 7))
OPPOSITE: Mapping[Verdict, Verdict] = {"regressed": "improved", "improved": "regressed"}
SLOW_AND_FAST = (0.042, -0.018) * 3
"""Their centre is 0.012, and 15 of their 21 Walsh averages are above 0: p = 14/64, no suspicion."""
BROAD = {"n-eager": SLOW_AND_FAST, "n-onnx": tuple(reversed(SLOW_AND_FAST))}
"""Two cases that are 0.012 slower, in noise that is the other's opposite."""


def table(found: Samples) -> Table:
    """The same pair by pair; of what has more pairs the last ones are by themselves."""
    most = max(map(len, found.values()), default=0)
    return [{label: d[number] for label, d in found.items() if number < len(d)} for number in range(most)]


def screen(found: Samples, rules: Rules) -> Screening:
    return gate.screen(table(found), rules)


def decide(first: Samples, second: Samples, suspects: Sequence[str], rules: Rules) -> tuple[Decision, ...]:
    return gate.decide(table(first), table(second), suspects, rules)


def confirmed(values: Sequence[float], rules: Rules = RULES, label: str = "n-eager") -> Decision:
    """The decision on a suspect whose fresh pairs differ by these values."""
    (found,) = decide({label: values}, {label: values}, (label,), rules)
    return found


def unsuspected(values: Sequence[float], rules: Rules = RULES) -> Decision:
    (found,) = decide({"n-eager": values}, {}, (), rules)
    return found


def judged(first: Sequence[Pair], second: Sequence[Pair], rules: Rules = RULES) -> tuple[Decision, ...]:
    """Decisions on both stages' pairs, all cases measured in either."""
    screened, decisive = ([differences(pair).cases for pair in stage] for stage in (first, second))
    return gate.decide(screened, decisive, gate.screen(screened, rules).suspects, rules)


# What a pair says


def test_the_difference_is_the_centre_over_neighbouring_rounds() -> None:
    """Ratios of 1, 2 and 8: Walsh averages of 0, 1, 3 are 0, .5, 1, 1.5, 2, 3, times ln 2; their median 1.25."""
    found = difference(turn(base=(1.0, 2.0, 1.0), head=(1.0, 4.0, 8.0)))
    assert found == pytest.approx(1.25 * math.log(2))


def test_rounds_are_compared_with_their_neighbours_not_with_the_sides_own() -> None:
    slow_spells = (0.01, 0.01, 0.05, 0.05, 0.01)
    assert difference(turn(base=slow_spells, head=[1.25 * each for each in slow_spells])) == pytest.approx(
        math.log(1.25)
    )


def test_unequal_numbers_of_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="n-eager: 2 and 3 rounds in one pair"):
        difference(turn(base=(1.0, 1.0), head=(1.0, 1.0, 1.0)))


def test_controls_are_kept_apart_from_cases() -> None:
    first, second = map(differences, pairs({"n-eager": (0.0, 0.1), "(fma)": (0.5, 0.25), "n-onnx": (0.0, 0.0)}))
    assert list(first.cases) == ["n-eager", "n-onnx", "n-eager p90", "n-onnx p90"]
    assert second.cases["n-eager"] == pytest.approx(0.1)
    assert by_label([first.controls, second.controls]) == {"(fma)": pytest.approx([0.5, 0.25])}


def test_the_90th_percentile_of_ten_rounds_is_the_ninth() -> None:
    rounds = [float(number) for number in range(1, 11)]
    found = differences(Pair(turns=(turn(base=rounds, head=[*rounds[:8], 18.0, 10.0]),)))
    assert found.cases["n-eager p90"] == pytest.approx(math.log(10 / 9))


def test_the_mean_of_the_suite_is_taken_pair_by_pair() -> None:
    found = table({"a": (1.0, 2.0), "b": (3.0, 6.0), "b" + TAIL: (9.0, 9.0), "c": (100.0, 100.0)})
    assert suite(found, ("c",)) == [2.0, 4.0]
    assert suite(found, ("b", "c")) == []
    assert suite([]) == []


def test_the_mean_of_the_suite_is_over_the_pairs_that_hold_all_cases() -> None:
    """One that was disturbed is left out; what is extended has more of them."""
    assert suite([{"a": 1.0, "b": 3.0}, {"b": 100.0}, {"a": 2.0, "b": 6.0}, {"a": 100.0}]) == [2.0, 4.0]


def test_the_suite_of_the_second_stage_is_without_suspects() -> None:
    measured = table({"n-eager": (0.25,), "n-onnx": (0.5,), "s-onnx": (1.0,)})
    assert fresh(measured, ("n-eager", SUITE))[SUITE] == [0.75]
    assert SUITE not in fresh(measured, ("n-eager",))


# The first stage


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ((0.006,) * 6, "suspect"),  # above 0.5 %, p = 1/64
        ((0.004,) * 6, "settled"),  # below it
        ((-0.006,) * 6, "settled"),  # faster, but by less than the margin
        ((-0.02,) * 6, "suspect"),
        ((0.01, 0.02, -0.03, 0.04, 0.05, 0.06), "suspect"),  # the third rank against: p = 5/64
        ((0.01, 0.02, 0.03, -0.04, 0.05, 0.06), "unresolved"),  # the fourth: p = 7/64
        ((0.05, -0.05) * 3, "unresolved"),
        ((0.01, -0.01) * 3, "settled"),
        ((0.0,) * 4, "unresolved"),  # too few pairs for any bound
    ],
)
def test_the_screen_sorts_the_cases(values: tuple[float, ...], state: str) -> None:
    assert screen({"n-eager": values}, RULES) == Screening(
        suspects=("n-eager",) if state == "suspect" else (),
        unresolved=("n-eager",) if state == "unresolved" else (),
    )


def test_a_calibrated_floor_hides_no_slow_down_from_the_screen() -> None:
    rules = replace(RULES, floors={"n-eager": 0.05})
    assert screen({"n-eager": (0.02,) * 6}, rules).suspects == ("n-eager",)
    assert screen({"n-eager": (-0.02,) * 6}, rules).suspects == ()


def test_a_90th_percentile_is_suspected_beyond_its_own_margin() -> None:
    label = "n-eager" + TAIL
    assert screen({label: (math.log(1.26),) * 6}, RULES).suspects == (label,)
    assert screen({label: (math.log(1.24),) * 6}, RULES) == Screening(suspects=(), unresolved=())
    assert screen({label: (-1.0,) * 6}, RULES).suspects == ()  # a quicker tail fails nobody


def test_a_broad_small_slow_down_is_suspected_through_the_suite() -> None:
    assert screen(BROAD, RULES).suspects == (SUITE,)


def test_suspects_are_no_part_of_the_suite() -> None:
    """One case at 10 % does not make the mean of the others suspicious."""
    found = {"n-eager": (0.0,) * 6, "n-onnx": (0.0,) * 6, "n-int8": (0.1,) * 6}
    assert screen(found, RULES).suspects == ("n-int8",)
    decisions = {each.label: each for each in decide(found, {}, ("n-int8",), RULES)}
    mean = decisions[SUITE].ratio
    assert mean is not None
    assert mean.point == 1


# The decision


def test_regressed() -> None:
    found = confirmed((0.05,) * 16)
    assert (found.verdict, found.confirmed, found.fails, found.pairs) == ("regressed", True, True, 16)
    assert found.reason == "surely more than +0.5 % (p 1.5e-05)"  # 2**-16
    assert found.ratio is not None
    assert found.ratio.point == found.ratio.low == found.ratio.high == pytest.approx(math.exp(0.05))


def test_improved() -> None:
    found = confirmed((-0.05,) * 16)
    assert (found.verdict, found.fails) == ("improved", False)
    assert found.reason == "surely more than -0.5 % (p 1.5e-05)"


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((math.log(1.009),) * 16, "unchanged"),  # within the margin
        ((math.log(1.029),) * 16, "regressed"),  # beyond the margin, though within the equivalence margin
        ((0.02, -0.02) * 8, "unchanged"),
        ((0.10, -0.06) * 8, "inconclusive"),
    ],
)
def test_a_suspect_is_decided_by_its_margins(values: tuple[float, ...], verdict: Verdict) -> None:
    found = confirmed(values)
    assert (found.verdict, found.confirmed) == (verdict, True)


def test_a_regression_is_beyond_the_margin_in_the_estimate_and_surely_beyond_half_of_it() -> None:
    """Values up and down about 1.5 %: the estimate is beyond 1 %, their spread says how surely."""
    assert confirmed(tuple(math.log(1.015) + sign for sign in (0.008, -0.008) * 8)).verdict == "regressed"
    assert confirmed(tuple(math.log(1.015) + sign for sign in (0.05, -0.05) * 8)).verdict == "inconclusive"
    assert confirmed(tuple(math.log(1.009) + sign for sign in (0.001, -0.001) * 8)).verdict == "unchanged"


def test_nothing_at_the_margin_itself_regresses() -> None:
    assert confirmed((math.log1p(RULES.margin),) * 16).verdict == "unchanged"


def test_a_calibrated_floor_raises_the_margin_of_its_case_alone() -> None:
    rules = replace(RULES, floors={"n-eager": 0.06})
    assert confirmed((0.05,) * 16, rules).verdict == "unchanged"  # equivalence follows: 12 %
    assert confirmed((0.05,) * 16, rules, "n-onnx").verdict == "regressed"
    assert rules.margin_of("n-eager") == 0.06
    assert rules.margin_of(SUITE) == 0.005
    assert rules.margin_of("n-eager" + TAIL) == 0.25
    assert (rules.equivalence_of("n-onnx"), rules.equivalence_of("n-eager")) == (0.03, 0.12)


def test_a_small_floor_lowers_no_margin() -> None:
    assert replace(RULES, floors={"n-eager": 0.002}).margin_of("n-eager") == 0.01


def test_the_suspects_share_the_error() -> None:
    """Holm: the same 16 pairs, p = 2**-16, are 100 times that among a hundred."""
    found = {f"case-{number}": (0.05,) * 16 for number in range(100)}
    first = decide(found, found, tuple(found), RULES)[0]
    assert first.reason.endswith("(p 0.0015)")
    strict = replace(RULES, family_error=0.001)
    assert {each.verdict for each in decide(found, found, tuple(found), strict)} == {"inconclusive"}


def test_only_the_second_stage_decides() -> None:
    first, second = {"n-eager": (0.2,) * 6}, {"n-eager": (0.0,) * 16}
    (found,) = decide(first, second, ("n-eager",), RULES)
    assert (found.verdict, found.pairs) == ("unchanged", 16)
    assert found.reason == "suspected, not confirmed; surely within 3 %"


@pytest.mark.parametrize("count", [0, 1, 15])
def test_a_suspect_with_fewer_pairs_than_planned_is_not_decided(count: int) -> None:
    first, second = {"n-eager": (0.2,) * 6}, {"n-eager": (0.2,) * count}
    (found,) = decide(first, second, ("n-eager",), RULES)
    assert (found.verdict, found.confirmed, found.pairs) == ("inconclusive", False, 6)
    assert found.reason == f"suspected; {count} of 16 pairs to decide on were measured"


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((0.0,) * 6, "unchanged"),
        ((0.0,) * 5, "inconclusive"),  # not yet at the first look
        ((-0.02, 0.019) * 4, "unchanged"),  # equal, and no slower by the estimate
        ((-0.019, 0.02) * 4, "inconclusive"),  # equal, but slower by the estimate and not surely within the margin
        ((-0.009, 0.0095) * 4, "unchanged"),  # surely within
        ((math.log1p(0.011),) * 8, "inconclusive"),  # equal, yet beyond the margin
        ((math.log1p(-0.011),) * 8, "unchanged"),  # surely no slower
        ((0.05, -0.05) * 4, "inconclusive"),
    ],
)
def test_what_clears_a_suspect_early(values: tuple[float, ...], verdict: Verdict) -> None:
    (found,) = decide({"n-eager": (0.2,) * 6}, {"n-eager": values}, ("n-eager",), RULES)
    assert found.verdict == verdict
    assert found.confirmed == cleared(values, "n-eager", RULES) == (verdict == "unchanged")


def test_a_suspect_is_looked_at_every_six_pairs() -> None:
    assert RULES.looks == (6, 12, 16)
    assert Rules().looks == (6, 12, 18, 24, 30, 36)
    assert replace(RULES, decide_pairs=6).looks == (6,)


def test_a_cleared_suspect_stays_in_the_family() -> None:
    """Holm over two, though one of them is no longer in question."""
    second = {"n-eager": (0.0,) * 6, "n-onnx": (0.05,) * 16}
    decisions = decide(second, second, tuple(second), RULES)
    assert [each.verdict for each in decisions[:2]] == ["unchanged", "regressed"]
    assert decisions[1].reason.endswith("(p 3.1e-05)")


def test_an_unsuspected_case_never_fails() -> None:
    found = unsuspected((0.2,) * 12)
    assert (found.verdict, found.reason) == ("inconclusive", "too noisy for so few pairs")
    assert unsuspected((0.01, -0.01) * 3).reason == "surely within 3 %"


def test_the_interval_and_what_could_have_been_seen() -> None:
    """Of six pairs at 95 % the bounds are the extremes: a lower bound needs 2.5 thousandths beyond the margin."""
    found = unsuspected(ONE_TO_SIX)
    assert found.ratio is not None
    assert (found.ratio.low, found.ratio.point, found.ratio.high) == pytest.approx(
        (math.exp(0.001), math.exp(0.0035), math.exp(0.006))
    )
    assert found.ratio.confidence == 0.95
    assert found.detectable == pytest.approx(0.01)


def test_what_could_have_been_seen_is_never_less_than_the_margin() -> None:
    assert unsuspected((0.001,) * 6).detectable == RULES.margin


def test_five_pairs_have_no_bounds_and_see_nothing() -> None:
    found = unsuspected(ONE_TO_SIX[:5])
    assert found.ratio is not None
    assert (found.ratio.low, found.ratio.high, found.detectable) == (0.0, math.inf, None)


def test_the_suite_regresses_though_no_case_does() -> None:
    second = {label: values * 3 for label, values in BROAD.items()}
    decisions = decide(BROAD, second, (SUITE,), RULES)
    assert [(each.label, each.verdict) for each in decisions] == [
        ("n-eager", "inconclusive"),
        ("n-onnx", "inconclusive"),
        (SUITE, "regressed"),
    ]
    assert decisions[-1].ratio is not None
    assert decisions[-1].ratio.point == pytest.approx(math.exp(0.012))


def test_a_suspected_suite_is_decided_though_some_cases_were_extended() -> None:
    second = {label: values * 3 for label, values in BROAD.items()}
    first = {**BROAD, "n-onnx": BROAD["n-onnx"] * 2}
    decisions = decide(first, second, (SUITE,), RULES)
    assert [each.verdict for each in decisions if each.label == SUITE] == ["regressed"]


def test_one_call_in_five_is_found_though_the_location_does_not_move() -> None:
    """Five times as long: the centre of the rounds' ratios stays 1, the 90th percentile's is 5."""
    slow = turn(base=(0.01,) * 20, head=((0.01,) * 4 + (0.05,)) * 4)
    case, tail = judged([Pair(turns=(slow,))] * 6, [Pair(turns=(slow,))] * 16)
    assert (case.label, case.verdict) == ("n-eager", "unchanged")
    assert (tail.label, tail.verdict, tail.confirmed) == ("n-eager p90", "regressed", True)
    assert tail.ratio is not None
    assert tail.ratio.point == pytest.approx(5)
    assert tail.reason == "surely more than +25.0 % (p 1.5e-05)"


def test_of_a_tail_only_what_is_wrong_with_it_is_told() -> None:
    assert [each.label for each in judged(pairs({"n-eager": (0.0,) * 6}), ())] == ["n-eager"]


@pytest.mark.parametrize("verdict", ["regressed", "missing"])
def test_what_fails(verdict: Verdict) -> None:
    assert Decision(label="n-eager", verdict=verdict, reason="").fails


@pytest.mark.parametrize("verdict", ["improved", "unchanged", "inconclusive", "new", "incomparable"])
def test_what_does_not_fail(verdict: Verdict) -> None:
    assert not Decision(label="n-eager", verdict=verdict, reason="").fails


# Too few pairs


@pytest.mark.parametrize(
    ("rules", "cases", "needed"),
    [
        (replace(RULES, screen_pairs=5), 1, "6 to screen and 6 to decide, not 5 and 16"),
        (replace(RULES, decide_pairs=5), 1, "6 to screen and 6 to decide, not 6 and 5"),
        (replace(RULES, decide_pairs=8), 10, "6 to screen and 9 to decide, not 6 and 8"),
    ],
)
def test_too_few_pairs_to_decide_anything_are_refused(rules: Rules, cases: int, needed: str) -> None:
    with pytest.raises(UsageError, match=rf"^Too few pairs: .*{needed}\. Raise --pairs\.$"):
        rules.check(cases)


@pytest.mark.parametrize("cases", [0, 1, 5, 100])
def test_the_default_pairs_are_enough(cases: int) -> None:
    Rules().check(cases)


# Controls


@pytest.mark.parametrize("sign", [1, -1])
def test_controls_that_differ_are_named(sign: int) -> None:
    even = tuple(step / 1000 for step in (-1, 1, -2, 2, -3, 3))
    found = {"(fma)": even, "(triad)": tuple(sign * (0.03 + each) for each in even), "(python)": even}
    assert invalid_controls(found, RULES, RULES.control_error) == ("(triad)",)


def test_controls_within_their_margin_are_fair() -> None:
    found = {"(fma)": (0.009,) * 16, "(triad)": (-0.009,) * 16}
    assert invalid_controls(found, RULES, RULES.control_error) == ()


def test_too_few_pairs_of_controls_find_nothing() -> None:
    assert invalid_controls({}, RULES, RULES.control_error) == ()
    assert invalid_controls({"(fma)": (), "(triad)": (0.5,) * 3}, RULES, RULES.control_error) == ()


thousandths = st.integers(-60, 60).map(lambda step: step / 1000)
labels = st.lists(st.sampled_from(["n-eager", "n-onnx", "s-onnx"]), min_size=1, unique=True)
