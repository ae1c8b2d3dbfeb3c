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
    "n": Scales(convolutions=(10, 2, 4, 3, 1, 3, 12, 2, 3, 4, -1, 4, 5, 0, 5, 2, 3, 2, -2, 1, 6, -2, 6, -3, 6, 3, 1, 1, 0, 2, 6, 2, -3, 2, 2, 2, 3, 2, 8, 1, 2, 2, 4, 1, 7, 3, 2, 1, 4, 1, 6, 2, 3, 3, 4, 2, 6), objectness=(Objectness(0.423, -1.727, -12.864), Objectness(0.67, -2.215, -10.659), Objectness(0.568, 4.102, -15.255),)),
    "s": Scales(convolutions=(11, 3, 2, 2, 0, 0, 12, 2, 3, 3, -1, 1, 7, -1, 6, 2, 2, 2, -2, 1, 7, -1, 5, -2, 5, 2, 3, 3, 0, 2, 6, 2, -3, 3, 2, 2, 2, 2, 8, 2, 2, 2, 5, 2, 6, 2, 2, 2, 4, 2, 6, 2, 3, 3, 5, 3, 5), objectness=(Objectness(0.35, -1.858, -12.95), Objectness(0.626, 2.614, -13.036), Objectness(0.512, -4.271, -14.054),)),
    "m": Scales(convolutions=(11, 3, 2, 1, 0, 3, 11, -1, 7, 1, 3, 3, -3, 2, 6, -1, 6, -3, 6, -4, 6, 2, 2, 2, -4, 2, 6, -1, 5, -2, 5, -3, 5, -4, 5, -5, 6, 2, 2, 2, -1, 2, 6, -1, 6, 2, -3, 2, 2, 2, 2, 2, 8, 2, 4, 3, 2, 2, 4, 1, 7, 2, 4, 3, 2, 2, 4, 3, 5, 2, 4, 3, 2, 2, 4, 2, 6, 2, 4), objectness=(Objectness(0.661, 2.007, -11.623), Objectness(0.717, 2.729, -11.787), Objectness(0.723, -4.034, -11.682),)),
    "l": Scales(convolutions=(11, 2, 2, 2, -2, 2, 11, 0, 7, -2, 5, 2, 2, 1, -5, 2, 7, -1, 6, -3, 6, -4, 6, -5, 6, -6, 6, 3, 2, 2, -6, 2, 6, -1, 6, -3, 6, -4, 6, -5, 6, -5, 6, -6, 6, -7, 7, -7, 6, 2, 3, 3, -2, 2, 6, -1, 6, -3, 6, 2, -3, 2, 3, 3, 2, 1, 9, 2, 4, 2, 4, 3, 2, 2, 4, 2, 7, 2, 4, 2, 4, 2, 2, 2, 4, 2, 6, 2, 4, 2, 4, 2, 2, 2, 4, 3, 6, 2, 4, 2, 4), objectness=(Objectness(0.562, -2.255, -14.386), Objectness(0.675, 2.831, -11.833), Objectness(0.591, 4.362, -16.216),)),
    "x": Scales(convolutions=(10, 3, 2, 2, -3, 2, 12, 0, 6, -2, 6, -4, 7, 2, 3, 3, -5, 1, 6, -1, 6, -2, 5, -4, 6, -4, 5, -6, 7, -6, 6, -7, 7, 2, 2, 2, -7, 2, 6, 0, 5, -2, 5, -3, 5, -4, 6, -5, 6, -6, 6, -7, 7, -7, 6, -8, 7, -8, 7, -9, 7, 2, 2, 2, -3, 2, 7, -1, 6, -2, 5, -4, 6, 2, -2, 2, 2, 2, 2, 2, 8, 3, 4, 2, 4, 2, 4, 3, 2, 2, 4, 2, 7, 2, 4, 2, 4, 2, 5, 2, 2, 2, 4, 2, 5, 3, 4, 2, 4, 2, 4, 2, 2, 2, 4, 2, 7, 2, 4, 2, 4, 2, 4), objectness=(Objectness(0.574, 2.101, -12.747), Objectness(0.61, -2.633, -12.419), Objectness(0.687, 4.227, -13.861),)),
}
