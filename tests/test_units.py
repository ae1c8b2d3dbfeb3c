"""Figures as people read them, by hand."""

import pytest

from yolo_perf.units import in_unit, milliseconds, unit_of


@pytest.mark.parametrize(
    ("seconds", "unit"),
    [((), "ms"), ((1.5,), "ms"), ((0.1, 0.0001), "ms"), ((0.00009, 1.0), "us"), ((9e-8,), "ns"), ((1e-12,), "ns")],
)
def test_the_unit_is_the_largest_in_which_all_have_digits(seconds: tuple[float, ...], unit: str) -> None:
    assert unit_of(seconds) == unit


def test_durations_in_a_unit() -> None:
    assert in_unit(6.1e-8, "ns") == "61.00"
    assert in_unit(0.00123456, "us") == "1235"
    assert milliseconds(0.0123456) == "12.35"
