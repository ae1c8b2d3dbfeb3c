"""The decision: a pure function of two runs, with one plain margin per metric.

A margin has to cover what two sessions of the same code differ by on one machine, which on shared runners is
tens of per cent. Within the margin nothing is claimed beyond "unchanged at this margin".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from yolo_perf.analysis.figures import utilization
from yolo_perf.analysis.timing import low_quantile
from yolo_perf.machine.identity import describe, fingerprint
from yolo_perf.records import Case, Comparison, Measurement, Metric, Run, Verdict
from yolo_perf.units import signed_percent


@dataclass(frozen=True, slots=True, kw_only=True)
class Margins:
    """Relative changes that are not yet a regression: latency up by, utilisation down by."""

    latency: float
    utilization: float


def steady_latency_s(measurement: Measurement) -> float:
    """Seconds per image at the low quantile of the rounds: what is compared between sessions."""
    return low_quantile(measurement.round_seconds) / measurement.case.batch


def compare_runs(
    base: Run,
    head: Run,
    margins: Margins,
    *,
    expected: Callable[[Measurement], bool] = lambda _: True,
    absence: Mapping[str, str] | None = None,
) -> tuple[Comparison, ...]:
    """Every case of either run, with its verdicts in the order of `head`, then what is missing.

    `expected` says whether a baseline's case ought to have been measured; `absence` gives a reason by node
    id where one is known ("skipped: ...").
    """
    if fingerprint(base.machine) != fingerprint(head.machine):
        unlike = f"another machine: {describe(base.machine)} -> {describe(head.machine)}"
        return tuple(_note(measurement, "incomparable", unlike) for measurement in head.measurements)
    comparisons: list[Comparison] = []
    left = list(base.measurements)
    partners = _pair(left, list(head.measurements))
    for measurement in head.measurements:
        earlier = partners.get(id(measurement))
        if earlier is None:
            comparisons.append(_note(measurement, "new", "not in the baseline"))
            continue
        comparisons.extend(_compare(earlier, base, measurement, head, margins))
    for measurement in left:
        if expected(measurement):
            reason = (absence or {}).get(measurement.nodeid, "in the baseline, not measured now")
            comparisons.append(_note(measurement, "missing", reason))
    return tuple(comparisons)


def _pair(left: list[Measurement], heads: list[Measurement]) -> dict[int, Measurement]:
    """A partner for every measurement that has one, by its `id()`, each taken out of `left`.

    The same case in the same test first; then the same case in another test, which was renamed; last the same
    test under other settings, which is to be named as unlike rather than as new.
    """
    kinships: tuple[Callable[[Measurement, Measurement], bool], ...] = (
        lambda a, b: a.case.id == b.case.id and a.nodeid == b.nodeid,
        lambda a, b: a.case.id == b.case.id,
        lambda a, b: a.case.label == b.case.label and a.nodeid == b.nodeid,
    )
    partners: dict[int, Measurement] = {}
    for akin in kinships:
        for head in heads:
            partner = next((m for m in left if akin(m, head)), None) if id(head) not in partners else None
            if partner is not None:
                partners[id(head)] = partner
                left.remove(partner)
    return partners


def _compare(
    base: Measurement, base_run: Run, head: Measurement, head_run: Run, margins: Margins
) -> list[Comparison]:
    differing = _differences(base, head)
    if differing:
        return [_note(head, "incomparable", "; ".join(differing))]
    old, new = steady_latency_s(base), steady_latency_s(head)
    renamed_from = "" if base.nodeid == head.nodeid else base.nodeid
    latency = _judge(head, "latency", new / old, margins.latency, worse_is_up=True, renamed_from=renamed_from)
    old_use, new_use = utilization(base, base_run.peaks, old), utilization(head, head_run.peaks, new)
    use = _judge(
        head, "utilization", new_use / old_use, margins.utilization, worse_is_up=False, renamed_from=renamed_from
    )
    return [latency, use]


def _judge(
    measurement: Measurement,
    metric: Metric,
    ratio: float,
    margin: float,
    *,
    worse_is_up: bool,
    renamed_from: str,
) -> Comparison:
    """At a margin of 0.35 a latency may grow 1.35-fold, and a utilisation fall to 1/1.35 of the baseline's."""
    worsening = ratio if worse_is_up else 1 / ratio
    verdict: Verdict = "unchanged"
    if worsening > 1 + margin:
        verdict = "regressed"
    elif worsening < 1 / (1 + margin):
        verdict = "improved"
    relation = "within" if verdict == "unchanged" else "beyond"
    limit = 1 + margin if worse_is_up else 1 / (1 + margin)
    reason = f"{metric} {signed_percent(ratio)}, {relation} the margin of {signed_percent(limit)}"
    return Comparison(
        label=measurement.case.label,
        metric=metric,
        verdict=verdict,
        reason=reason,
        ratio=ratio,
        nodeid=measurement.nodeid,
        renamed_from=renamed_from,
    )


def _differences(base: Measurement, head: Measurement) -> list[str]:
    """What makes two cases unlike, by name and value."""
    found = [
        f"{name} {getattr(base.case, name)} -> {getattr(head.case, name)}"
        for name in Case.__dataclass_fields__
        if getattr(base.case, name) != getattr(head.case, name)
    ]
    if base.weights.digest != head.weights.digest:
        found.append(f"weights {_weights(base)} -> {_weights(head)}")
    if (base.work.macs, base.work.other_flops) != (head.work.macs, head.work.other_flops):
        found.append("work per image")
    return found


def _weights(measurement: Measurement) -> str:
    return f"{measurement.weights.source} {measurement.weights.digest[:8]}"


def _note(measurement: Measurement, verdict: Verdict, reason: str) -> Comparison:
    return Comparison(
        label=measurement.case.label,
        metric="latency",
        verdict=verdict,
        reason=reason,
        nodeid=measurement.nodeid,
    )
