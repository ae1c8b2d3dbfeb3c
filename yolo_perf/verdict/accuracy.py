"""Whether a case became worse at detecting: against eager, by what is evidence, and against a baseline. Pure.

Accuracy has no noise to speak of: the same code, weights and pictures give the same boxes but for rounding. So
nothing is measured again, and the margins are small.

What a case loses of mAP is evidence only where eager itself finds what is labelled. Where it does not, accuracy is
unknown, and the boxes that it and eager agree on decide; where there are none of these either, nothing does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from yolo_perf.backends.registry import backends
from yolo_perf.records import Accuracy, Comparison, Measurement, Run, Verdict
from yolo_perf.verdict.sessions import machine_differences

LEAST_MAP = 0.1
"""Eager's mAP50-95 from which on a loss says something. The most that any optimisation may lose (0.035) is about a
third of it, so one that finds nothing is always beyond; what moves without a meaning (0.005) is a twentieth."""
LEAST_BOXES = 200
"""Labelled boxes from which on a loss says something. Losses of n in 8 bits, 0.018 and 0.024 on all 929 boxes of
COCO128, had standard deviations of 0.014 to 0.021 over subsets of about 60 or 125 boxes, 0.006 to 0.013 of 210."""
MAP_MARGIN = 0.005
"""mAP50-95 may differ from the baseline's by so much: sums in another order move boxes at the threshold."""
AGREEMENT_MARGIN = 0.02
SQNR_MARGIN_DB, SQNR_ROUNDING_DB = 3.0, 60.0
"""Half as much noise again in amplitude is a change; beyond 60 dB it is rounding, whatever it is."""

