"""The table of a paired comparison."""

import math
from collections.abc import Sequence
from typing import Any

import msgspec
from rich.text import Text

from yolo_perf import units
from yolo_perf.archive.result import Result
from yolo_perf.archive.saved_pairs import PAIRS_BLOCK, PAIRS_SCHEMA
from yolo_perf.escape import printable
from yolo_perf.pairing.sides import Side
from yolo_perf.records import HostUse, Interval
from yolo_perf.report.tables import STYLES, columns, render, wrapped
from yolo_perf.verdict.gate import SUITE, TAIL, Decision, by_label, differences
from yolo_perf.verdict.stats import hodges_lehmann

FIGURES_WIDTH = 58
"""Of the columns beside the names, at their widest."""
MIN_NAME = 20


def paired(result: Result, *, width: int = 80, color: bool = False) -> str:
    """Who was compared, a row for each case, why, and how the host behaved."""
    unit = units.unit_of([each.base_s for each in result.decisions if each.base_s])
    table = columns("case", (f"base {unit}", f"head {unit}", "diff %", "interval %", "sees"), "verdict")
    batches = {subject.label: subject.batch for subject in result.survey.subjects}
    names = _names([printable(each.label) for each in result.decisions], max(MIN_NAME, width - FIGURES_WIDTH))
    for decision, name in zip(result.decisions, names, strict=True):
        table.add_row(
            name,
            *_times(decision, batches.get(decision.label.removesuffix(TAIL), 1), unit),
            *_change(decision.ratio),
            _percent(decision.detectable),
            Text(decision.verdict.upper(), style=STYLES[decision.verdict]),
        )
    reasons = [f"{each.label}: {each.reason}{_pairs(each)}." for each in result.decisions]
    lines = [*_sides(result), "", render(table, width=width, color=color), ""]
    lines += [wrapped(line, width, "  ") for line in (*reasons, *_legend(result), *_host(result))]
    return "\n".join([*lines, *_end(result, color)])


def _names(labels: Sequence[str], most: int) -> list[str]:
    """Labels as a column has room for them: tests without the file that all are in, and without their middle."""
    files = {label.partition("::")[0] for label in labels if "::" in label}
    shared = f"{files.pop()}::" if len(files) == 1 else ""
    return [_cut(label.removeprefix(shared), most) if "::" in label else label for label in labels]


def _cut(name: str, most: int) -> str:
    return name if len(name) <= most else f"{name[: most // 3]}…{name[most // 3 + 1 - most :]}"


def document(result: Result) -> dict[str, Any]:
    """All of it in SI units, the raw rounds of every pair included. What has no bound is null."""
    outcome = result.outcome
    return {
        PAIRS_BLOCK: {
            "schema": PAIRS_SCHEMA,
            "base": _plain_side(result.sides[0]),
            "head": _plain_side(result.sides[1]),
            "libraries": list(result.survey.libraries),
            "setup": {
                "image_size": result.setup.image_size if result.setup else None,
                "threads": result.setup.threads if result.setup else None,
                "rounds": {subject.label: subject.rounds for subject in result.survey.subjects},
                "batches": {subject.label: subject.batch for subject in result.survey.subjects},
            },
            "rules": msgspec.to_builtins(result.rules),
            "decisions": [_plain_decision(each) for each in result.decisions],
            "suspects": list(outcome.screening.suspects),
            "invalid_controls": list(outcome.invalid_controls),
            "complete": outcome.complete,
            "failure": outcome.failure or None,
            "dropped_turns": outcome.dropped,
            "seconds": result.seconds,
            "discarded": [msgspec.to_builtins(pair) for pair in outcome.discarded],
            "screen": [msgspec.to_builtins(pair) for pair in outcome.first],
            "decide": [msgspec.to_builtins(pair) for pair in outcome.second],
        }
    }


def _times(decision: Decision, batch: int, unit: str) -> tuple[str, str]:
    sides = (decision.base_s, decision.head_s)
    base, head = ("-" if seconds is None else units.in_unit(seconds / batch, unit) for seconds in sides)
    return base, head


def _change(ratio: Interval | None) -> tuple[str, str]:
    if ratio is None:
        return "-", "-"
    low, high = (_signed(bound) if 0 < bound < math.inf else "?" for bound in (ratio.low, ratio.high))
    return _signed(ratio.point), f"{low}..{high}"


