from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.pipeline.pictures import encode, gradient
from yolo_perf.errors import DataError
from yolo_perf.pipeline.images import Dataset
from yolo_perf.pipeline.stages import run_pictures
from yolo_perf.records import StageTimes

ONE = Dataset(name="synthetic", encoded=(encode(gradient(), "PNG"),))  # 48 rows of 64 pixels


def finds_one(images: NDArray[np.float32]) -> NDArray[np.float32]:
    assert images.shape == (1, 3, 128, 128)
    assert images.dtype == np.float32
    return np.array([[[64, 64, 32, 32, 0.9, 0.1, 0.9]]], np.float32)


def test_each_stage_has_its_own_time() -> None:
    moments: Iterator[float] = iter([10.0, 11.0, 13.0, 17.0, 25.0])
    (found,), times = run_pictures(ONE, [0], finds_one, 128, clock=lambda: next(moments))
    assert times == StageTimes(load_s=1, preprocess_s=2, inference_s=4, postprocess_s=8, boxes=1)
    assert times.total_s == 15
    # Twice as large in the model's input, below 16 rows of grey.
    np.testing.assert_allclose(found.boxes, [[24, 16, 40, 32]])
    assert found.classes.tolist() == [1]


def test_times_of_a_real_clock_are_not_negative() -> None:
    _, times = run_pictures(ONE, [0], finds_one, 128)
    assert min(times.load_s, times.preprocess_s, times.inference_s, times.postprocess_s) >= 0


def test_a_bad_picture_is_named() -> None:
    with pytest.raises(DataError, match="synthetic-000"):
        run_pictures(Dataset(name="synthetic", encoded=(b"",)), [0], finds_one, 128)


def test_times_of_a_batch_are_a_pictures_share() -> None:
    def finds_two(images: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.concatenate([finds_one(images[:1]), finds_one(images[1:])])

    moments: Iterator[float] = iter([0.0, 2.0, 6.0, 14.0, 30.0])
    found, times = run_pictures(ONE, [0, 0], finds_two, 128, clock=lambda: next(moments))
    assert len(found) == 2
    assert times == StageTimes(load_s=1, preprocess_s=2, inference_s=4, postprocess_s=8, boxes=2)
