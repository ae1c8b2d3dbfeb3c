import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.factories import pairs, turn
from yolo_perf.archive.result import Result
from yolo_perf.pairing.arena import Setup, Subject, Survey
from yolo_perf.pairing.paired import Outcome
from yolo_perf.pairing.sides import Injection, Side
from yolo_perf.records import HostUse, Interval, Pair, Verdict
from yolo_perf.report.paired import document, paired
from yolo_perf.verdict.gate import SUITE, Decision, Rules, Screening

BASE = Side(
    name="ref:main env:A=1",
    tree=Path("trees/0123"),
    python=Path("bin/python"),
    commit="0123456789abcdef",
    environment=(("A", "1"),),
)
HEAD = Side(
    name="inject:spin=5%@n-onnx",
    tree=Path("tree"),
    python=Path("bin/python"),
    threads=2,
    inject=(Injection(kind="spin", amount=0.05, case="n-onnx"),),
)


NOTHING_TOLD = dict.fromkeys(HostUse.__dataclass_fields__)


def decision(label: str, verdict: Verdict, reason: str = "so it is", **changes: Any) -> Decision:
    values: dict[str, Any] = {
        "ratio": Interval(point=1.05, low=1.04, high=1.0625, confidence=0.95),
        "base_s": 0.02,
        "head_s": 0.021,
        "detectable": 0.018,
        "pairs": 6,
    }
    return Decision(label=label, verdict=verdict, reason=reason, **{**values, **changes})


REGRESSED = decision("n-onnx", "regressed", "surely more than +1.0 % (p 1.5e-05)", pairs=16, confirmed=True)
DECISIONS = (
    decision(
        "n-eager",
        "unchanged",
        "surely within 3 %",
        ratio=Interval(point=1.0, low=0.99, high=1.01, confidence=0.95),
        head_s=0.02,
    ),
    REGRESSED,
    decision(
        "n-batched",
        "inconclusive",
        "too noisy for so few pairs",
        ratio=Interval(point=1.001, low=0.0, high=math.inf, confidence=0.95),
        base_s=0.08,
        head_s=0.1,
        detectable=None,
        pairs=4,
    ),
    decision("n-batched p90", "improved", "surely more than -20.0 % (p 0.001)", base_s=0.08, head_s=0.1),
    decision(SUITE, "unchanged", "surely within 3 %", base_s=None, head_s=None),
)
ABSENT = (
    Decision(label="n-onnx-int8", verdict="new", reason="this tree does not have it"),
    Decision(label="n-warp", verdict="missing", reason="no room"),
)


def outcome(**changes: Any) -> Outcome:
    stolen = turn("n-eager", (0.5,) * 5, steal_s=0.25)
    values: dict[str, Any] = {
        "decisions": DECISIONS,
        "screening": Screening(suspects=("n-onnx",), unresolved=("n-batched",)),
        "first": (
            Pair(turns=(stolen,)),
            *pairs({"n-onnx": (0.0, 0.0), "(fma)": (0.0, 0.002), "(triad)": (-0.01, -0.03)}),
        ),
        "second": pairs({"n-onnx": (0.05,)}),
        "invalid_controls": (),
        "complete": True,
        "dropped": 2,
    }
    return Outcome(**{**values, **changes})


def result(**changes: Any) -> Result:
    subjects = tuple(
        Subject(label=f"n-{name}", size="n", optimization=name, rounds=5, batch=4 if name == "batched" else 1)
        for name in ("eager", "onnx", "batched")
    )
    base = {"python": "3.11.7", "torch": "2.12.0", "onnxruntime": "1.22.0"}
    values: dict[str, Any] = {
        "sides": (BASE, HEAD),
        "setup": Setup(sizes=("n",), optimizations=(), data=None, image_size=640, batch=4, threads=2),
        "survey": Survey(
            subjects=subjects, absent=ABSENT, libraries=(base, {"python": "3.11.7", "torch": "2.13.0"})
        ),
        "rules": Rules(),
        "outcome": outcome(),
        "seconds": 90.0,
    }
    return Result(**{**values, **changes})