def _signed(ratio: float) -> str:
    change = 100 * (ratio - 1)
    return f"{change:+z.1f}" if change < 99.95 else f"{change:+.0f}"


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"+{100 * fraction:.1f}"


def _pairs(decision: Decision) -> str:
    return f" ({decision.pairs} {'fresh ' if decision.confirmed else ''}pairs)" if decision.pairs else ""


def _sides(result: Result) -> list[str]:
    lines = []
    for name, side in zip(("base", "head"), result.sides, strict=True):
        commit = f" ({side.commit[:10]})" if side.commit else ""
        lines.append(printable(f"{name}  {side.name}{commit}"))
    base, head = result.survey.libraries
    differing = [
        f"{name} {base.get(name, 'none')} -> {head.get(name, 'none')}"
        for name in {**base, **head}
        if base.get(name) != head.get(name)
    ]
    return [*lines, *([printable(f"      {', '.join(differing)}")] if differing else [])]


def _legend(result: Result) -> list[str]:
    confidence = f"{result.rules.confidence:.0%}"
    lines = [
        f"Times are of {'an image' if result.setup else 'a call'}: low quantiles, medians over the pairs. "
        f"Interval: {confidence}, of the change. "
        "Sees: the smallest slow-down in % that these pairs could have shown."
    ]
    if any(decision.label == SUITE for decision in result.decisions):
        lines.append(f"{SUITE}: the mean change of the cases that nothing suspects.")
    return lines


def _host(result: Result) -> list[str]:
    """What the host did meanwhile, and what the controls showed."""
    outcome = result.outcome
    pairs = (*outcome.first, *outcome.second)
    controls = by_label([differences(pair).controls for pair in outcome.first])
    lines = []
    if controls:
        shown = (f"{label} {_signed(math.exp(hodges_lehmann(d)))} %" for label, d in controls.items())
        lines.append(f"Controls, the same code on both sides: {', '.join(shown)}.")
    turns = [side for pair in pairs for turn in pair.turns for side in (turn.base, turn.head)]
    uses = [each.host for each in turns]
    seconds = math.fsum(second for each in turns for second in each.round_seconds)
    if uses and seconds:
        lines.append(
            f"Host, of {seconds:.0f} s timed: {_total(uses, 'steal_s', 's stolen')}, "
            f"{_total(uses, 'run_delay_s', 's waited for a CPU')}, "
            f"{_total(uses, 'involuntary_switches', 'involuntary switches')}."
        )
    if outcome.dropped:
        lines.append(f"Dropped for time stolen by the host: {outcome.dropped} turns.")
    return lines


def _total(uses: Sequence[HostUse], name: str, words: str) -> str:
    values = [getattr(use, name) for use in uses if getattr(use, name) is not None]
    if not values:
        return f"unknown {words}"
    total = math.fsum(values)
    return f"{total:.1f} {words}" if isinstance(values[0], float) else f"{total:.0f} {words}"


def _end(result: Result, color: bool) -> list[str]:
    """The last line: what it comes to."""
    outcome = result.outcome
    verdicts = [decision.verdict for decision in result.decisions if decision.label != SUITE or decision.fails]
    counted = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in STYLES if verdict in verdicts)
    lines = [f"{counted} in {result.seconds / 60:.1f} min"]
    if outcome.invalid_controls:
        lines.append(
            f"HOST INVALID: {', '.join(outcome.invalid_controls)} differ between the sides, though they are the "
            "same code. Nothing is decided. Try again when the machine is quieter."
        )
    elif not result.measured:
        lines.append("NOTHING MEASURED: no pair of any case.")
    elif outcome.failure:
        lines.append(f"FAILED: {outcome.failure} What was measured until then is above.")
    elif not outcome.complete:
        why = "interrupted" if outcome.interrupted else "the time budget ran out"
        lines.append(f"PARTIAL: {why}.")
    style = "bold yellow"
    return [lines[0], *(render(Text(printable(line), style=style), width=200, color=color) for line in lines[1:])]


def _plain_side(side: Side) -> dict[str, Any]:
    return {
        "name": side.name,
        "commit": side.commit,
        "environment": dict(side.environment),
        "threads": side.threads,
        "inject": [{"kind": each.kind, "amount": each.amount, "case": each.case} for each in side.inject],
    }


def _plain_decision(decision: Decision) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(decision)
    if decision.ratio is not None and not math.isfinite(decision.ratio.high):
        plain["ratio"]["high"] = None
    return plain
