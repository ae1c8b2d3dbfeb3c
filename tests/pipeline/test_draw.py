import numpy as np
import pytest

from yolo_perf.pipeline.boxes import Detections
from yolo_perf.pipeline.classes import COCO_CLASSES
from yolo_perf.pipeline.draw import draw


def found(*boxes: tuple[float, float, float, float], label: int = 0) -> Detections:
    return Detections(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.full(len(boxes), 0.5, np.float32),
        classes=np.full(len(boxes), label, np.int64),
    )


def test_cocos_classes() -> None:
    assert len(COCO_CLASSES) == len(set(COCO_CLASSES)) == 80
    assert (COCO_CLASSES[0], COCO_CLASSES[2], COCO_CLASSES[56], COCO_CLASSES[79]) == (
        "person",
        "car",
        "chair",
        "toothbrush",
    )


def test_a_copy_is_drawn_on_and_only_near_the_box() -> None:
    picture = np.full((200, 300, 3), 128, np.uint8)
    drawn = draw(picture, found((100, 80, 200, 160)), COCO_CLASSES)
    assert (picture == 128).all()
    changed = (drawn != 128).any(2)
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    assert changed[80, 150]
    assert changed[160, 150]
    assert not changed[120, 150]
    assert rows[0] > 40
    assert rows[-1] < 165
    assert columns[0] > 90


@pytest.mark.parametrize("box", [(0, 0, 299, 199), (290, 0, 300, 5), (0, 195, 3, 200), (299, 199, 300, 200)])
def test_a_label_stays_inside_and_shows(box: tuple[float, float, float, float]) -> None:
    picture = np.full((200, 300, 3), 128, np.uint8)
    drawn = draw(picture, found(box), COCO_CLASSES)
    assert drawn.shape == picture.shape
    assert (drawn != 128).any(2).sum() > 300


@pytest.mark.parametrize("shape", [(1, 1, 3), (8, 2000, 3), (2000, 8, 3)])
def test_any_size_of_picture(shape: tuple[int, int, int]) -> None:
    picture = np.zeros(shape, np.uint8)
    assert draw(picture, found((0, 0, shape[1], shape[0])), COCO_CLASSES).shape == shape


def test_a_class_without_a_name_and_no_detections() -> None:
    picture = np.zeros((100, 100, 3), np.uint8)
    assert (draw(picture, found((20, 40, 60, 80), label=83), COCO_CLASSES) != 0).any()
    assert (draw(picture, found(), COCO_CLASSES) == 0).all()


def test_a_class_keeps_its_colour_and_differs_from_others() -> None:
    picture = np.zeros((100, 100, 3), np.uint8)

    def colour(label: int) -> tuple[int, ...]:
        return tuple(draw(picture, found((20, 40, 90, 80), label=label), COCO_CLASSES)[80, 60].tolist())

    assert colour(3) == colour(3)
    assert len({colour(label) for label in range(80)}) > 70
