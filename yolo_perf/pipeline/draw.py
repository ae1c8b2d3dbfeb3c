"""Detections drawn on a picture."""

import colorsys

import numpy as np
from numpy.typing import NDArray

from yolo_perf.pipeline.boxes import Detections


def draw(image: NDArray[np.uint8], found: Detections, names: tuple[str, ...] = ()) -> NDArray[np.uint8]:
    """A copy of a (height, width, 3) BGR picture with boxes, class names and confidences.

    A class without a name is shown by its number. The likeliest box is drawn last, on top.
    """
    import cv2

    canvas = image.copy()
    line = max(1, round(sum(image.shape[:2]) / 640))
    scale = line / 3.5
    for box, score, label in reversed(list(zip(found.boxes, found.scores, found.classes, strict=True))):
        x1, y1, x2, y2 = (round(float(side)) for side in box)
        color, ink = _colors(int(label))
        cv2.rectangle(canvas, (x1, y1), (x2, y2), color, line, cv2.LINE_AA)
        name = names[label] if label < len(names) else str(label)
        text = f"{name} {score:.2f}"
        (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, line)
        # Above the box where there is room, else inside; never past the right border.
        top = y1 - height - below if y1 - height - below >= 0 else y1
        left = max(0, min(x1, image.shape[1] - width))
        cv2.rectangle(canvas, (left, top), (left + width, top + height + below), color, cv2.FILLED)
        cv2.putText(canvas, text, (left, top + height), cv2.FONT_HERSHEY_SIMPLEX, scale, ink, line, cv2.LINE_AA)
    return canvas


def _colors(label: int) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """A class's own BGR colour, steps of the golden angle apart, and an ink that reads on it."""
    red, green, blue = colorsys.hsv_to_rgb(label * 0.381966 % 1, 0.85, 0.95)
    ink = (0, 0, 0) if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else (255, 255, 255)
    return (round(255 * blue), round(255 * green), round(255 * red)), ink
