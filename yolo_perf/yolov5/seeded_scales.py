"""Fitted constants of the seeded initialisation. Made by `tools/fit_seeded.py`; not to be edited."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Objectness:
    """One level of the head: what brings its features to unit logits, then objectness' gain and bias."""

    feature_gain: float
    gain: float
    bias: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scales:
    """Exponents of 2^(1/4), one a convolution in the order of `named_modules`, and the head's three levels."""

    convolutions: tuple[int, ...]
    objectness: tuple[Objectness, ...]


SCALES: dict[str, Scales] = {
    "n": Scales(convolutions=(10, 2, 3, 2, 2, 4, 12, 2, 3, 3, -1, 3, 6, 0, 5, 2, 3, 2, -2, 1, 5, -1, 5, -3, 6, 3, 2, 1, 0, 2, 5, 2, -4, 3, 2, 2, 2, 1, 9, 2, 2, 2, 4, 1, 7, 3, 1, 1, 4, 2, 6, 2, 2, 2, 4, 2, 7), objectness=(Objectness(0.37, 7.523, -7.592), Objectness(0.618, 2.589, -9.203), Objectness(0.5, 3.962, -14.618),)),
    "s": Scales(convolutions=(11, 3, 2, 2, 0, 0, 12, 2, 3, 3, -1, 1, 7, -1, 6, 2, 2, 3, -2, 2, 6, -1, 5, -2, 5, 2, 3, 3, 0, 2, 6, 2, -3, 3, 3, 2, 2, 2, 7, 2, 2, 2, 4, 2, 7, 2, 2, 2, 4, 2, 6, 3, 3, 2, 4, 2, 6), objectness=(Objectness(0.323, 8.052, -7.707), Objectness(0.592, 2.214, -12.033), Objectness(0.51, 6.385, -9.013),)),
    "m": Scales(convolutions=(11, 3, 2, 0, 0, 2, 12, 0, 7, 2, 2, 2, -3, 2, 6, -1, 6, -3, 6, -4, 6, 2, 2, 2, -5, 2, 6, -1, 5, -2, 5, -4, 6, -5, 6, -5, 6, 3, 2, 2, -1, 1, 6, -1, 6, 2, -3, 2, 2, 2, 2, 2, 8, 3, 4, 3, 2, 1, 4, 1, 7, 2, 4, 3, 2, 2, 4, 2, 6, 2, 4, 3, 2, 2, 4, 1, 7, 2, 4), objectness=(Objectness(0.605, 1.783, -11.366), Objectness(0.65, 2.304, -11.166), Objectness(0.666, 5.073, -10.645),)),
    "l": Scales(convolutions=(10, 2, 3, 3, -2, 2, 12, 0, 7, -3, 6, 2, 2, 1, -4, 2, 6, -1, 6, -2, 5, -4, 6, -5, 6, -6, 7, 2, 2, 2, -6, 1, 7, -1, 6, -3, 6, -4, 6, -5, 6, -6, 7, -6, 6, -7, 6, -8, 7, 2, 2, 2, -2, 2, 6, 0, 5, -2, 5, 2, -2, 2, 2, 2, 2, 2, 8, 2, 5, 2, 4, 3, 2, 2, 4, 2, 7, 2, 4, 2, 4, 2, 2, 2, 4, 2, 5, 3, 4, 2, 4, 2, 2, 2, 4, 2, 7, 2, 4, 2, 4), objectness=(Objectness(0.496, 3.373, -7.857), Objectness(0.652, 2.266, -10.51), Objectness(0.543, 4.242, -15.348),)),
    "x": Scales(convolutions=(10, 2, 3, 3, -3, 2, 13, 0, 6, -2, 5, -4, 7, 2, 3, 3, -5, 1, 6, -1, 6, -3, 6, -4, 6, -5, 6, -6, 6, -6, 6, -7, 6, 2, 2, 2, -7, 2, 6, -1, 6, -2, 5, -4, 6, -5, 6, -5, 6, -6, 6, -7, 6, -7, 6, -8, 6, -9, 7, -9, 7, 2, 2, 2, -3, 2, 6, -1, 6, -2, 5, -3, 5, 2, -2, 2, 2, 2, 2, 2, 8, 3, 4, 2, 4, 2, 5, 2, 2, 2, 4, 3, 6, 2, 4, 3, 4, 2, 4, 2, 2, 3, 4, 2, 6, 2, 4, 2, 4, 2, 4, 3, 2, 2, 4, 2, 6, 2, 5, 2, 4, 2, 4), objectness=(Objectness(0.554, 1.923, -12.757), Objectness(0.597, 3.399, -7.972), Objectness(0.59, 3.825, -13.229),)),
}
