"""Whether a case became worse at detecting: against what it may lose, and against a baseline. Pure.

Accuracy has no noise to speak of: the same code, weights and pictures give the same boxes but for rounding. So
nothing is measured again, and the margins are small.
"""

from collections.abc import Sequence

from yolo_perf.backends.registry import backends
from yolo_perf.records import Accuracy, Comparison, Measurement, Run
from yolo_perf.verdict.sessions import machine_differences

MAP_MARGIN = 0.005
"""mAP50-95 may differ from the baseline's by so much: sums in another order move boxes at the threshold."""
AGREEMENT_MARGIN = 0.02
SQNR_MARGIN_DB, SQNR_ROUNDING_DB = 3.0, 60.0
"""Half as much noise again in amplitude is a change; beyond 60 dB it is rounding, whatever it is."""


def compare_accuracy(base: Run | None, head: Run) -> tuple[Comparison, ...]:
    """The verdicts on what `head` detects: regressed cases, and those that were compared and are unchanged.

    A case that loses more against eager in the same run than its backend states is regressed whatever the
    baseline says; none is needed for that. What another machine recorded, or other weights or pictures, is not
    compared.
    """
    found = [each for accuracy in head.accuracy if (each := _beyond_tolerance(accuracy, head))]
    if base is not None and not machine_differences(base.machine, head.machine):
        found += _against(base, head)
    return tuple(found)


def lost(accuracy: Accuracy, run: Run) -> float | None:
    """The mAP50-95 that a case loses against eager on the same pictures of the same run; None where unknown."""
    for each in run.accuracy:
        if each.case.backend == "eager" and _ground(each) == _ground(accuracy):
            return _difference(each.map50_95, accuracy.map50_95)
    return None


def tolerance(accuracy: Accuracy) -> float:
    """The mAP50-95 that a case may lose against eager; none for a backend that is no longer known."""
    known = backends().get(accuracy.case.backend)
    return known.max_map_drop if known else 0.0


def exceeds(accuracy: Accuracy, run: Run) -> bool:
    """Whether a case loses more than its backend states."""
    loss = lost(accuracy, run)
    return loss is not None and loss > tolerance(accuracy)


def _beyond_tolerance(accuracy: Accuracy, run: Run) -> Comparison | None:
    if not exceeds(accuracy, run):
        return None
    reason = (
        f"mAP50-95 {accuracy.map50_95:.3f} is {lost(accuracy, run):z.3f} below eager's, "
        f"and {accuracy.case.backend} may lose {tolerance(accuracy):.3f}"
    )
    return _comparison(accuracy, run, reason, regressed=True)


def _against(base: Run, head: Run) -> list[Comparison]:
    found = []
    before = {(each.case.id, _ground(each)): each for each in base.accuracy}
    for now in head.accuracy:
        known = before.get((now.case.id, _ground(now)))
        if known is None:
            continue
        loss = _difference(known.map50_95, now.map50_95)
        if loss is not None and abs(loss) > MAP_MARGIN:
            change = f"mAP50-95 {known.map50_95:.3f} -> {now.map50_95:.3f}, margin {MAP_MARGIN:g}"
            found.append(_comparison(now, head, change, regressed=loss > 0))
        elif known.box_agreement - now.box_agreement > AGREEMENT_MARGIN:
            change = (
                f"box agreement with eager {known.box_agreement:.3f} -> {now.box_agreement:.3f}, "
                f"margin {AGREEMENT_MARGIN:g}"
            )
            found.append(_comparison(now, head, change, regressed=True))
        else:
            found.append(_unchanged(now, head))
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
        was, is_now = known.parity.sqnr_db, now.parity.sqnr_db
        if was - is_now > SQNR_MARGIN_DB and is_now < SQNR_ROUNDING_DB:
            reason = f"SQNR against eager {was:.1f} -> {is_now:.1f} dB, margin {SQNR_MARGIN_DB:g} dB"
            found.append(_of_measurement(now, reason))
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


def _difference(before: float | None, now: float | None) -> float | None:
    return None if before is None or now is None else before - now


def _comparison(accuracy: Accuracy, run: Run, reason: str, *, regressed: bool) -> Comparison:
    return Comparison(
        label=accuracy.case.label,
        metric="accuracy",
        verdict="regressed" if regressed else "improved",
        reason=reason,
        nodeid=_nodeid(accuracy, run),
    )


def _unchanged(accuracy: Accuracy, run: Run) -> Comparison:
    return Comparison(
        label=accuracy.case.label,
        metric="accuracy",
        verdict="unchanged",
        reason=f"within {MAP_MARGIN:g} of mAP50-95 and {AGREEMENT_MARGIN:g} of box agreement",
        nodeid=_nodeid(accuracy, run),
    )


def _of_measurement(measurement: Measurement, reason: str) -> Comparison:
    return Comparison(
        label=measurement.case.label,
        metric="accuracy",
        verdict="regressed",
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