Basis = Literal["labels", "boxes", "nothing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a case stands against eager."""

    basis: Basis  # what it was judged by
    unknown: str  # why labels could not tell; "" where they did
    fault: str  # what stands against it, in a few words; "" where nothing does


def standing(accuracy: Accuracy, may_lose: float | None = None) -> Standing:
    """How a case stands against eager where it may lose so much mAP50-95; by default what its backend states.

    By labels where they are evidence, else by the boxes that it and eager agree on. Where neither finds one, that
    is no agreement: nothing is known.
    """
    allowed = tolerance(accuracy) if may_lose is None else may_lose
    why = unknown(accuracy, allowed)
    if not why:
        loss = lost(accuracy, allowed)
        beyond = loss is not None and loss > allowed
        return Standing(basis="labels", unknown="", fault=f"loses {loss:.3f}" if beyond else "")
    if accuracy.compared_boxes == 0:
        return Standing(basis="nothing", unknown=why, fault="no evidence")
    beyond = accuracy.box_agreement < floor(accuracy)
    return Standing(basis="boxes", unknown=why, fault="too few boxes" if beyond else "")


def unknown(accuracy: Accuracy, may_lose: float = 0.0) -> str:
    """Why what a case loses of mAP against eager says nothing; "" where it says something.

    Eager has to find more than may be lost: else one that finds nothing would be within the limit.
    """
    if why := _no_evidence(accuracy, accuracy.map50_95):
        return why
    if accuracy.eager_map50_95 is None:
        return "it is not recorded what eager finds there"
    return _no_evidence(accuracy, accuracy.eager_map50_95, max(LEAST_MAP, may_lose), "eager itself has ")


def lost(accuracy: Accuracy, may_lose: float = 0.0) -> float | None:
    """The mAP50-95 that a case loses against eager on the same pictures; None where that is unknown."""
    return None if unknown(accuracy, may_lose) else _difference(accuracy.eager_map50_95, accuracy.map50_95)


def telling(accuracy: Accuracy) -> bool:
    """Whether a mAP50-95 is one to compare with another time's: eager or the case finds what is labelled."""
    found = (accuracy.eager_map50_95, accuracy.map50_95)
    return accuracy.map50_95 is not None and not all(_no_evidence(accuracy, each, LEAST_MAP) for each in found)


def tolerance(accuracy: Accuracy) -> float:
    """The mAP50-95 that a case may lose against eager; none for a backend that is no longer known."""
    known = backends().get(accuracy.case.backend)
    return known.max_map_drop if known else 0.0


def floor(accuracy: Accuracy) -> float:
    """The box agreement that a case needs where its accuracy is unknown; all of it for an unknown backend."""
    known = backends().get(accuracy.case.backend)
    return known.min_box_agreement if known else 1.0


def compare_accuracy(base: Run | None, head: Run) -> tuple[Comparison, ...]:
    """The verdicts on what `head` detects: regressed cases, and those that were compared and are unchanged.

    A case that stands worse against eager in the same run than its backend states is regressed whatever the
    baseline says; none is needed for that. What another machine recorded, or other weights or pictures, is not
    compared.
    """
    found = [each for accuracy in head.accuracy if (each := _beside_eager(accuracy, head))]
    if base is not None and not machine_differences(base.machine, head.machine):
        found += _against(base, head)
    return tuple(found)


def _no_evidence(accuracy: Accuracy, found: float | None, least: float = 0.0, whose: str = "") -> str:
    """Why a mAP50-95 that was found on an accuracy's pictures is no evidence; "" where it is."""
    if found is None or not accuracy.boxes:
        return "no box is labelled"
    if accuracy.boxes < LEAST_BOXES:
        return f"too few labelled boxes: {accuracy.boxes} (at least {LEAST_BOXES} would tell)"
    if found < least:
        return f"{whose}mAP50-95 {found:.3f} there (at least {least:g} would tell)"
    return ""


def _beside_eager(accuracy: Accuracy, run: Run) -> Comparison | None:
    """The verdict on a case that stands worse than it may, or of which nothing is known; None else."""
    stands = standing(accuracy)
    if not stands.fault:
        return None
    if stands.basis == "labels":
        reason = (
            f"mAP50-95 {accuracy.map50_95:.3f} is {lost(accuracy):z.3f} below eager's, "
            f"and {accuracy.case.backend} may lose {tolerance(accuracy):.3f}"
        )
    elif stands.basis == "boxes":
        reason = (
            f"box agreement with eager {accuracy.box_agreement:.3f}, and {accuracy.case.backend} needs "
            f"{floor(accuracy):g}; accuracy is unknown: {stands.unknown}"
        )
    else:
        reason = f"accuracy is unknown: {stands.unknown}, and neither it nor eager finds a box"
    return _comparison(accuracy, run, reason, "inconclusive" if stands.basis == "nothing" else "regressed")


def _against(base: Run, head: Run) -> list[Comparison]:
    found = []
    before = {(each.case.id, _ground(each)): each for each in base.accuracy}
    for now in head.accuracy:
        known = before.get((now.case.id, _ground(now)))
        if known is None:
            continue
        loss = _change(known, now)
        if loss is not None and abs(loss) > MAP_MARGIN:
            change = f"mAP50-95 {known.map50_95:.3f} -> {now.map50_95:.3f}, margin {MAP_MARGIN:g}"
            found.append(_comparison(now, head, change, "regressed" if loss > 0 else "improved"))
        elif known.box_agreement - now.box_agreement > AGREEMENT_MARGIN:
            change = (
                f"box agreement with eager {known.box_agreement:.3f} -> {now.box_agreement:.3f}, "
                f"margin {AGREEMENT_MARGIN:g}"
            )
            found.append(_comparison(now, head, change, "regressed"))
        elif loss is None and 0 in (known.compared_boxes, now.compared_boxes):
            found.append(_comparison(now, head, "nothing is labelled and found that could tell", "inconclusive"))
        else:
            by = f"{MAP_MARGIN:g} of mAP50-95 and " if loss is not None else ""
            reason = f"within {by}{AGREEMENT_MARGIN:g} of box agreement"
            found.append(_comparison(now, head, reason, "unchanged"))
    return found + _noisier(base, head, {each.label for each in found})


def _noisier(base: Run, head: Run, judged: set[str]) -> list[Comparison]:
    """What was only timed, by the noise against eager that its parity was found with."""
    if base.data != head.data:
        return []
    before = {measurement.case.id: measurement for measurement in base.measurements}
    found = []
    for now in head.measurements:
        known = before.get(now.case.id)
        if known is None or now.case.label in judged or known.weights.digest != now.weights.digest:
            continue
        if known.parity.images != now.parity.images:
            pictures = f"{known.parity.images} pictures then, {now.parity.images} now"
            reason = f"its agreement with eager is of {pictures}: nothing to compare"
            found.append(_of_measurement(now, reason, "incomparable"))
            continue
        was, is_now = known.parity.sqnr_db, now.parity.sqnr_db
        if was - is_now > SQNR_MARGIN_DB and is_now < SQNR_ROUNDING_DB:
            reason = f"SQNR against eager {was:.1f} -> {is_now:.1f} dB, margin {SQNR_MARGIN_DB:g} dB"
            found.append(_of_measurement(now, reason, "regressed"))
    return found


def _ground(accuracy: Accuracy) -> tuple[object, ...]:
    """What two accuracies have to share to be compared."""
    return (
        accuracy.case.size,
        accuracy.case.image_size,
        accuracy.weights.digest,
        accuracy.data,
        accuracy.pictures,
        accuracy.boxes,
        accuracy.protocol,
    )


def _change(before: Accuracy, now: Accuracy) -> float | None:
    """The mAP50-95 that a case lost since its baseline; None where neither of the two tells anything."""
    return _difference(before.map50_95, now.map50_95) if telling(before) or telling(now) else None


def _difference(before: float | None, now: float | None) -> float | None:
    return None if before is None or now is None else before - now


def _comparison(accuracy: Accuracy, run: Run, reason: str, verdict: Verdict) -> Comparison:
    return Comparison(
        label=accuracy.case.label,
        metric="accuracy",
        verdict=verdict,
        reason=reason,
        nodeid=_nodeid(accuracy, run),
    )


def _of_measurement(measurement: Measurement, reason: str, verdict: Verdict) -> Comparison:
    return Comparison(
        label=measurement.case.label,
        metric="accuracy",
        verdict=verdict,
        reason=reason,
        nodeid=measurement.nodeid,
    )


def _nodeid(accuracy: Accuracy, run: Run) -> str:
    """The test that timed the same case: one case, one place in the report."""
    return next((m.nodeid for m in run.measurements if m.case.id == accuracy.case.id), "")


def missing_accuracy(base: Run, head: Run, asked: Sequence[str]) -> tuple[Comparison, ...]:
    """The baseline's accuracies of the sizes asked for that `head` did not measure although it timed the case."""
    timed = {measurement.case.id for measurement in head.measurements}
    judged = {each.case.id for each in head.accuracy}
    return tuple(
        Comparison(
            label=each.case.label,
            metric="accuracy",
            verdict="missing",
            reason="its accuracy is in the baseline, and not measured now",
            nodeid=_nodeid(each, head),
        )
        for each in base.accuracy
        if each.case.size in asked and each.case.id in timed and each.case.id not in judged
    )
