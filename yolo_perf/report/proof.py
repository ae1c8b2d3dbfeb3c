"""The gate's own test as tables: false alarms and power of our rule and of others', from the same rows."""

import math
from collections.abc import Sequence

import msgspec

from yolo_perf.escape import printable
from yolo_perf.proof.proof import AMOUNTS, DISTURBED, UNDISTURBED, Condition, Proof, Recorded, Spread
from yolo_perf.proof.rivals import RivalScore
from yolo_perf.records import Interval
from yolo_perf.report.tables import columns, render, shortened, wrapped
from yolo_perf.units import signed_percent

OURS = "this gate"
NOTE = (
    "Suites are dealt from the recorded pairs, the sides of each turned round by chance. That makes no "
    "information: the bound is the 95 % percentile of the rate over resampled recordings. A pair of fewer cases "
    "is taken to be shorter by the others' rounds. Blocks set one session against the next, interleaved rules the "
    'rounds of a pair. Those with a "> x %" have the threshold at which one suite in a hundred fails at most.'
)
Row = dict[str, object]


def proof(proof: Proof, *, width: int = 80, color: bool = False) -> str:
    """A table for each condition, then paired spreads and recorded slow-downs."""
    told = ", ".join(filter(None, (proof.recording.machine, proof.recording.created, proof.recording.setup)))
    lines = [wrapped(printable(f"Recorded on {told}."), width)] if told else []
    for condition in proof.conditions:
        lines += ["", *_condition(condition, width=width, color=color)]
    lines += ["", wrapped(NOTE, width), "", *_spreads(proof.spreads, width=width, color=color)]
    if proof.recorded:
        lines += ["", *_recorded(proof.recorded, width=width, color=color)]
    return "\n".join(lines).strip("\n")


def document(proof: Proof) -> object:
    """The proof as plain values."""
    return msgspec.to_builtins(proof, str_keys=True)


def rows(proof: Proof) -> list[Row]:
    """One row for each rule under each condition; rates are fractions, times seconds."""
    found: list[Row] = []
    for condition in proof.conditions:
        alarms = condition.alarms
        found.append(
            {
                "disturb": condition.disturb,
                "rule": OURS,
                "design": "paired",
                "threshold": None,
                "suites": alarms.suites,
                "false_alarms": alarms.failure_rate,
                "false_alarms_low": None,
                "false_alarms_high": condition.alarms_upper,
                "inconclusive": alarms.inconclusive / alarms.suites,
                "suspected": alarms.suspected / alarms.suites,
                "seconds": alarms.seconds,
                **{f"one_{power.amount:g}": power.one for power in condition.powers},
                **{f"any_{power.amount:g}": power.any for power in condition.powers},
            }
        )
        for score in condition.rivals:
            found.append(
                {
                    "disturb": condition.disturb,
                    "rule": score.rule,
                    "design": score.design,
                    "threshold": score.threshold,
                    "suites": score.suites,
                    "false_alarms": score.suite_false_alarms.point,
                    "false_alarms_low": score.suite_false_alarms.low,
                    "false_alarms_high": score.suite_false_alarms.high,
                    "inconclusive": None,
                    "suspected": None,
                    "seconds": condition.pair_s,
                    **{f"one_{amount:g}": score.one[amount] for amount in AMOUNTS},
                    **{f"any_{amount:g}": score.every[amount] for amount in AMOUNTS},
                }
            )
    return found


