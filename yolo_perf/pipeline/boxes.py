"""Model output to detections: confidence threshold, non-maximum suppression, back to the picture.

Boxes are corners (left, top, right, bottom) unless said otherwise.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yolo_perf.pipeline.letterbox import Letterbox

MAX_CANDIDATES = 30_000
"""At most this many boxes, the best ones, enter non-maximum suppression."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Detections:
    """What was found in one picture, best first: `boxes` (n, 4) in its pixels, `scores` and `classes` (n,)."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.scores)


def postprocess(
    output: NDArray[np.float32],
    geometry: Letterbox,
    *,
    confidence: float = 0.25,
    iou: float = 0.45,
    max_detections: int = 300,
    multi_label: bool = False,
) -> Detections:
    """Detections in one image's raw output of (rows, 5 + classes), best first.

    A row is (centre x, centre y, width, height, objectness, class scores...), in pixels of the model's
    input, sigmoids applied; a box's score is objectness x class score. Only scores above `confidence`
    count: a row's best class, or with `multi_label` each of its classes. Of two overlapping boxes of a
    class, see `suppress`, the better one stays. A row with a number that is not finite, or with a width
    or height of zero or less, is never a detection; nor is a box that lies in the padding alone.
    Raises ValueError where the output has another shape.
    """
    if output.ndim != 2 or output.shape[1] < 6:
        raise ValueError(f"need an output of (rows, 5 + classes), got {output.shape}")
    boxes, scores, classes = _candidates(output, confidence, multi_label)
    kept = suppress(boxes, scores, classes, iou=iou, limit=max_detections)
    boxes = geometry.to_source(boxes[kept])
    visible = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    kept = kept[visible]
    return Detections(boxes=boxes[visible], scores=scores[kept], classes=classes[kept])


def suppress(
    boxes: NDArray[np.floating],
    scores: NDArray[np.floating],
    classes: NDArray[np.integer],
    *,
    iou: float,
    limit: int,
) -> NDArray[np.intp]:
    """Indices of the boxes that greedy non-maximum suppression keeps, best first, at most `limit`.

    The best box is kept, every box of its class whose IoU with it is above `iou` is dropped, and so on;
    of equal scores the earlier box goes first.
    """
    # Not OpenCV's: NMSBoxes compares every box with every kept one (3.6 s for 30,000 boxes, where this
    # stops at `limit`), takes all boxes of no area for one, and its batched form tells classes apart by
    # an offset that fails left of and above the origin.
    remaining = np.argsort(-scores, kind="stable")
    # In float64 the differences and products below are exact, so the threshold is too.
    corners = boxes[remaining].T.astype(np.float64)
    labels = classes[remaining]
    areas = (corners[2] - corners[0]) * (corners[3] - corners[1])
    kept = []
    while remaining.size and len(kept) < limit:
        kept.append(remaining[0])
        overlap = np.minimum(corners[2:], corners[2:, :1]) - np.maximum(corners[:2], corners[:2, :1])
        np.maximum(overlap, 0, out=overlap)
        shared = overlap[0] * overlap[1]
        stays = shared <= iou * (areas + areas[0] - shared)
        stays |= labels != labels[0]
        stays[0] = False
        remaining, corners = remaining[stays], corners[:, stays]
        labels, areas = labels[stays], areas[stays]
    return np.array(kept, np.intp)


def iou_matrix(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    """Intersection over union (n, m) of boxes (n, 4) and (m, 4); 0 where both have no area."""
    first, second = np.asarray(a, np.float64)[:, None], np.asarray(b, np.float64)[None]
    overlap = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    shared = np.prod(np.maximum(overlap, 0), axis=-1)
    union = np.prod(first[..., 2:] - first[..., :2], axis=-1) - shared
    union = union + np.prod(second[..., 2:] - second[..., :2], axis=-1)
    result: NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return result


def agreement(a: Detections, b: Detections, iou: float = 0.5) -> float:
    """Share of the detections of either side that the other has too: 2 x matched / (len(a) + len(b)).

    From the best score down, each box of `a` takes the free box of `b` of its class that overlaps it
    most, by at least `iou`. 1.0 where both are empty: there, boxes say nothing about the outputs.
    """
    if len(a) + len(b) == 0:
        return 1.0
    overlaps = iou_matrix(a.boxes, b.boxes)
    overlaps[a.classes[:, None] != b.classes[None]] = -1
    matched = 0
    for row in np.argsort(-a.scores, kind="stable") if len(b) else ():
        best = int(overlaps[row].argmax())
        if overlaps[row, best] >= iou:
            matched += 1
            overlaps[:, best] = -1
    return 2 * matched / (len(a) + len(b))


def _candidates(
    output: NDArray[np.float32], confidence: float, multi_label: bool
) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.int64]]:
    """Boxes (n, 4), scores and classes (n,) that pass the threshold, best MAX_CANDIDATES if there are more."""
    # A class score is at most 1, so objectness alone rules out nearly every row, and the rest is cheap.
    rows = output[np.flatnonzero(output[:, 4] > confidence)]
    rows = rows[np.isfinite(rows).all(axis=1) & (rows[:, 2:4] > 0).all(axis=1)]
    scores = rows[:, 5:] * rows[:, 4:5]
    if multi_label:
        row, classes = np.nonzero(scores > confidence)
    else:
        classes = scores.argmax(axis=1)
        row = np.flatnonzero(scores[np.arange(len(scores)), classes] > confidence)
        classes = classes[row]
    best = scores[row, classes]
    if len(best) > MAX_CANDIDATES:
        order = np.argsort(-best, kind="stable")[:MAX_CANDIDATES]
        row, classes, best = row[order], classes[order], best[order]
    centres_sizes = rows[row, :4].astype(np.float64)
    centres, halves = centres_sizes[:, :2], centres_sizes[:, 2:] / 2
    return np.concatenate([centres - halves, centres + halves], axis=1), best, classes.astype(np.int64)