TABLE = """\
base  ref:main env:A=1 (0123456789)
head  inject:spin=5%@n-onnx
      torch 2.12.0 -> 2.13.0, onnxruntime 1.22.0 -> none

case           base ms  head ms  diff %  interval %  sees  verdict
───────────────────────────────────────────────────────────────────────
n-eager          20.00    20.00    +0.0  -1.0..+1.0  +1.8  UNCHANGED
n-onnx           20.00    21.00    +5.0  +4.0..+6.2  +1.8  REGRESSED
n-batched        20.00    25.00    +0.1        ?..?     -  INCONCLUSIVE
n-batched p90    20.00    25.00    +5.0  +4.0..+6.2  +1.8  IMPROVED
(suite)              -        -    +5.0  +4.0..+6.2  +1.8  UNCHANGED
n-onnx-int8          -        -       -           -     -  NEW
n-warp               -        -       -           -     -  MISSING

n-eager: surely within 3 % (6 pairs).
n-onnx: surely more than +1.0 % (p 1.5e-05) (16 fresh pairs).
n-batched: too noisy for so few pairs (4 pairs).
n-batched p90: surely more than -20.0 % (p 0.001) (6 pairs).
(suite): surely within 3 % (6 pairs).
n-onnx-int8: this tree does not have it.
n-warp: no room.
Times are of an image: low quantiles, medians over the pairs. Interval: 95%, of
  the change. Sees: the smallest slow-down in % that these pairs could have
  shown.
(suite): the mean change of the cases that nothing suspects.
Controls, the same code on both sides: (fma) +0.1 %, (triad) -2.0 %.
Host, of 6 s timed: 0.2 s stolen, 0.5 s waited for a CPU, 7 involuntary
  switches.
Dropped for time stolen by the host: 2 turns.
1 regressed, 1 missing, 1 improved, 1 unchanged, 1 new, 1 inconclusive in 1.5 min"""


def test_the_table() -> None:
    text = paired(result())
    assert text == TABLE
    assert max(map(len, text.splitlines()[:-1])) <= 80


def test_a_long_name_widens_the_table_instead_of_being_cut() -> None:
    long = replace(REGRESSED, label="n-onnx-static-int8 p90")
    line = next(line for line in paired(result(outcome=outcome(decisions=(long,)))).splitlines() if "5.0" in line)
    assert line == "n-onnx-static-int8 p90    20.00    21.00    +5.0  +4.0..+6.2  +1.8  REGRESSED"


def test_sides_with_the_same_libraries_name_none() -> None:
    same = replace(result().survey, libraries=({"torch": "2.13.0"}, {"torch": "2.13.0"}), absent=())
    text = paired(result(survey=same))
    assert "2.13.0" not in text
    assert text.splitlines()[2] == ""


def test_what_a_side_calls_itself_does_no_harm() -> None:
    wild = replace(HEAD, name="env:A=[bold]\x1b[2J")
    assert paired(result(sides=(BASE, wild))).splitlines()[1] == "head  env:A=[bold]?[2J"


def test_verdicts_are_coloured_where_that_is_asked_for() -> None:
    assert "\x1b[1;31mREGRESSED" in paired(result(), color=True)
    assert "\x1b" not in paired(result())


def test_a_host_that_was_not_fair_is_the_last_word() -> None:
    text = paired(result(outcome=outcome(invalid_controls=("(fma)", "(triad)"), complete=False)))
    assert text.splitlines()[-1] == (
        "HOST INVALID: (fma), (triad) differ between the sides, though they are the same code. Nothing is "
        "decided. Try again when the machine is quieter."
    )


def test_what_was_cut_short_says_so() -> None:
    text = paired(result(outcome=outcome(complete=False, interrupted=True)))
    assert text.splitlines()[-1] == "PARTIAL: interrupted."
    text = paired(result(outcome=outcome(complete=False)))
    assert text.splitlines()[-1] == "PARTIAL: the time budget ran out."


