"""A picture as the network wants it: scaled to fit, padded with grey, RGB, planar, 0..1."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STRIDE = 32
"""The network halves its input five times."""
PADDING = 114
"""Grey level of the border, YOLOv5's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letterbox:
    """Where a picture lies in its letterbox: input pixel = picture pixel x scale + (left, top)."""

    scale_x: float
    scale_y: float
    left: int
    top: int
    height: int  # of the picture itself
    width: int


def letterbox(image: NDArray[np.uint8], size: int | tuple[int, int]) -> tuple[NDArray[np.float32], Letterbox]:
    """A (height, width, 3) BGR picture as a contiguous (3, H, W) RGB array in 0..1, and its geometry.

    `size` is a side in pixels or (H, W). The longer relation decides the scale, pictures are enlarged too,
    interpolation is linear, and the border is split evenly, an odd pixel going to the right and the bottom.
    """
    import cv2

    height, width = image.shape[:2]
    target = (size, size) if isinstance(size, int) else size
    scale = min(target[0] / height, target[1] / width)
    # A sliver of a picture still has a pixel.
    inner = max(1, round(height * scale)), max(1, round(width * scale))
    return _place(image, inner, target, cv2.INTER_LINEAR)


def rectangular(image: NDArray[np.uint8], size: int) -> tuple[NDArray[np.float32], Letterbox]:
    """A picture in the smallest rectangle that YOLOv5's validation gives it, and its geometry, as `letterbox`.

    The longer side becomes `size`, by area where that shrinks it; each side is then padded to the multiple of 32
    that is next to it and half a stride more. One picture a batch: a batch would share its widest rectangle.
    """
    import cv2

    height, width = image.shape[:2]
    scale = size / max(height, width)
    inner = math.ceil(height * scale), math.ceil(width * scale)
    target = tuple(STRIDE * math.ceil(side * scale / STRIDE + 0.5) for side in (height, width))
    return _place(image, inner, (target[0], target[1]), cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def _place(
    image: NDArray[np.uint8], inner: tuple[int, int], target: tuple[int, int], interpolation: int
) -> tuple[NDArray[np.float32], Letterbox]:
    """The picture resized to `inner`, in the middle of `target`; both are (height, width)."""
    import cv2

    height, width = image.shape[:2]
    (inner_height, inner_width), (target_height, target_width) = inner, target
    if inner != (height, width):
        image = cv2.resize(image, (inner_width, inner_height), interpolation=interpolation)
    top, left = (target_height - inner_height) // 2, (target_width - inner_width) // 2
    rows, columns = slice(top, top + inner_height), slice(left, left + inner_width)
    # Border and picture are each written once: the result is larger than most caches, so every further pass
    # over it costs as much. Split first: numpy then reads contiguous planes, twice as fast as blobFromImage.
    planes = np.empty((3, target_height, target_width), np.float32)
    grey = np.float32(PADDING / 255)
    planes[:, : rows.start] = planes[:, rows.stop :] = grey
    planes[:, rows, : columns.start] = planes[:, rows, columns.stop :] = grey
    for plane, channel in zip(planes[::-1, rows, columns], cv2.split(image), strict=True):
        np.multiply(channel, np.float32(1 / 255), out=plane)
    geometry = Letterbox(
        scale_x=inner_width / width,
        scale_y=inner_height / height,
        left=left,
        top=top,
        height=height,
        width=width,
    )
    return planes, geometry


def stack(images: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """(3, H, W) arrays of one shape as one contiguous (N, 3, H, W)."""
    return np.stack(images)
