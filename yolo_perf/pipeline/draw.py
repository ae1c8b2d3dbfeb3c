"""Detections drawn onto their picture."""

import colorsys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from yolo_perf.pipeline.boxes import Detections


def draw(image: NDArray[np.uint8], detections: Detections, names: Sequence[str]) -> NDArray[np.uint8]:
    """A copy of a (height, width, 3) BGR picture with boxes, class names and scores on it.

    Lines and text grow with the picture. A class that `names` lacks is labelled "class 83".
    """
    canvas = image.copy()
    line = max(1, round(max(image.shape[:2]) / 400))
    # The best box comes first and is drawn last, so that its label is the one left readable.
    for box, score, label in zip(
        detections.boxes[::-1], detections.scores[::-1], detections.classes[::-1], strict=True
    ):
        name = names[label] if 0 <= label < len(names) else f"class {label}"
        left, top, right, bottom = (round(float(edge)) for edge in box)
        _draw_box(canvas, (left, top, right, bottom), f"{name} {score:.2f}", class_colour(int(label)), line)
    return canvas


def class_colour(label: int) -> tuple[int, int, int]:
    """BGR colour of a class, the same in every picture; neighbouring classes lie far apart in hue."""
    hue = label * 0.618033988749895 % 1  # the golden ratio spreads any number of hues evenly
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.85, 0.95 - 0.2 * (label % 2))
    return round(blue * 255), round(green * 255), round(red * 255)


def _draw_box(
    canvas: NDArray[np.uint8],
    box: tuple[int, int, int, int],
    text: str,
    colour: tuple[int, int, int],
    line: int,
) -> None:
    import cv2

    height, width = canvas.shape[:2]
    left, top, right, bottom = box
    cv2.rectangle(canvas, (left, top), (right, bottom), colour, line, cv2.LINE_AA)
    scale, weight = 0.25 + line * 0.15, max(1, line - 1)
    (text_width, text_height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, weight)
    label_width, label_height = text_width + 4, text_height + below + 4
    # Above the box where there is room, else inside its upper edge; never beyond the right edge.
    x = max(0, min(left, width - label_width))
    y = top - label_height if top >= label_height else min(top, max(0, height - label_height))
    cv2.rectangle(canvas, (x, y), (x + label_width, y + label_height), colour, cv2.FILLED)
    blue, green, red = colour
    ink = (0, 0, 0) if 0.114 * blue + 0.587 * green + 0.299 * red > 140 else (255, 255, 255)
    at = (x + 2, y + 2 + text_height)
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, weight, cv2.LINE_AA)
