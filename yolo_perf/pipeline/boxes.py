"""From the network's rows to boxes in picture pixels: confidence, class-aware suppression, geometry."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo_perf.pipeline.letterbox import Letterbox

CONFIDENCE, IOU = 0.25, 0.45
"""YOLOv5's defaults for detection."""
MAX_DETECTIONS = 300
MAX_CANDIDATES = 30_000
"""Boxes that enter suppression, the likeliest ones: it takes time quadratic in a class's boxes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections:
    """What was found on one picture, the likeliest first."""

    boxes: NDArray[np.float32]  # (n, 4): x1, y1, x2, y2 in pixels of the picture, inside of it
    scores: NDArray[np.float32]  # (n,): objectness x class score
    classes: NDArray[np.int64]  # (n,)


def postprocess(
    rows: NDArray[np.float32],
    geometry: Letterbox,
    *,
    confidence: float = CONFIDENCE,
    iou: float = IOU,
    max_detections: int = MAX_DETECTIONS,
    multi_label: bool = False,
) -> Detections:
    """Detections of one picture from the network's (rows, 5 + classes) output.

    A row is (centre x, centre y, width, height, objectness, class scores...), in letterbox pixels. A box's
    score is objectness x class score and has to exceed `confidence`; of boxes of one class that overlap by
    more than `iou` the likelier stays. With `multi_label` every class of a box is a candidate, as accuracy
    protocols want it, else the likeliest one. Rows with a NaN or an infinity in them, or
    without an area, are passed over. Raises ValueError for an output of another shape.
    """
    if rows.ndim != 2 or rows.shape[1] < 6:
        raise ValueError(f"need an output of (rows, 5 + classes), got {rows.shape}")
    boxes, scores, classes = _candidates(rows, confidence, multi_label)
    if len(scores) > MAX_CANDIDATES:
        best = np.argsort(-scores, kind="stable")[:MAX_CANDIDATES]
        boxes, scores, classes = boxes[best], scores[best], classes[best]
    kept = _suppress(boxes, scores, classes, iou)
    inside = _to_picture(boxes[kept], geometry)
    visible = np.flatnonzero(_areas(inside) > 0)[:max_detections]  # a box may lie in the letterbox's border
    kept = kept[visible]
    return Detections(boxes=inside[visible], scores=scores[kept], classes=classes[kept])


def iou_matrix(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of (n, 4) and (m, 4) boxes as (n, m); 0 where both are empty."""
    top_left = np.maximum(a[:, None, :2], b[None, :, :2])
    bottom_right = np.minimum(a[:, None, 2:], b[None, :, 2:])
    overlap = np.clip(bottom_right - top_left, 0, None).prod(2)
    union = _areas(a)[:, None] + _areas(b)[None, :] - overlap
    result: NDArray[np.float32] = np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)
    return result


def _candidates(
    rows: NDArray[np.float32], confidence: float, multi_label: bool
) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.int64]]:
    """Boxes (n, 4) in letterbox pixels, their scores and classes, above the confidence."""
    # Objectness alone is an upper bound of the score, and rejects nearly all rows at the price of one column.
    rows = rows[rows[:, 4] > confidence]
    # A box of negative size would suppress true ones; numbers that no sigmoid gives must not end in a warning.
    rows = rows[np.isfinite(rows).all(1) & (rows[:, 2:4] > 0).all(1)]
    with np.errstate(over="ignore"):
        scores: NDArray[np.float32] = rows[:, 5:] * rows[:, 4:5]
    if multi_label:
        index, classes = np.nonzero(scores > confidence)
    else:
        classes = scores.argmax(1)
        index = np.flatnonzero(scores[np.arange(len(rows)), classes] > confidence)
        classes = classes[index]
    centre, half = rows[index, :2].astype(np.float64), rows[index, 2:4].astype(np.float64) / 2
    boxes = np.concatenate((centre - half, centre + half), 1)
    return boxes, scores[index, classes], classes.astype(np.int64)


def _suppress(
    boxes: NDArray[np.float64], scores: NDArray[np.float32], classes: NDArray[np.int64], iou: float
) -> NDArray[np.int64]:
    """Indices that greedy suppression keeps within each class, by descending score."""
    import cv2

    # Arrays are taken as they are; OpenCV's own annotations know of sequences alone.
    suppress: Any = cv2.dnn.NMSBoxes
    corners = np.concatenate((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), 1)
    kept: list[NDArray[np.int64]] = []
    for label in np.unique(classes):
        members = np.flatnonzero(classes == label)
        chosen = suppress(corners[members], scores[members], 0.0, iou)
        kept.append(members[np.asarray(chosen, np.int64).ravel()])
    if not kept:
        return np.zeros(0, np.int64)
    every = np.concatenate(kept)
    order: NDArray[np.int64] = every[np.argsort(-scores[every], kind="stable")]
    return order


def _to_picture(boxes: NDArray[np.float64], geometry: Letterbox) -> NDArray[np.float32]:
    """Boxes out of the letterbox, clipped to the picture."""
    offset = (geometry.left, geometry.top) * 2
    scale = (geometry.scale_x, geometry.scale_y) * 2
    limit = (geometry.width, geometry.height) * 2
    return np.clip((boxes - offset) / scale, 0, limit).astype(np.float32)


def _areas(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    areas: NDArray[np.float32] = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(1)
    return areas
