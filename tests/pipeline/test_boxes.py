import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from yolo_perf.pipeline.boxes import Detections, iou_matrix, postprocess
from yolo_perf.pipeline.letterbox import Letterbox, letterbox

PLAIN = Letterbox(scale_x=1, scale_y=1, left=0, top=0, height=100, width=100)
Floats = NDArray[np.float32]


def detections(*found: tuple[tuple[float, float, float, float], float, int]) -> Detections:
    boxes = np.array([box for box, _, _ in found], np.float32).reshape(-1, 4)
    scores = np.array([score for _, score, _ in found], np.float32)
    return Detections(boxes=boxes, scores=scores, classes=np.array([label for _, _, label in found], np.int64))


def rows(*given_rows: tuple[float, ...]) -> Floats:
    return np.array(given_rows, np.float32)


def plain_nms(boxes: Floats, scores: Floats, classes: NDArray[np.int64], iou: float) -> list[int]:
    """Greedy suppression as it is defined, one pair of boxes at a time."""
    kept: list[int] = []
    for index in sorted(range(len(scores)), key=lambda index: -scores[index]):
        x1, y1, x2, y2 = (float(edge) for edge in boxes[index])
        for other in kept:
            u1, v1, u2, v2 = (float(edge) for edge in boxes[other])
            shared = max(0.0, min(x2, u2) - max(x1, u1)) * max(0.0, min(y2, v2) - max(y1, v1))
            union = (x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1) - shared
            if classes[index] == classes[other] and shared > iou * union:
                break
        else:
            kept.append(index)
    return kept


def test_a_box_is_mapped_back_and_clipped() -> None:
    _, geometry = letterbox(np.zeros((240, 320, 3), np.uint8), 640)  # twice as large, 80 rows of grey above
    output = rows((320, 320, 100, 60, 0.9, 0.1, 0.8), (10, 90, 100, 60, 0.9, 0.7, 0.1))
    found = postprocess(output, geometry)
    np.testing.assert_allclose(found.boxes, [[135, 105, 185, 135], [0, 0, 30, 20]])
    np.testing.assert_allclose(found.scores, [0.72, 0.63], atol=1e-6)
    assert found.classes.tolist() == [1, 0]


@given(
    st.integers(20, 900),
    st.integers(20, 900),
    st.integers(32, 640),
    st.lists(st.floats(0, 1), min_size=4, max_size=4),
)
def test_there_and_back(height: int, width: int, size: int, corners: list[float]) -> None:
    _, geometry = letterbox(np.zeros((height, width, 3), np.uint8), size)
    (x1, x2), (y1, y2) = sorted(corners[:2]), sorted(corners[2:])
    box = np.array([x1 * width, y1 * height, x2 * width, y2 * height])
    scale = np.array([geometry.scale_x, geometry.scale_y] * 2)
    inside = box * scale + [geometry.left, geometry.top] * 2
    if min(inside[2] - inside[0], inside[3] - inside[1]) < 0.5:
        return
    centre, sides = (inside[:2] + inside[2:]) / 2, inside[2:] - inside[:2]
    found = postprocess(rows((*centre, *sides, 1, 1)), geometry)
    np.testing.assert_allclose(found.boxes[0], box, atol=2e-3 * max(1, 1 / geometry.scale_x))


def test_both_the_score_and_the_objectness_have_to_exceed_the_confidence() -> None:
    output = rows((50, 50, 9, 9, 0.5, 0.5), (20, 20, 9, 9, 0.6, 0.5), (80, 80, 9, 9, 0.5, 0.49))
    assert postprocess(output, PLAIN, confidence=0.25).scores.tolist() == pytest.approx([0.3])


def test_one_class_a_row_or_each_of_them() -> None:
    output = rows((50, 50, 20, 20, 0.9, 0.5, 0.8))
    assert postprocess(output, PLAIN).classes.tolist() == [1]
    both = postprocess(output, PLAIN, multi_label=True)
    assert both.classes.tolist() == [1, 0]
    np.testing.assert_allclose(both.scores, [0.72, 0.45], atol=1e-6)


def test_only_boxes_of_one_class_suppress_each_other() -> None:
    output = rows((50, 50, 20, 20, 1, 0.9, 0), (50, 50, 20, 20, 1, 0, 0.8), (51, 50, 20, 20, 1, 0.7, 0))
    assert postprocess(output, PLAIN).scores.tolist() == pytest.approx([0.9, 0.8])


def test_classes_stay_apart_left_of_and_above_the_origin() -> None:
    output = rows((0, 0, 60, 60, 1, 0.9, 0), (1, 1, 60, 60, 1, 0, 0.8))
    assert len(postprocess(output, PLAIN).scores) == 2


def test_an_overlap_of_just_the_limit_is_kept() -> None:
    # 10 x 10 and 10 x 5 inside of it: an IoU of exactly one half.
    output = rows((50, 50, 10, 10, 1, 0.9), (50, 47.5, 10, 5, 1, 0.8))
    assert len(postprocess(output, PLAIN, iou=0.5).scores) == 2
    assert len(postprocess(output, PLAIN, iou=0.49).scores) == 1


def test_the_same_box_many_times_is_one() -> None:
    output = np.tile(rows((50, 50, 20, 20, 0.9, 0.9)), (1000, 1))
    assert len(postprocess(output, PLAIN).scores) == 1


