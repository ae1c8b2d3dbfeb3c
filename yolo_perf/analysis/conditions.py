"""Under which conditions a case was timed, and when they are no longer the model's own figures. Pure."""

import math
from collections.abc import Iterable, Sequence

from yolo_perf.analysis.rounds import low_quantile
from yolo_perf.records import LayerProfile, StageRun, Timed

FAULT_S = 1e-6
"""Seconds that one minor page fault takes: eager of n was 8 to 16 ms slower with 8,000 to 12,500 of them."""
NOTABLE_FAULTS = 0.01
"""Of a case's time: page faults that explain more are told."""
NOTABLE_STEAL = 0.05
OTHER_WORK = 0.10
"""Of the CPU time that the case's own threads could have had: others that took more were no bystanders."""
UNSTEADY = 3.0
"""Of a case's rounds, `unsteadiness`: noisy shared machines were seen to have up to 1.9, a cold one about 9."""
LEAST_ROUNDS = 8
"""Of fewer, one spell of the host is a quarter."""
LEAST_OTHER_S = 0.1
"""What ticks of 10 ms on each CPU cannot tell from nothing."""

Watched = Timed | StageRun | LayerProfile


def seconds_of(timed: Watched) -> float:
    """Seconds of all timed rounds; of layers, with and without instruments."""
    if isinstance(timed, Timed):
        return math.fsum(timed.round_seconds)
    if isinstance(timed, StageRun):
        return math.fsum(times.total_s for times in timed.times) * timed.case.batch
    return (timed.latency_s + timed.layers_s) * timed.rounds * timed.case.batch


def images_of(timed: Watched) -> int:
    """Images of all timed rounds."""
    if isinstance(timed, Timed):
        return len(timed.round_seconds) * timed.case.batch
    if isinstance(timed, StageRun):
        return len(timed.times) * timed.case.batch
    return 2 * timed.rounds * timed.case.batch


def page_faults_per_image(timed: Watched) -> float | None:
    """Minor page faults an image; None where the system does not tell."""
    faults = timed.host.page_faults
    return None if faults is None else faults / images_of(timed)


def switches_per_round(timed: Watched) -> float | None:
    """How often a thread lost its CPU against its will in a round; None where the system does not tell."""
    switches = timed.host.involuntary_switches
    return None if switches is None else switches * timed.case.batch / images_of(timed)


def faults_share(timed: Watched) -> float:
    """The share of the time that page faults explain, about; 0 where the system does not tell."""
    return (timed.host.page_faults or 0) * FAULT_S / seconds_of(timed)


def steal_share(timed: Watched) -> float:
    """The share of the time that the machine's own host took; 0 where the system does not tell."""
    return (timed.host.steal_s or 0.0) / seconds_of(timed)


def other_work_share(timed: Watched) -> float:
    """CPU time of other processes over what the case's threads could have had; 0 where unknown or too little."""
    other = timed.host.other_cpu_s or 0.0
    return other / (seconds_of(timed) * timed.case.threads) if other > LEAST_OTHER_S else 0.0


def unsteadiness(timed: Timed) -> float:
    """The third quartile of the rounds over the first decile: 1 where all take as long.

    A spell of the host that hits a quarter of the rounds changes nothing. Infinite where a coarse clock made the
    low ones 0 and not the high ones.
    """
    seconds = sorted(timed.round_seconds)
    low, high = low_quantile(seconds), seconds[math.ceil(0.75 * len(seconds)) - 1]
    if low <= 0:
        return math.inf if high > low else 1.0
    return high / low


def unsteady(measured: Iterable[Timed]) -> dict[str, float]:
    """Label and unsteadiness of the cases whose rounds lie so far apart that their median is no figure."""
    found = ((m.case.label, unsteadiness(m)) for m in measured if len(m.round_seconds) >= LEAST_ROUNDS)
    return {label: apart for label, apart in found if apart > UNSTEADY}


def doubts(measured: Sequence[Timed]) -> str:
    """What speaks against cases as a baseline, in a sentence; "" where nothing does."""
    parts = []
    if disturbed := beside_other_work(measured):
        parts.append(f"other work ran beside {', '.join(disturbed)}. Measure alone")
    if apart := unsteady(measured):
        named = ", ".join(f"{label} ({times:.1f}-fold)" for label, times in apart.items())
        parts.append(f"rounds lie far apart in {named}. Measure again, on a machine that has warmed up")
    return "; ".join(parts)


def beside_other_work(measured: Iterable[Timed]) -> dict[str, float]:
    """Label and share of the cases that were timed while other work ran on the same cores: no evidence."""
    shares = ((each.case.label, other_work_share(each)) for each in measured)
    return {label: share for label, share in shares if share > OTHER_WORK}
