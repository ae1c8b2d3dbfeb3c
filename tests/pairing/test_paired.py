"""The course of a comparison on a host that is played."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from tests.factories import pairs, turn
from yolo_perf.errors import UsageError
from yolo_perf.pairing.paired import Outcome, compare_sides, confirm, too_disturbed
from yolo_perf.pairing.processes import SideError
from yolo_perf.records import Pair, Turn, Verdict
from yolo_perf.verdict.course import Progress
from yolo_perf.verdict.gate import SUITE, Decision, Rules, Screening

RULES = Rules(screen_pairs=6, decide_pairs=16, suspect_change=0.005, suspect_p=0.10)
CASES = ("n-eager", "n-onnx")
NOISE = (0.001, -0.001)
WILD = (0.06, -0.06)
Play = Callable[[str, int], float]  # a label and the number of the pair to ln(head / base)


@dataclass(slots=True)
class Host:
    """Plays the pairs. What it is asked for is kept, and what happens ahead of a pair can be set by its number."""

    play: Play
    events: Mapping[int, Callable[[], object]] = field(default_factory=dict)
    asked: list[tuple[str, ...]] = field(default_factory=list)
    turns: Callable[[int, Turn], Turn] = lambda _, played: played
    controls: tuple[str, ...] = ("(fma)", "(triad)", "(python)")

    def __call__(self, labels: Sequence[str]) -> Pair:
        number = len(self.asked)
        self.asked.append(tuple(labels))
        if number in self.events:
            self.events[number]()
        (pair,) = pairs({label: [self.play(label, number)] for label in (*labels, *self.controls)})
        return Pair(turns=tuple(self.turns(number, each) for each in pair.turns))


def noise(label: str, number: int) -> float:
    return NOISE[number % 2]


def slow(*labels: str) -> Play:
    """Five per cent slower in these cases."""
    return lambda label, number: noise(label, number) + (0.05 if label in labels else 0.0)


def wild(*labels: str) -> Play:
    """Six per cent up and down in these cases."""
    return lambda label, number: WILD[number % 2] if label in labels else noise(label, number)


def interrupt() -> None:
    raise KeyboardInterrupt


def verdicts(decisions: Sequence[Decision]) -> dict[str, Verdict]:
    return {decision.label: decision.verdict for decision in decisions}


def compare(host: Host, rules: Rules = RULES, in_time: Callable[[], bool] = lambda: True) -> Outcome:
    return compare_sides(host, CASES, rules, in_time=in_time)


# The stages


def test_equal_sides_are_screened_once() -> None:
    host = Host(noise)
    outcome = compare(host)
    assert host.asked == [CASES] * 6
    assert verdicts(outcome.decisions) == {"n-eager": "unchanged", "n-onnx": "unchanged", SUITE: "unchanged"}
    assert outcome.screening == Screening(suspects=(), unresolved=())
    assert (len(outcome.first), outcome.second) == (6, ())
    assert (outcome.complete, outcome.interrupted, outcome.dropped) == (True, False, 0)


def test_what_is_unresolved_is_extended() -> None:
    host = Host(wild("n-onnx"))
    outcome = compare(host)
    assert host.asked == [CASES] * 6 + [("n-onnx",)] * 6
    found = {decision.label: decision for decision in outcome.decisions}
    assert (found["n-onnx"].verdict, found["n-onnx"].pairs) == ("inconclusive", 12)
    assert (found["n-eager"].pairs, found[SUITE].pairs) == (6, 6)
    assert outcome.complete


def test_a_suspect_is_decided_on_fresh_pairs_of_it_alone() -> None:
    host = Host(slow("n-onnx"))
    outcome = compare(host)
    assert host.asked == [CASES] * 6 + [("n-onnx",)] * 16
    assert verdicts(outcome.decisions) == {"n-eager": "unchanged", "n-onnx": "regressed"}
    found = outcome.decisions[1]
    assert (found.confirmed, found.pairs) == (True, 16)
    assert len(outcome.second) == 16


def test_a_suspicion_that_does_not_last_is_none() -> None:
    """The first six fresh pairs say so."""
    host = Host(lambda label, number: slow("n-onnx")(label, number) if number < 6 else 0.0)
    outcome = compare(host)
    assert host.asked == [CASES] * 6 + [("n-onnx",)] * 6
    assert outcome.complete
    assert verdicts(outcome.decisions) == {"n-eager": "unchanged", "n-onnx": "unchanged"}
    assert outcome.decisions[1].reason.startswith("suspected, not confirmed")


def test_only_the_suspects_that_are_not_cleared_are_measured_to_the_end() -> None:
    def play(label: str, number: int) -> float:
        return slow(*(CASES if number < 6 else ("n-onnx",)))(label, number)

    host = Host(play)
    outcome = compare(host)
    assert host.asked == [CASES] * 6 + [CASES] * 6 + [("n-onnx",)] * 10
    assert verdicts(outcome.decisions) == {"n-eager": "unchanged", "n-onnx": "regressed"}


def test_a_suspected_suite_is_measured_again_with_all_cases() -> None:
    """The cases are noisy in opposite ways, so that only their mean is clear."""

    def broad(label: str, number: int) -> float:
        sign = {"n-eager": 1, "n-onnx": -1}.get(label, 0)
        return (0.012 if sign else 0.0) + 0.03 * sign * (1 - 2 * (number % 2))

    host = Host(broad)
    outcome = compare(host, replace(RULES, suspect_p=0.05))
    assert host.asked == [CASES] * 28
    assert outcome.screening == Screening(suspects=(SUITE,), unresolved=CASES)
    assert verdicts(outcome.decisions) == {
        "n-eager": "inconclusive",
        "n-onnx": "inconclusive",
        SUITE: "regressed",
    }


def test_a_suspected_tail_is_measured_again_under_its_cases_name() -> None:
    """One round in five takes five times as long."""
    rounds = (0.01,) * 4 + (0.05,)

    def intermittent(_: int, played: Turn) -> Turn:
        return turn(base=(0.01,) * 20, head=rounds * 4) if played.label == "n-eager" else played

    host = Host(noise, turns=intermittent)
    outcome = compare(host)
    assert host.asked == [CASES] * 6 + [("n-eager",)] * 16
    assert verdicts(outcome.decisions) == {
        "n-eager": "unchanged",
        "n-onnx": "unchanged",
        "n-eager p90": "regressed",
        SUITE: "unchanged",
    }
    assert outcome.decisions[2].head_s == 0.01


def test_times_are_medians_over_the_pairs_that_decided() -> None:
    def longer(number: int, played: Turn) -> Turn:
        seconds = 0.02 + number / 1000 if number >= 6 else 0.01
        return replace(
            turn(played.label, (seconds,) * 5, (seconds * 1.05,) * 5), control=played.label.startswith("(")
        )

    outcome = compare_sides(Host(noise, turns=longer, controls=()), ("n-eager",), RULES)
    (found,) = outcome.decisions
    assert found.base_s == pytest.approx(0.0335)  # pairs 6 to 21
    assert found.head_s == pytest.approx(0.0335 * 1.05)


def test_progress_is_told_after_each_pair() -> None:
    told: list[Progress] = []
    compare_sides(Host(slow("n-onnx")), CASES, RULES, tell=told.append)
    assert [(each.stage, each.pair, each.pairs) for each in told] == [
        *(("screen", number, 6) for number in range(1, 7)),
        *(("decide", number, 16) for number in range(1, 17)),
    ]
    assert list(told[0].ratios) == list(CASES)
    assert list(told[-1].ratios) == ["n-onnx"]
    assert told[-1].ratios["n-onnx"] == pytest.approx(math.exp(0.05))


def test_too_few_pairs_are_refused_before_anything_is_measured() -> None:
    host = Host(noise)
    with pytest.raises(UsageError, match="Too few pairs"):
        compare(host, replace(RULES, screen_pairs=5))
    assert host.asked == []


def test_nothing_to_measure_is_not_measured() -> None:
    host = Host(noise)
    outcome = compare_sides(host, (), RULES)
    assert host.asked == []
    assert (outcome.decisions, outcome.first) == ((), ())


# A host that is not fair


def unfair(until: int) -> Play:
    """The triad is 4 % slower on one side up to that pair."""
    return lambda label, number: noise(label, number) + (0.04 if label == "(triad)" and number < until else 0.0)


def test_controls_that_differ_once_are_forgiven() -> None:
    host = Host(unfair(until=6))
    outcome = compare(host)
    assert host.asked == [CASES] * 12
    assert (outcome.invalid_controls, len(outcome.first), len(outcome.discarded)) == ((), 6, 6)
    assert set(verdicts(outcome.decisions).values()) == {"unchanged"}


def test_controls_that_differ_twice_end_it() -> None:
    def host_and_case(label: str, number: int) -> float:
        return unfair(until=99)(label, number) + (0.05 if label == "n-onnx" else 0.0)

    host = Host(host_and_case)
    outcome = compare(host)
    assert host.asked == [CASES] * 12
    assert outcome.invalid_controls == ("(triad)",)
    assert verdicts(outcome.decisions)["n-onnx"] == "inconclusive"
    assert outcome.second == ()


def test_controls_that_differ_while_a_suspect_is_decided_end_it() -> None:
    def play(label: str, number: int) -> float:
        return slow("n-onnx")(label, number) + (0.04 if label == "(triad)" and number >= 6 else 0.0)

    outcome = compare(Host(play))
    assert outcome.invalid_controls == ("(triad)",)
    assert not any(decision.fails for decision in outcome.decisions)
    assert {decision.reason for decision in outcome.decisions} == {"the host was not fair"}


def test_controls_that_differ_in_a_screen_that_is_cut_short_again_are_not_forgiven() -> None:
    outcome = compare(Host(unfair(until=99), events={8: interrupt}))
    assert (outcome.invalid_controls, outcome.interrupted) == (("(triad)",), True)


# Cut short


@pytest.mark.parametrize(
    ("event", "interrupted"), [(interrupt, True), (None, False)], ids=["Ctrl-C", "out of time"]
)
@pytest.mark.parametrize(("after", "first", "second"), [(0, 0, 0), (1, 1, 0), (6, 6, 0), (7, 6, 1), (21, 6, 15)])
def test_what_is_cut_short_is_inconclusive_and_keeps_what_was_measured(
    event: Callable[[], object] | None, interrupted: bool, after: int, first: int, second: int
) -> None:
    host = Host(slow("n-onnx"), events={after: event} if event else {})
    outcome = compare(host, in_time=lambda: bool(event) or len(host.asked) < after)
    assert len(host.asked) == after + interrupted
    assert (len(outcome.first), len(outcome.second)) == (first, second)
    assert (outcome.complete, outcome.interrupted) == (False, interrupted)
    assert verdicts(outcome.decisions)["n-onnx"] == "inconclusive"
    assert not any(decision.fails for decision in outcome.decisions)
    assert set(CASES) <= set(verdicts(outcome.decisions))


def test_a_case_without_a_pair_is_told() -> None:
    outcome = compare(Host(noise), in_time=lambda: False)
    assert [(each.label, each.verdict, each.reason, each.pairs) for each in outcome.decisions] == [
        (label, "inconclusive", "not one pair of it was measured", 0) for label in CASES
    ]


def test_an_interrupt_between_two_pairs_loses_none() -> None:
    def tell(progress: Progress) -> None:
        if progress.pair == 3:
            raise KeyboardInterrupt

    outcome = compare_sides(Host(noise), CASES, RULES, tell=tell)
    assert (len(outcome.first), outcome.complete, outcome.interrupted) == (3, False, True)


def test_an_interrupt_while_what_is_unresolved_is_extended() -> None:
    outcome = compare(Host(wild("n-onnx"), events={8: interrupt}))
    assert (len(outcome.first), outcome.interrupted) == (8, True)
    assert verdicts(outcome.decisions) == {
        "n-eager": "unchanged",
        "n-onnx": "inconclusive",
        SUITE: "inconclusive",
    }


def test_what_only_more_pairs_make_suspicious_is_decided_too() -> None:
    """Not suspected by six pairs of 2 % with 6 % of noise, but by twelve."""

    def play(label: str, number: int) -> float:
        step = (0.08, -0.04, 0.02)[number % 3] if number < 6 else 0.02
        return step if label == "n-onnx" else noise(label, number)

    host = Host(play)
    outcome = compare(host)
    assert host.asked == [CASES] * 6 + [("n-onnx",)] * (6 + 16)
    assert outcome.screening == Screening(suspects=("n-onnx",), unresolved=("n-onnx",))
    assert verdicts(outcome.decisions) == {"n-eager": "unchanged", "n-onnx": "regressed"}


def fail() -> None:
    raise SideError("head: it ended with SIGKILL.")


def test_a_side_that_fails_before_any_pair_is_told_at_once() -> None:
    with pytest.raises(SideError, match="SIGKILL"):
        compare(Host(noise, events={0: fail}))


def test_a_side_that_fails_later_loses_nothing() -> None:
    outcome = compare(Host(slow("n-onnx"), events={20: fail}))
    assert (len(outcome.first), len(outcome.second)) == (6, 14)
    assert (outcome.complete, outcome.interrupted) == (False, False)
    assert outcome.failure == "head: it ended with SIGKILL."
    assert verdicts(outcome.decisions)["n-onnx"] == "inconclusive"


# Turns that the host disturbed


@pytest.mark.parametrize(("steal_s", "dropped"), [(None, False), (0.0, False), (0.00625, False), (0.0063, True)])
def test_a_turn_of_which_the_host_took_more_than_an_eighth(steal_s: float | None, dropped: bool) -> None:
    head = turn(base=(0.01,) * 5, steal_s=steal_s)
    assert too_disturbed(head) == dropped
    assert too_disturbed(replace(head, base=head.head, head=head.base)) == dropped


def test_a_disturbed_turn_is_dropped_on_both_sides_and_measured_anew() -> None:
    def stolen(number: int, played: Turn) -> Turn:
        taken = (number, played.label) in ((2, "n-onnx"), (3, "(fma)"))
        return turn(played.label, control=played.control, steal_s=1.0) if taken else played

    host = Host(noise, turns=stolen)
    outcome = compare(host)
    assert host.asked == [CASES] * 7
    assert outcome.dropped == 1  # a control that is disturbed says so itself
    assert [len(pair.turns) for pair in outcome.first] == [5, 5, 4, 5, 5, 5, 5]
    assert {each.label: each.pairs for each in outcome.decisions} == {"n-eager": 7, "n-onnx": 6, SUITE: 6}


def test_a_suspect_that_was_disturbed_is_decided_all_the_same() -> None:
    def stolen(number: int, played: Turn) -> Turn:
        return replace(played, head=turn(steal_s=1.0).head) if number in (6, 9, 21) else played

    host = Host(slow("n-onnx"), turns=stolen)
    outcome = compare(host)
    assert (len(host.asked), outcome.dropped, len(outcome.second)) == (6 + 19, 3, 19)
    assert verdicts(outcome.decisions)["n-onnx"] == "regressed"
    assert outcome.decisions[1].pairs == 16


def test_a_case_of_which_every_turn_is_dropped_was_not_measured() -> None:
    def stolen(_: int, played: Turn) -> Turn:
        return turn(steal_s=1.0) if played.label == "n-eager" else played

    host = Host(noise, turns=stolen)
    outcome = compare(host)
    assert verdicts(outcome.decisions) == {"n-onnx": "unchanged", "n-eager": "inconclusive"}
    assert (len(host.asked), outcome.dropped) == (9, 9)  # half as many again, and no more


# The second stage by itself


def test_confirm_decides_on_fresh_pairs_alone() -> None:
    host = Host(slow("n-onnx"))
    outcome = confirm(host, CASES, RULES)
    assert host.asked == [CASES] * 6 + [("n-onnx",)] * 10  # the other one is cleared at the first look
    assert verdicts(outcome.decisions) == {"n-eager": "unchanged", "n-onnx": "regressed"}
    assert [(decision.confirmed, decision.pairs) for decision in outcome.decisions] == [(True, 6), (True, 16)]
    assert outcome.decisions[1].base_s == pytest.approx(0.01)


@pytest.mark.parametrize("after", [0, 7])
def test_confirm_that_is_interrupted_decides_nothing(after: int) -> None:
    outcome = confirm(Host(slow("n-onnx", "n-eager"), events={after: interrupt}), CASES, RULES)
    assert outcome.interrupted
    assert verdicts(outcome.decisions) == dict.fromkeys(CASES, "inconclusive")


def test_confirm_on_a_host_that_is_not_fair_decides_nothing() -> None:
    def play(label: str, number: int) -> float:
        return 0.05 if label in ("n-onnx", "(triad)") else noise(label, number)

    outcome = confirm(Host(play), CASES, RULES)
    assert outcome.invalid_controls == ("(triad)",)
    assert set(verdicts(outcome.decisions).values()) == {"inconclusive"}