def test_that_nothing_was_measured_is_said() -> None:
    none = Decision(label="n-eager", verdict="inconclusive", reason="not one pair of it was measured")
    empty = outcome(decisions=(none,), first=(), second=(), dropped=0)
    survey = replace(result().survey, absent=())
    lines = paired(result(outcome=empty, survey=survey)).splitlines()
    assert lines[-1] == "NOTHING MEASURED: no pair of any case."
    assert "n-eager: not one pair of it was measured." in lines
    assert not any(line.startswith(("Host", "Controls", "Dropped", SUITE)) for line in lines)


def test_a_suite_that_fails_is_counted() -> None:
    slower = decision(SUITE, "regressed", base_s=None, head_s=None)
    survey = replace(result().survey, absent=())
    text = paired(result(outcome=outcome(decisions=(DECISIONS[0], slower)), survey=survey))
    assert text.splitlines()[-1] == "1 regressed, 1 unchanged in 1.5 min"


def test_counters_that_the_system_lacks_are_unknown() -> None:
    text = paired(result(outcome=outcome(first=pairs({"n-onnx": (0.0,)}), second=())))
    assert "Host, of 0 s timed: unknown s stolen, unknown s waited for a CPU, unknown" in text


def test_the_document_holds_every_round() -> None:
    plain = json.loads(json.dumps(document(result()), allow_nan=False))["yolo_perf_ab"]
    assert plain["schema"] == 1
    assert plain["base"] == {
        "name": "ref:main env:A=1",
        "commit": "0123456789abcdef",
        "environment": {"A": "1"},
        "threads": None,
        "inject": [],
    }
    assert plain["head"]["inject"] == [{"kind": "spin", "amount": 0.05, "case": "n-onnx"}]
    assert plain["libraries"][1] == {"python": "3.11.7", "torch": "2.13.0"}
    assert plain["rules"]["margin"] == 0.01
    assert [each["label"] for each in plain["decisions"]] == [
        *(each.label for each in DECISIONS),
        *(each.label for each in ABSENT),
    ]
    assert plain["decisions"][1]["ratio"] == {"point": 1.05, "low": 1.04, "high": 1.0625, "confidence": 0.95}
    assert plain["decisions"][2]["ratio"]["high"] is None
    assert plain["decisions"][2]["detectable"] is None
    assert (plain["suspects"], plain["invalid_controls"]) == (["n-onnx"], [])
    assert (plain["complete"], plain["dropped_turns"], plain["seconds"]) == (True, 2, 90.0)
    assert plain["screen"][0]["turns"][0] == {
        "label": "n-eager",
        "base": {
            "round_seconds": [0.5] * 5,
            "host": {**NOTHING_TOLD},
        },
        "head": {
            "round_seconds": [0.5] * 5,
            "host": {**NOTHING_TOLD, "steal_s": 0.25, "run_delay_s": 0.5, "involuntary_switches": 7},
        },
        "control": False,
    }
    assert len(plain["decide"]) == 1


def test_the_document_names_no_path_of_this_machine() -> None:
    assert "trees/0123" not in json.dumps(document(result()))


def test_tests_are_named_without_their_file_and_timed_in_a_unit_that_shows_them() -> None:
    labels = ("tests/test_a.py::test_one[1]", "tests/test_a.py::test_of_a_rather_long_name[parameter]")
    decisions = tuple(decision(label, "unchanged", base_s=6.1e-8, head_s=6.2e-8) for label in labels)
    lines = paired(result(outcome=outcome(decisions=decisions), setup=None), width=80).splitlines()
    assert any(line.split()[:5] == ["case", "base", "ns", "head", "ns"] for line in lines)
    assert any(line.split()[:3] == ["test_one[1]", "61.00", "62.00"] for line in lines)
    assert any(line.startswith("test_of…") and line.rstrip().endswith("UNCHANGED") for line in lines)
    assert "Times are of a call" in "\n".join(lines)


def test_two_files_of_tests_are_told_apart() -> None:
    labels = ("a.py::test_one", "b.py::test_one")
    text = paired(
        result(outcome=outcome(decisions=tuple(decision(label, "unchanged") for label in labels))), width=100
    )
    assert all(f"\n{label} " in text for label in labels)
