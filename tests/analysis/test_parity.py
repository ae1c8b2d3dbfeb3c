from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from yolo_perf.analysis.parity import MAX_SQNR_DB, box_agreement, parity, require, require_reference, sqnr_db
from yolo_perf.backends.registry import backends
from yolo_perf.errors import ParityError
from yolo_perf.pipeline.letterbox import Letterbox
from yolo_perf.records import Case, Parity

GEOMETRY = Letterbox(scale_x=1, scale_y=1, left=0, top=0, height=640, width=640)
CASE = Case(size="n", backend="onnx", batch=1, image_size=640, threads=1)


def rows(*boxes: tuple[float, float, float, int]) -> NDArray[np.float32]:
    """(1, rows, 5 + 3): boxes of 100 pixels at (x, y) with a confidence and a class."""
    output = np.zeros((1, 10, 8), np.float32)
    for index, (x, y, confidence, label) in enumerate(boxes):
        output[0, index, :5] = x, y, 100, 100, confidence
        output[0, index, 5 + label] = 1
    return output


def test_sqnr_by_hand() -> None:
    """A tenth of the amplitude is 20 dB below it."""
    signal = np.array([1.0, -1.0, 2.0], np.float32)
    assert sqnr_db(signal, signal * np.float32(1.1)) == pytest.approx(20, abs=1e-4)
    assert sqnr_db(signal, signal) == MAX_SQNR_DB
    assert sqnr_db(signal, np.full(3, np.nan, np.float32)) == -MAX_SQNR_DB
    assert sqnr_db(signal, np.full(3, np.inf, np.float32)) == -MAX_SQNR_DB


def test_boxes_that_both_sides_have_agree() -> None:
    one = rows((100, 100, 0.9, 0), (400, 400, 0.26, 1))
    assert box_agreement(one, one, [GEOMETRY]) == 1
    nearly = rows((101, 101, 0.8, 0), (400, 400, 0.24, 1))  # below 0.25, still there
    assert box_agreement(one, nearly, [GEOMETRY]) == 1


def test_boxes_that_differ_disagree() -> None:
    one = rows((100, 100, 0.9, 0), (400, 400, 0.9, 1))
    assert box_agreement(one, rows((100, 100, 0.9, 0)), [GEOMETRY]) == pytest.approx(2 / 3)
    assert box_agreement(one, rows((100, 100, 0.9, 2), (300, 400, 0.9, 1)), [GEOMETRY]) == 0
    assert box_agreement(rows(), rows(), [GEOMETRY]) == 1


def test_below_the_tolerance_is_refused_with_figures() -> None:
    output = rows((100, 100, 0.9, 0))
    backend = replace(backends()["onnx"], min_sqnr_db=60, min_box_agreement=0.9)
    require(parity(output, output, [GEOMETRY]), backend, CASE)
    wrong = parity(output, rows((300, 300, 0.9, 0)), [GEOMETRY])
    with pytest.raises(ParityError, match=r"n-onnx does not agree with eager.*SQNR .* dB.*box agreement 0.000"):
        require(wrong, backend, CASE)


def test_either_floor_alone_refuses() -> None:
    backend = replace(backends()["onnx-static-int8"], min_sqnr_db=12, min_box_agreement=0.8)
    found = Parity(sqnr_db=12, box_agreement=0.8, images=2)
    require(found, backend, CASE)
    for wrong in (replace(found, box_agreement=0.79), replace(found, sqnr_db=11.9)):
        with pytest.raises(ParityError):
            require(wrong, backend, CASE)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_reference_that_is_not_finite_is_none(wrong: float) -> None:
    output = varied(pictures=2)
    require_reference(output, "n-eager")
    output[1, 3, 7] = wrong
    with pytest.raises(ParityError, match=r"output of n-eager itself is not finite.*Check the weights"):
        require_reference(output, "n-eager")


def test_a_reference_that_is_blind_is_none() -> None:
    """Nine anchors with a size and a score each, the same in every cell; only centres differ."""
    output = varied(pictures=1)
    output[..., 2:] = np.linspace(0.1, 0.9, 9, dtype=np.float32).repeat(7)[:, None]
    with pytest.raises(ParityError, match=r"n-eager itself says the same in every place"):
        require_reference(output, "n-eager")
    output[0, 5, 4] = 0.2  # one cell that sees something
    require_reference(output, "n-eager")


def varied(pictures: int) -> NDArray[np.float32]:
    """(pictures, 63, 5 + 3) numbers, no two alike."""
    return np.linspace(0.1, 0.9, pictures * 63 * 8, dtype=np.float32).reshape(pictures, 63, 8)


@pytest.mark.parametrize("name", list(backends()))
@pytest.mark.parametrize("columns", [np.s_[2:4], np.s_[4:5], np.s_[5:]], ids=["sizes", "objectness", "classes"])
def test_a_lost_part_of_the_output_is_refused(name: str, columns: slice) -> None:
    """However right the rest is."""
    expected = rows((100, 100, 0.9, 0), (400, 400, 0.9, 1))
    lost = expected.copy()
    lost[..., columns] = 0
    with pytest.raises(ParityError):
        require(parity(expected, lost, [GEOMETRY]), backends()[name], CASE)


def test_another_shape_is_refused() -> None:
    with pytest.raises(ParityError, match="shape"):
        parity(rows(), rows()[:, :5], [GEOMETRY])