def _condition(condition: Condition, *, width: int, color: bool) -> list[str]:
    """A heading, the table of the rules, and what else came of our own."""
    powers = [signed_percent(1 + amount).replace(".0", "") for amount in AMOUNTS]
    table = columns("rule", ("alarms %", "interval", *powers, "min"))
    alarms = condition.alarms
    bound = condition.alarms_upper
    upper = "" if bound is None else f"to {_figure(math.ceil(1000 * bound) / 1000)}"  # never less than it is
    table.add_row(
        OURS,
        _figure(alarms.failure_rate),
        upper,
        *(_share(power.one) for power in condition.powers),
        f"{alarms.seconds / 60:.1f}",
    )
    table.add_row("  all slower: any", "", "", *(_share(power.any) for power in condition.powers), "")
    table.add_row("  all slower: every", "", "", *(_share(power.every) for power in condition.powers), "")
    for score in condition.rivals:
        interval = score.suite_false_alarms
        table.add_row(
            _rule(score),
            _figure(interval.point),
            _interval(interval),
            *(_share(score.one[amount]) for amount in AMOUNTS),
            f"{condition.pair_s / 60:.1f}",
        )
    share = {
        name: f"{_share(count / alarms.suites)} %"
        for name, count in (
            ("suspected", alarms.suspected),
            ("inconclusive", alarms.inconclusive),
            ("unfair", alarms.unfair),
            ("reused", alarms.reused),
        )
    }
    said = (
        f"Of {alarms.suites} suites of identical sides, dealt from {condition.pairs} pairs: {share['suspected']} "
        f"measured a suspect again, {share['inconclusive']} left a case inconclusive, {share['unfair']} found the "
        "host unfair."
    )
    if alarms.reused >= 0.005 * alarms.suites:
        said += f" {share['reused']} had to deal a pair twice: more pairs would tell more."
    return [wrapped(_heading(condition), width), render(table, width=width, color=color), wrapped(said, width)]


def _heading(condition: Condition) -> str:
    named = {UNDISTURBED: "Undisturbed", DISTURBED: "Under any disturbance"}
    where = named.get(condition.disturb, f"Under {condition.disturb}")
    return f"{where}: false alarms a suite, and a slow-down of one case found, in %"


def _rule(score: RivalScore) -> str:
    moved = "" if score.threshold is None else f" > {100 * score.threshold:.0f} %"
    return f"{score.design} {score.rule}{moved}"


def _spreads(spreads: Sequence[Spread], *, width: int, color: bool) -> list[str]:
    """How far identical sides lie apart, as pairs and as sessions."""
    table = columns("disturbance, case", ("pairs", "sd %", "1.48 MAD %", "median %", "minimum %"))
    for spread in spreads:
        figures = (spread.paired, spread.paired_robust, spread.median, spread.minimum)
        name = f"{spread.disturb} {shortened(printable(spread.label), 30)}"
        table.add_row(name, str(spread.pairs), *map(_figure, figures))
    said = (
        "Spread of identical sides: the standard deviation of the difference of a pair, the same by its median "
        "absolute deviation, and beside it that of a session's median and minimum"
    )
    return [wrapped(said, width), render(table, width=width, color=color)]


def _recorded(recorded: Sequence[Recorded], *, width: int, color: bool) -> list[str]:
    """What was measured of slow-downs that were put in on purpose."""
    table = columns("injected, case", ("pairs", "median", "low", "high", "p90", "found %"))
    for each in recorded:
        name = each.inject if each.disturb == UNDISTURBED else f"{each.inject} {each.disturb}"
        table.add_row(
            f"{shortened(printable(name), 24)} {shortened(printable(each.label), 24)}",
            str(each.pairs),
            *(
                "-" if change is None else signed_percent(1 + change)
                for change in (each.change, each.low, each.high, each.tail)
            ),
            "-" if each.found is None else _share(each.found),
        )
    said = "Recorded slow-downs, as measured, with their 95 % intervals; found where all its cases are slower"
    return [wrapped(said, width), render(table, width=width, color=color)]


def _figure(fraction: float) -> str:
    """A fraction in per cent, two digits or more."""
    value = 100 * fraction
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}"


def _interval(interval: Interval) -> str:
    return f"{_figure(interval.low)}-{_figure(interval.high)}"


def _share(fraction: float) -> str:
    return f"{100 * fraction:.0f}"
