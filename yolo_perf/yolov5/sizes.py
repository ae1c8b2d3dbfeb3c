"""The five published sizes. Free of torch, so that option parsing can list them at no cost."""

from dataclasses import dataclass


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
