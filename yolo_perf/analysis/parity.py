"""Whether a backend computes what eager computes. A faster wrong model must not be timed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from yolo_perf.backends.registry import Backend
from yolo_perf.errors import ParityError
from yolo_perf.pipeline.boxes import Detections, iou_matrix, postprocess
from yolo_perf.records import Case, Parity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from yolo_perf.pipeline.letterbox import Letterbox

MAX_SQNR_DB = 200.0
"""Given where two outputs are equal, or so close that the figure says nothing more."""
SIZES, CLASSES = slice(2, 4), slice(5, None)
"""Columns of a row: width and height; class scores."""
ANCHORS = 9
"""Of the three levels together."""
CONFIDENCE, NEAR_CONFIDENCE, IOU = 0.25, 0.05, 0.5


def parity(
    reference: "NDArray[np.float32]", output: "NDArray[np.float32]", geometries: "Sequence[Letterbox]"
) -> Parity:
    """Agreement of two raw outputs, (N, rows, 5 + classes) each, over the same N images.

    Raises ParityError where their shapes differ.
    """
    if reference.shape != output.shape:
        raise ParityError(f"Output has shape {output.shape}, eager's has {reference.shape}.")
    return Parity(
        sqnr_db=worst_sqnr_db(reference, output),
        box_agreement=box_agreement(reference, output, geometries),
        images=len(geometries),
    )


def worst_sqnr_db(reference: "NDArray[np.float32]", output: "NDArray[np.float32]") -> float:
    """The SQNR in dB of box sizes or of class scores of (..., 5 + classes) outputs, whichever is worse.

    Each by itself: together, hundreds of pixels would drown scores below 1. Box centres are left out, as a cell's
    place is most of them whatever the network says; they and the objectness are judged by the boxes that come of
    them.
    """
    return min(sqnr_db(reference[..., columns], output[..., columns]) for columns in (SIZES, CLASSES))


def sqnr_db(reference: "NDArray[np.float32]", output: "NDArray[np.float32]") -> float:
    """Signal to quantisation noise, 10 log10(sum r^2 / sum (r - o)^2) in dB, within +-MAX_SQNR_DB."""
    signal = float(np.square(reference, dtype=np.float64).sum())
    noise = float(np.square(reference.astype(np.float64) - output).sum())
    if not np.isfinite(noise) or signal == 0:
        return -MAX_SQNR_DB
    if noise == 0:
        return MAX_SQNR_DB
    return float(np.clip(10 * np.log10(signal / noise), -MAX_SQNR_DB, MAX_SQNR_DB))


def box_agreement(
    reference: "NDArray[np.float32]", output: "NDArray[np.float32]", geometries: "Sequence[Letterbox]"
) -> float:
    """Share of the boxes above 0.25 on either side that the other side has too; 1 where there are none.

    The other side may have it at 0.05: a box at 0.251 against 0.249 is no disagreement.
    """
    seen = [
        [see(rows, geometry) for rows, geometry in zip(o, geometries, strict=True)] for o in (reference, output)
    ]
    return agreement(*seen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is found on one picture: surely, and nearly."""

    sure: Detections
    near: Detections


def see(rows: "NDArray[np.float32]", geometry: "Letterbox") -> Seen:
    """What one picture's (rows, 5 + classes) output says."""
    return Seen(
        sure=postprocess(rows, geometry, confidence=CONFIDENCE),
        near=postprocess(rows, geometry, confidence=NEAR_CONFIDENCE),
    )


def agreement(expected: Sequence[Seen], actual: Sequence[Seen]) -> float:
    """The box agreement of two engines over the same pictures, 0 to 1; see `box_agreement`."""
    pairs = list(zip(expected, actual, strict=True))
    found = sum(_found(a.sure, b.near) + _found(b.sure, a.near) for a, b in pairs)
    total = sum(len(a.sure.scores) + len(b.sure.scores) for a, b in pairs)
    return found / total if total else 1.0


def require(parity: Parity, backend: Backend, case: Case) -> None:
    """Raise ParityError where the agreement is below what the backend states, whatever the weights."""
    if parity.sqnr_db < backend.min_sqnr_db or parity.box_agreement < backend.min_box_agreement:
        raise ParityError(
            f"{case.label} does not agree with eager, so it is not timed: SQNR {parity.sqnr_db:.1f} dB "
            f"(at least {backend.min_sqnr_db:g}), box agreement {parity.box_agreement:.3f} "
            f"(at least {backend.min_box_agreement:g}) over {parity.images} images."
        )


def require_reference(output: "NDArray[np.float32]", label: str) -> None:
    """Raise ParityError where a (N, rows, 5 + classes) output is none that another could be compared with.

    NaN equals nothing, and an output that says the same in every place is matched by any other that is as blind.
    Each anchor has its size and its biases, so such an output has one sort of row an anchor, but for its centre.
    """
    finite = bool(np.isfinite(output).all())
    blind = (
        finite
        and output.shape[1] > ANCHORS
        and max(len(np.unique(rows[:, 2:].sum(1))) for rows in output) <= ANCHORS
    )
    if finite and not blind:
        return
    what = "says the same in every place of a picture" if blind else "is not finite (NaN or infinity)"
    raise ParityError(
        f"The output of {label} itself {what}, so nothing can be compared with it. Check the weights: is the "
        "checkpoint damaged, or of a training that diverged?"
    )


def _found(sure: Detections, near: Detections) -> int:
    """How many of `sure` have a box of the same class in `near` that overlaps by IoU >= 0.5."""
    if not len(sure.scores) or not len(near.scores):
        return 0
    overlap = iou_matrix(sure.boxes, near.boxes) >= IOU
    return int((overlap & (sure.classes[:, None] == near.classes[None, :])).any(1).sum())
