"""Fitted constants of the seeded initialisation, per size. Made by `tools/fit_seeded.py`; see there."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Objectness:
    """One level: the gain that brings its features to unit logits, then objectness gain and bias."""

    feature_gain: float
    gain: float
    bias: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scales:
    """Exponents of 2^(1/4), one a convolution in the order of `named_modules`, and the head's three levels."""

    convolutions: tuple[int, ...]
    objectness: tuple[Objectness, ...]


SCALES: dict[str, Scales] = {
    "n": Scales(
        convolutions=(
            16,
            2,
            3,
            2,
            0,
            3,
            13,
            2,
            3,
            4,
            -1,
            3,
            7,
            -1,
            6,
            1,
            3,
            3,
            -2,
            1,
            7,
            -1,
            5,
            -3,
            7,
            2,
            2,
            2,
            -1,
            2,
            7,
            2,
            -2,
            2,
            2,
            2,
            2,
            1,
            9,
            2,
            2,
            1,
            4,
            0,
            8,
            3,
            1,
            1,
            4,
            2,
            6,
            3,
            2,
            2,
            5,
            2,
            6,
        ),
        objectness=(
            Objectness(0.195, 2.169, -9.433),
            Objectness(0.185, 1.586, -9.787),
            Objectness(0.152, 5.321, -12.967),
        ),
    ),
}
