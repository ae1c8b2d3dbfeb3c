import csv
import json
from io import StringIO

from yolo_perf.cli.output import csv_text
from yolo_perf.proof.dealing import Tally
from yolo_perf.proof.proof import AMOUNTS, Condition, Power, Proof, Recorded, Spread
from yolo_perf.proof.rivals import RivalScore
from yolo_perf.proof.rows import Header
from yolo_perf.records import Interval
from yolo_perf.report import proof as report
from yolo_perf.verdict.gate import Rules

GOLDEN = """\
Recorded on AMD EPYC, 2 cores, 2026-01-01, n all, 640 px.

Undisturbed: false alarms a suite, and a slow-down of one case found, in %
rule                  alarms % interval +1 % +2 % +3 % +5 % +10 % min
─────────────────────────────────────────────────────────────────────
this gate                  0.5   to 1.2   10   20   30   50   100 5.5
  all slower: any                         20   40   60  100   100
  all slower: every                        0    0    0    0    50
block min:5%                25   6.0-57    5    5    5    5     5 0.6
interleaved min > 9 %       25   6.0-57    5    5    5    5     5 0.6
Of 200 suites of identical sides, dealt from 30 pairs: 25 % measured a suspect
again, 2 % left a case inconclusive, 0 % found the host unfair. 10 % had to deal
a pair twice: more pairs would tell more.

Suites are dealt from the recorded pairs, the sides of each turned round by
chance. That makes no information: the bound is the 95 % percentile of the rate
over resampled recordings. A pair of fewer cases is taken to be shorter by the
others' rounds. Blocks set one session against the next, interleaved rules the
rounds of a pair. Those with a "> x %" have the threshold at which one suite in
a hundred fails at most.

Spread of identical sides: the standard deviation of the difference of a pair,
the same by its median absolute deviation, and beside it that of a session's
median and minimum
disturbance, case  pairs  sd %  1.48 MAD %  median %  minimum %
───────────────────────────────────────────────────────────────
none n-onnx           30   1.2         1.1       8.0         21

Recorded slow-downs, as measured, with their 95 % intervals; found where all its
cases are slower
injected, case       pairs median    low   high     p90 found %
───────────────────────────────────────────────────────────────
spin=3% n-onnx          16 +3.1 % +2.5 % +3.6 %  +2.9 %      88
spin=3% memory n-s??     2 +1.0 %      -      - +40.0 %       -"""


def rival(design: str, rule: str, threshold: float | None = None) -> RivalScore:
    rate = Interval(point=0.25, low=0.06, high=0.57, confidence=0.95)
    power = dict.fromkeys(AMOUNTS, 0.05)
    return RivalScore(
        rule=rule,
        design=design,
        comparisons=60,
        false_alarms=rate,
        suites=12,
        suite_false_alarms=rate,
        one=power,
        every=power,
        threshold=threshold,
    )


def proof() -> Proof:
    """Long, as every figure has a line of its own."""
    alarms = Tally(
        suites=200,
        failed=1,
        inconclusive=4,
        suspected=50,
        unfair=0,
        reused=20,
        complete=0,
        seconds=330.0,
        found={"n-onnx": (1, 200)},
    )
    powers = tuple(
        Power(
            amount=amount,
            one=min(1.0, 10 * amount),
            any=min(1.0, 20 * amount),
            every=0.5 if amount == 0.1 else 0.0,
            cases={"n-onnx": min(1.0, 10 * amount)},
        )
        for amount in AMOUNTS
    )
    condition = Condition(
        disturb="none",
        pairs=30,
        pair_s=36.0,
        alarms=alarms,
        alarms_upper=0.012,
        powers=powers,
        rivals=(rival("block", "min:5%"), rival("interleaved", "min", 0.09)),
    )
    return Proof(
        rules=Rules(),
        seed=0,
        suites=200,
        recording=Header(machine="AMD EPYC, 2 cores", created="2026-01-01", setup="n all, 640 px"),
        conditions=(condition,),
        spreads=(
            Spread(
                disturb="none",
                label="n-onnx",
                pairs=30,
                paired=0.012,
                paired_robust=0.011,
                median=0.08,
                minimum=0.21,
            ),
        ),
        recorded=(
            Recorded(
                inject="spin=3%",
                disturb="none",
                label="n-onnx",
                pairs=16,
                change=0.031,
                low=0.025,
                high=0.036,
                tail=0.029,
                found=0.875,
            ),
            Recorded(
                inject="spin=3%",
                disturb="memory",
                label="n-s\x1b\n",
                pairs=2,
                change=0.01,
                low=None,
                high=None,
                tail=0.4,
                found=None,
            ),
        ),
    )


def test_the_table_shows_every_rule_beside_ours() -> None:
    assert report.proof(proof(), width=80) == GOLDEN


def test_a_condition_that_was_not_resampled_has_no_bound() -> None:
    from dataclasses import replace

    shown = proof()
    bare = replace(
        shown.conditions[0],
        disturb="any",
        alarms_upper=None,
        rivals=(),
        alarms=replace(shown.conditions[0].alarms, reused=0),
    )
    text = report.proof(replace(shown, recording=Header(), conditions=(bare,), recorded=()), width=80)
    assert text.startswith("Under any disturbance: false alarms a suite")
    assert "to 1.2" not in text
    assert "deal a pair twice" not in text.replace("\n", " ")
    assert "Recorded" not in text


def test_the_document_is_plain_json() -> None:
    document = json.loads(json.dumps(report.document(proof()), allow_nan=False))
    assert document["conditions"][0]["rivals"][1]["one"]["0.03"] == 0.05
    assert document["recorded"][1]["low"] is None
    assert document["rules"]["screen_pairs"] == Rules().screen_pairs


def test_rows_are_flat_and_alike() -> None:
    rows = list(csv.DictReader(StringIO(csv_text(report.rows(proof())))))
    assert [(row["rule"], row["design"], row["false_alarms"]) for row in rows] == [
        ("this gate", "paired", "0.005"),
        ("min:5%", "block", "0.25"),
        ("min", "interleaved", "0.25"),
    ]
    assert rows[0]["one_0.03"] == "0.3"
    assert (rows[0]["seconds"], rows[2]["threshold"]) == ("330.0", "0.09")
