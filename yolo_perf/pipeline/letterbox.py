"""Pictures to model input: resized with their proportions kept, padded, as RGB planes of 0..1.

OpenCV's thread count is left alone here. It is one number for the whole process, and for pictures of this
size a second thread gains nothing that can be measured; a benchmark sets it once, beside the model's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PADDING = 114
"""Grey level of the padding, as YOLOv5 was trained with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letterbox:
    """Where a picture lies in the model's input: input pixel = picture pixel x scale + padding."""

    scale: float
    pad_left: int
    pad_top: int
    source_height: int
    source_width: int

    def to_source(self, boxes: NDArray[np.floating]) -> NDArray[np.float32]:
        """Corner boxes (n, 4) of the model's input in pixels of the picture, clipped to its edges."""
        pads = (self.pad_left, self.pad_top) * 2
        edges = (self.source_width, self.source_height) * 2
        mapped = (np.asarray(boxes, np.float64) - pads) / self.scale
        return np.clip(mapped, 0, edges).astype(np.float32)


def letterbox(
    image: NDArray[np.uint8], size: int, shape: tuple[int, int] | None = None
) -> tuple[NDArray[np.float32], Letterbox]:
    """Model input (3, height, width) of a (height, width, 3) BGR picture, RGB in 0..1, and its geometry.

    The picture's longer side becomes `size` pixels, up or down, by linear interpolation; it lies centred
    in a square of `size`, or in `shape` (height, width), shrunk further where that is smaller. An odd
    pixel of padding goes right and below. Raises ValueError for anything but a BGR picture of 8 bits.
    """
    import cv2

    height, width = shape or (size, size)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise ValueError(f"need a (height, width, 3) uint8 picture, got {image.shape} {image.dtype}")
    if min(size, height, width) < 1:
        raise ValueError(f"size and shape must be positive, got {size} and {shape}")
    source_height, source_width = image.shape[:2]
    scale = min(min(size, height) / source_height, min(size, width) / source_width)
    inner_height = max(1, round(source_height * scale))
    inner_width = max(1, round(source_width * scale))
    if (inner_height, inner_width) != (source_height, source_width):
        image = cv2.resize(image, (inner_width, inner_height), interpolation=cv2.INTER_LINEAR)

    top, left = (height - inner_height) // 2, (width - inner_width) // 2
    rows, columns = slice(top, top + inner_height), slice(left, left + inner_width)
    # Padding and picture are each written once, straight into the result: it is larger than most caches,
    # and every further pass over it (a padded copy, a transposition, a division in place) costs as much.
    tensor = np.empty((3, height, width), np.float32)
    grey = np.float32(PADDING / 255)
    tensor[:, : rows.start] = grey
    tensor[:, rows.stop :] = grey
    tensor[:, rows, : columns.start] = grey
    tensor[:, rows, columns.stop :] = grey
    for channel, plane in enumerate(reversed(cv2.split(image))):
        np.divide(plane, np.float32(255), out=tensor[channel, rows, columns])
    geometry = Letterbox(
        scale=scale, pad_left=left, pad_top=top, source_height=source_height, source_width=source_width
    )
    return tensor, geometry


def rectangle(
    source_height: int, source_width: int, size: int, *, stride: int = 32, margin: float = 0.5
) -> tuple[int, int]:
    """(height, width) of the least padded input for one picture, for `letterbox(..., shape=...)`.

    The longer side is `size` pixels; either side is rounded up to whole strides after `margin` strides
    are added. The margin of 0.5 is that of YOLOv5's published accuracy figures.
    """
    scale = size / max(source_height, source_width)
    height, width = (math.ceil(side * scale / stride + margin) * stride for side in (source_height, source_width))
    return height, width


def stack(images: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """A batch (N, 3, height, width) of inputs of one shape. One image is a view, not a copy.

    Raises ValueError where there is none, or where their shapes differ.
    """
    if len({image.shape for image in images}) != 1:
        raise ValueError(f"need images of one shape, got {sorted({image.shape for image in images})}")
    return images[0][None] if len(images) == 1 else np.stack(images)
