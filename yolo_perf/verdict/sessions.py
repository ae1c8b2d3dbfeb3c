"""A session against earlier ones of its machine: a pure function of saved runs.

The session is the unit, never its rounds: they share one process, one layout and one mood of the host. A case's
history is one figure a session, y = ln of it; a new one is suspect where it lies beyond the prediction bound of
that history and beyond the metric's margin. With few sessions the bound rests on the noise that is known
beforehand: the machine's calibrated one, else a wide default. What a session suspects, `confirm` decides.
"""

import math
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from statistics import median

from yolo_perf.analysis.figures import utilization
from yolo_perf.analysis.roofline import Works, bound, roof_seconds
from yolo_perf.analysis.rounds import low_quantile
from yolo_perf.machine.naming import describe, fingerprint
from yolo_perf.records import Case, Comparison, Dtype, Machine, Measurement, Metric, Peaks, Run, Verdict, Work
from yolo_perf.settings import LATENCY_MARGIN, UTILIZATION_MARGIN
from yolo_perf.units import signed_percent
from yolo_perf.verdict.stats import prediction_bounds

MOST_SESSIONS = 5
"""Of a history the newest so many: what is older says more of how the code was than of the machine's noise."""
DEFAULT_SD, DEFAULT_DF = 0.20, 10
"""Spread of ln(latency) between sessions where nothing is calibrated, and how sure that is, in sessions.

Session minima of identical code on a shared VM were seen to spread by 21 % (docs/gate.md).
"""
ALPHA = 0.01
"""With which probability a case of the same code is suspected in a session."""
LIBRARIES = ("torch", "onnxruntime", "numpy")
"""Whose versions decide speed. Another one is compared, since it may be what is asked about, and named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRules:
    """What is asked of a verdict between sessions. Margins are fractions, spreads natural logarithms."""

    latency_margin: float = LATENCY_MARGIN
    utilization_margin: float = UTILIZATION_MARGIN
    margins: tuple[tuple[str, str, float], ...] = ()  # (case label, metric or "" for each, fraction)
    calibrated_sd: Mapping[str, float] = field(default_factory=dict)  # by label
    calibrated_df: float = DEFAULT_DF
    default_sd: float = DEFAULT_SD
    default_df: float = DEFAULT_DF
    alpha: float = ALPHA

    def margin_of(self, label: str, metric: Metric) -> float:
        """The case's own margin of a metric, else its own of both, else the metric's."""
        own = {(name, of): margin for name, of, margin in self.margins}
        general = self.latency_margin if metric == "latency" else self.utilization_margin
        return own.get((label, metric), own.get((label, ""), general))

    def noise_of(self, label: str) -> tuple[float, float, str]:
        """The case's spread between sessions, its degrees of freedom, and where they are from."""
        if label in self.calibrated_sd:
            return self.calibrated_sd[label], self.calibrated_df, "calibrated"
        return self.default_sd, self.default_df, "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    """One session's figure of a case."""

    run: Run
    measurement: Measurement

    @property
    def latency(self) -> float:
        """The ln of the steady seconds an image."""
        return math.log(steady_latency_s(self.measurement))

    @property
    def idleness(self) -> float:
        """The ln of 1 / utilisation, under what the machine could do in that session."""
        latency = steady_latency_s(self.measurement)
        return -math.log(utilization(self.measurement, self.run.host_peaks, latency))

    def adjusted(self, compute: float) -> float:
        """The ln of the latency where the machine did as much a second as in every other session.

        ln t + b ln F + (1 - b) ln M for a share b of compute, with the session's roofs F in FLOP/s and M in
        bytes/s: a machine that became slower by a tenth excuses a latency by a tenth.
        """
        peaks = self.run.host_peaks
        speed = math.log(peaks.flops_per_s[self.measurement.case.dtype])
        return self.latency + compute * speed + (1 - compute) * math.log(peaks.bytes_per_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """How much worse the newest session is than its history, and from where on that is a change: logarithms.

    The bounds lie evenly about the history's median, so one limit serves both directions.
    """

    worse: float
    limit: float

    @property
    def verdict(self) -> Verdict:
        """What the session's figures alone say."""
        if self.worse > self.limit:
            return "regressed"
        return "improved" if self.worse < -self.limit else "unchanged"


def steady_latency_s(measurement: Measurement) -> float:
    """Seconds per image at the low quantile of the rounds: what is compared between sessions."""
    return low_quantile(measurement.round_seconds) / measurement.case.batch


def compare_runs(
    history: Sequence[Run],
    head: Run,
    rules: SessionRules,
    *,
    works: Works,
    expected: Callable[[Measurement], bool] = lambda _: True,
    absence: Mapping[str, str] | None = None,
) -> tuple[Comparison, ...]:
    """Every case of either run, with its verdicts in the order of `head`, then what is missing.

    `history` is oldest first, at least one session; its last is the chosen baseline, which says what there is to
    compare. A "regressed" rests on sessions alone and is a suspect yet. `works` tells of the layers, on which the
    machine's drift is shared out; `expected` says whether a baseline's case
    ought to have been measured; `absence` gives a reason by node id where one is known ("skipped: ...").
    """
    base = history[-1]
    unlike = machine_differences(base.machine, head.machine)
    if unlike:
        return tuple(_note(measurement, "incomparable", unlike) for measurement in head.measurements)
    heads, left = list(head.measurements), list(base.measurements)
    partners = _pair(left, heads)
    earlier = [(run, _pair(list(run.measurements), heads)) for run in history[:-1] if _akin(run, base)]
    comparisons: list[Comparison] = []
    for measurement in heads:
        partner = partners.get(id(measurement))
        if partner is None:
            comparisons.append(_note(measurement, "new", "not in the baseline"))
        elif differing := _differences(partner, measurement):
            comparisons.append(_note(measurement, "incomparable", "; ".join(differing)))
        else:
            found = [(run, of[id(measurement)]) for run, of in earlier if id(measurement) in of]
            like = [each for each in (*found, (base, partner)) if not _differences(each[1], measurement)]
            past = [_Session(run=run, measurement=own) for run, own in like[-MOST_SESSIONS:]]
            comparisons += _compare(past, _Session(run=head, measurement=measurement), rules, works)
    for measurement in left:
        if expected(measurement):
            reason = (absence or {}).get(measurement.nodeid, "in the baseline, not measured now")
            comparisons.append(_note(measurement, "missing", reason))
    return tuple(comparisons)


def machine_differences(base: Machine, head: Machine) -> str:
    """What sets two machines apart, by name; "" for one and the same."""
    if fingerprint(base) == fingerprint(head):
        return ""
    parts = [f"another machine: {describe(base)} -> {describe(head)}"]
    for name in ("architecture", "family", "model", "stepping", "physical_cores", "usable_cores"):
        before, now = getattr(base, name), getattr(head, name)
        if before != now:
            parts.append(f"{name.replace('_', ' ')} {before} -> {now}")
    gone, come = sorted({*base.isa} - {*head.isa}), sorted({*head.isa} - {*base.isa})
    if gone or come:
        parts.append(f"vector ISA {' '.join([*(f'-{name}' for name in gone), *(f'+{name}' for name in come)])}")
    return "; ".join(parts)


def library_changes(base: Run, head: Run) -> tuple[str, ...]:
    """The libraries that decide speed whose versions differ, as "torch 2.12.0 -> 2.13.0"."""
    before, now = base.machine.libraries, head.machine.libraries
    return tuple(
        f"{name} {before.get(name, 'none')} -> {now.get(name, 'none')}"
        for name in LIBRARIES
        if before.get(name) != now.get(name)
    )


def compute_share(measurement: Measurement, peaks: Peaks, works: Works) -> float:
    """Which share of the least time under the roofs a case spends in layers bound by compute, 0 to 1.

    A model whose layers are not known counts as one layer.
    """
    case = measurement.case
    layers = works(case, measurement.weights.classes) or (measurement.work,)
    return _compute_share(layers, case.batch, case.dtype, peaks.flops_per_s[case.dtype], peaks.bytes_per_s)


@lru_cache(maxsize=1024)
def _compute_share(
    works: tuple[Work, ...], batch: int, dtype: Dtype, flops_per_s: float, bytes_per_s: float
) -> float:
    peaks = Peaks(flops_per_s={dtype: flops_per_s}, bytes_per_s=bytes_per_s, threads=1, method="")
    seconds = {"compute": 0.0, "memory": 0.0}
    for work in works:
        if not work.compulsory_bytes:  # all of it is folded into its producer
            continue
        shared = replace(work, weight_bytes=work.weight_bytes // batch)  # read once a batch
        seconds[bound(shared, peaks, dtype)] += roof_seconds(shared, peaks, dtype)
    return seconds["compute"] / sum(seconds.values())


def _akin(run: Run, base: Run) -> bool:
    """Whether an earlier session is of the baseline's machine and libraries."""
    return fingerprint(run.machine) == fingerprint(base.machine) and not library_changes(run, base)


def _pair(left: list[Measurement], heads: list[Measurement]) -> dict[int, Measurement]:
    """A partner for every measurement that has one, by its `id()`, each taken out of `left`.

    The same case in the same test first; then the same case in another test, which was renamed; last the same
    test under other settings, which is to be named as unlike rather than as new.
    """
    kinships: tuple[Callable[[Measurement], tuple[str, str]], ...] = (
        lambda m: (m.case.id, m.nodeid),
        lambda m: (m.case.id, ""),
        lambda m: (m.case.label, m.nodeid),
    )
    partners: dict[int, Measurement] = {}
    for kin in kinships:
        free: dict[tuple[str, str], deque[Measurement]] = defaultdict(deque)
        for each in left:
            free[kin(each)].append(each)
        for head in heads:
            if id(head) not in partners and (akin := free.get(kin(head))):
                partners[id(head)] = akin.popleft()
        taken = {id(each) for each in partners.values()}
        left[:] = [each for each in left if id(each) not in taken]
    return partners


def _compare(past: Sequence[_Session], now: _Session, rules: SessionRules, works: Works) -> list[Comparison]:
    """The case's verdicts on both metrics."""
    label = now.measurement.case.label
    latency = _change([each.latency for each in past], now.latency, rules, label, "latency")
    idleness = _change([each.idleness for each in past], now.idleness, rules, label, "utilization")
    verdict, remark = latency.verdict, ""
    if verdict != "unchanged":
        compute = compute_share(now.measurement, past[-1].run.host_peaks, works)
        adjusted = [each.adjusted(compute) for each in past]
        own = _change(adjusted, now.adjusted(compute), rules, label, "latency")
        drift = signed_percent(math.exp(own.worse))
        if own.verdict != verdict:
            verdict, remark = "unchanged", f", but {drift} where the machine's own drift is taken off"
        elif drift != signed_percent(math.exp(latency.worse)):
            remark = f" ({drift} where the machine's own drift is taken off)"
    return [
        _comparison(past, now, latency, rules, metric="latency", verdict=verdict, remark=remark),
        _comparison(past, now, idleness, rules, metric="utilization", verdict=idleness.verdict),
    ]


def _change(values: Sequence[float], now: float, rules: SessionRules, label: str, metric: Metric) -> _Change:
    sd, df, _ = rules.noise_of(label)
    bounds = prediction_bounds(values, prior_sd=sd, prior_df=df, alpha=rules.alpha)
    margin = math.log1p(rules.margin_of(label, metric))
    return _Change(worse=now - median(values), limit=max(bounds.high - bounds.point, margin))


def _comparison(
    past: Sequence[_Session],
    now: _Session,
    change: _Change,
    rules: SessionRules,
    *,
    metric: Metric,
    verdict: Verdict,
    remark: str = "",
) -> Comparison:
    label, nodeid, before = now.measurement.case.label, now.measurement.nodeid, past[-1].measurement.nodeid
    sign = 1 if metric == "latency" else -1
    ratio = math.exp(sign * change.worse)
    limit = signed_percent(math.exp(sign * (-change.limit if change.verdict == "improved" else change.limit)))
    relation = "unchanged within" if change.verdict == "unchanged" else "beyond"
    basis = f"{len(past)} session{'' if len(past) == 1 else 's'}, {rules.noise_of(label)[2]} noise"
    libraries = "".join(f"; {each}" for each in library_changes(past[-1].run, now.run))
    return Comparison(
        label=label,
        metric=metric,
        verdict=verdict,
        reason=f"{metric} {signed_percent(ratio)}, {relation} {limit}{remark} ({basis}){libraries}",
        ratio=ratio,
        nodeid=nodeid,
        renamed_from="" if before == nodeid else before,
        detectable=abs(math.expm1(sign * change.limit)),
        basis=basis,
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
    if base.allocator != head.allocator:
        found.append(f"allocator {base.allocator} -> {head.allocator}")
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
