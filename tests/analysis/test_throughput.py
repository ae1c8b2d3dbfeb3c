import pytest

from yolo_perf.analysis.throughput import parallel_efficiency, saturation_batch
from yolo_perf.records import Case, Timed


def point(rate: float, *, threads: int = 1, batch: int = 1, size: str = "n", backend: str = "eager") -> Timed:
    """A case of so many images a second."""
    case = Case(size=size, backend=backend, batch=batch, image_size=640, threads=threads)
    return Timed(case=case, round_seconds=(batch / rate,))


def test_efficiency_is_throughput_over_that_of_one_thread_times_the_threads() -> None:
    one, two, four = point(10), point(16, threads=2), point(20, threads=4)
    points = (one, two, four)
    assert parallel_efficiency(points, one) == 1
    assert parallel_efficiency(points, two) == pytest.approx(0.8)
    assert parallel_efficiency(points, four) == pytest.approx(0.5)


def test_efficiency_above_one_is_not_clipped() -> None:
    assert parallel_efficiency((point(10), point(25, threads=2)), point(25, threads=2)) == pytest.approx(1.25)


def test_efficiency_compares_equal_batches_only() -> None:
    points = (point(10), point(40, batch=8), point(60, threads=2, batch=8))
    assert parallel_efficiency(points, points[2]) == pytest.approx(0.75)


def test_efficiency_does_not_depend_on_the_order_of_points() -> None:
    points = (point(16, threads=2), point(10))
    assert parallel_efficiency(points, points[0]) == pytest.approx(0.8)


@pytest.mark.parametrize(
    "other",
    [
        point(10, batch=4),
        point(10, size="s"),
        point(10, backend="onnx"),
        point(10, threads=4),
    ],
)
def test_without_one_thread_at_the_same_batch_there_is_no_efficiency(other: Timed) -> None:
    two = point(16, threads=2)
    assert parallel_efficiency((other, two), two) is None
    assert parallel_efficiency((), two) is None


def test_the_median_round_decides() -> None:
    one = point(10)
    two = Timed(case=point(1, threads=2).case, round_seconds=(9.0, 0.0625, 0.0001))
    assert parallel_efficiency((one, two), two) == pytest.approx(0.8)


def test_a_series_saturates_at_its_smallest_batch_near_the_best() -> None:
    points = (point(80), point(94, batch=2), point(96, batch=4), point(100, batch=8))
    assert {saturation_batch(points, each) for each in points} == {4}


def test_exactly_the_margin_is_near_enough() -> None:
    points = (point(0.94), point(0.95, batch=2), point(1.0, batch=4))
    assert points[1].images_per_s >= 0.95 * points[2].images_per_s
    assert saturation_batch(points, points[0]) == 2


def test_batches_that_only_slow_down_saturate_at_once() -> None:
    points = (point(100, batch=8), point(120, batch=4), point(200), point(150, batch=2))
    assert saturation_batch(points, points[0]) == 1


def test_every_size_backend_and_number_of_threads_is_a_series_of_its_own() -> None:
    own = (point(10, batch=1), point(20, batch=2))
    others = (
        point(500, batch=8, threads=2),
        point(500, batch=8, size="s"),
        point(500, batch=8, backend="onnx"),
    )
    points = (*others, *own)
    assert saturation_batch(points, own[0]) == 2
    assert [saturation_batch(points, other) for other in others] == [8, 8, 8]


def test_one_point_alone_saturates() -> None:
    alone = point(3, batch=16, threads=2)
    assert saturation_batch((alone,), alone) == 16
