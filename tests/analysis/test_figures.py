import pytest

from tests.factories import measurement, peaks
from yolo_perf.analysis.figures import figures, utilization


def test_figures_by_hand() -> None:
    """4 GFLOP an image; a batch of 4 in 0.2 s is 80 GFLOP/s, of 200."""
    found = figures(measurement((0.1, 0.2, 0.9), batch=4, backend="batched"), peaks())
    assert found["latency_s"] == 0.05
    assert found["images_per_s"] == 20
    assert found["achieved_flops_per_s"] == pytest.approx(80e9)
    assert found["utilization"] == pytest.approx(0.4)
    assert found["attainable_flops_per_s"] == 200e9
    assert found["bound"] == "compute"
    assert found["batch"] == 4


def test_the_roof_is_that_of_the_dtype() -> None:
    assert utilization(measurement((0.04,), dtype="int8"), peaks()) == pytest.approx(0.25)


def test_more_than_the_roof_is_not_clipped() -> None:
    assert utilization(measurement((0.01,)), peaks()) == pytest.approx(2.0)


def test_the_median_of_an_even_number_of_rounds() -> None:
    assert measurement((0.1, 0.2, 0.4, 0.9)).latency_s == pytest.approx(0.3)
