"""The five published sizes. Free of torch, so that option parsing can list them at no cost."""

from dataclasses import dataclass

from yolo_perf.errors import UsageError

STRIDES = (8, 16, 32)
"""Pixels of the input between two cells of each level of the head."""
MAX_STRIDE = STRIDES[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Multipliers of a size: `depth` of the repeats in a C3 block, `width` of the channels."""

    depth: float
    width: float


SIZES: dict[str, Scale] = {
    "n": Scale(depth=0.33, width=0.25),
    "s": Scale(depth=0.33, width=0.50),
    "m": Scale(depth=0.67, width=0.75),
    "l": Scale(depth=1.0, width=1.0),
    "x": Scale(depth=1.33, width=1.25),
}


def check_size(size: str) -> str:
    """The size itself where it is a published one; else UsageError."""
    if size not in SIZES:
        raise UsageError(f"Unknown model size {size!r}. Choose from: {', '.join(SIZES)}.")
    return size


def check_image_size(image_size: int) -> int:
    """The size itself where it is a positive multiple of 32; else UsageError."""
    if image_size <= 0 or image_size % MAX_STRIDE:
        nearest = max(MAX_STRIDE, round(image_size / MAX_STRIDE) * MAX_STRIDE)
        raise UsageError(f"Image size {image_size} is not a positive multiple of {MAX_STRIDE}; try {nearest}.")
    return image_size