def test_at_most_so_many_the_best_ones() -> None:
    output = rows(*((10 * index + 5, 50, 8, 8, 1, 0.5 + index / 100) for index in range(10)))
    found = postprocess(output, PLAIN, max_detections=3)
    assert found.scores.tolist() == pytest.approx([0.59, 0.58, 0.57])


@pytest.mark.parametrize(
    "output", [np.zeros((0, 85), np.float32), np.zeros((100, 85), np.float32), np.zeros((1, 6), np.float32)]
)
@pytest.mark.parametrize("multi_label", [False, True])
def test_nothing_to_find(output: Floats, multi_label: bool) -> None:
    found = postprocess(output, PLAIN, multi_label=multi_label)
    assert (found.boxes.shape, found.scores.shape, found.classes.shape) == ((0, 4), (0,), (0,))


@pytest.mark.parametrize("column", range(7))
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("multi_label", [False, True])
def test_a_row_that_is_not_finite_is_passed_over(column: int, value: float, multi_label: bool) -> None:
    output = rows((50, 50, 20, 20, 0.9, 0.9, 0.1), (20, 20, 10, 10, 0.9, 0.8, 0.1))
    output[0, column] = value
    found = postprocess(output, PLAIN, multi_label=multi_label)
    assert found.scores.tolist() == pytest.approx([0.72])


@pytest.mark.parametrize("sides", [(-20, 20), (20, -20), (-20, -20), (0, 20), (20, 0)])
def test_a_box_of_no_size_is_none_and_suppresses_none(sides: tuple[float, float]) -> None:
    output = rows((50, 50, *sides, 0.9, 0.9), (50, 50, 20, 20, 0.9, 0.8))
    assert postprocess(output, PLAIN).scores.tolist() == pytest.approx([0.72])


def test_numbers_beyond_reason_end_in_no_warning() -> None:
    output = rows((3e38, 0, 3e38, 3e38, 0.9, 0.9), (50, 50, 10, 10, 3e38, 3e38))
    assert len(postprocess(output, PLAIN).scores) <= 2


@pytest.mark.parametrize("shape", [(1, 25, 85), (25, 5), (85,)])
def test_an_output_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="need an output of"):
        postprocess(np.zeros(shape, np.float32), PLAIN)


def test_a_box_in_the_border_is_not_on_the_picture() -> None:
    geometry = Letterbox(scale_x=1, scale_y=1, left=0, top=50, height=100, width=200)
    output = rows((100, 20, 30, 30, 0.9, 0.9), (100, 100, 30, 30, 0.9, 0.8))
    assert postprocess(output, geometry).scores.tolist() == pytest.approx([0.72])


BOXES = arrays(
    np.float32,
    st.tuples(st.integers(0, 30), st.just(7)),
    elements=st.integers(0, 40).map(float),
    fill=st.nothing(),
)


@given(BOXES, st.sampled_from([3**-0.5 - 0.3, 5**-0.5, 2**-0.5]))
def test_suppression_is_the_greedy_one(numbers: Floats, iou: float) -> None:
    # Whole numbers as corners, and thresholds no ratio of small whole numbers comes near: no ties by rounding.
    corner, sides = numbers[:, :2] + 20, numbers[:, 2:4] % 20 + 1
    scores = ((numbers[:, 4] * 41 + numbers[:, 5]) / 3000 + 0.3).astype(np.float32)
    classes = (numbers[:, 6] % 3).astype(np.int64)
    boxes = np.concatenate([corner, corner + sides], axis=1)
    output = np.zeros((len(numbers), 8), np.float32)
    output[:, :2], output[:, 2:4], output[:, 4] = corner + sides / 2, sides, 1
    output[np.arange(len(numbers)), 5 + classes] = scores
    found = postprocess(output, PLAIN, iou=iou)
    kept = plain_nms(boxes, scores, classes, iou)
    assert sorted(zip(*columns(found.boxes, found.scores, found.classes), strict=True)) == sorted(
        zip(*columns(boxes[kept], scores[kept], classes[kept]), strict=True)
    )
    assert (np.diff(found.scores) <= 0).all()


def columns(
    boxes: Floats, scores: Floats, classes: NDArray[np.int64]
) -> tuple[list[tuple[float, ...]], list[float], list[int]]:
    return [tuple(box) for box in boxes.tolist()], scores.tolist(), classes.tolist()


@given(arrays(np.float32, st.tuples(st.integers(0, 20), st.just(8)), elements=st.floats(width=32)), st.booleans())
def test_any_numbers_give_boxes_inside_the_picture(output: Floats, multi_label: bool) -> None:
    found = postprocess(output, PLAIN, multi_label=multi_label)
    assert ((found.boxes >= 0) & (found.boxes <= 100)).all()
    assert (found.boxes[:, :2] < found.boxes[:, 2:]).all()
    assert (found.scores > 0.25).all()


def test_iou_by_hand() -> None:
    a = rows((0, 0, 10, 10), (5, 5, 5, 5))
    b = rows((0, 0, 10, 10), (5, 0, 15, 10), (20, 20, 30, 30), (5, 5, 5, 5))
    np.testing.assert_allclose(iou_matrix(a, b), rows((1, 1 / 3, 0, 0), (0, 0, 0, 0)), atol=1e-6)
    assert iou_matrix(a[:0], b).shape == (0, 4)
    assert iou_matrix(a, b[:0]).shape == (2, 0)
