from pathlib import Path

import numpy as np
import pytest

from yolo_perf.errors import DataError
from yolo_perf.pipeline.images import Dataset, synthetic
from yolo_perf.pipeline.labels import read_labels


@pytest.fixture
def pictures(tmp_path: Path) -> Dataset:
    """Two pictures that nobody decodes."""
    folder = tmp_path / "images" / "train"
    folder.mkdir(parents=True)
    (tmp_path / "labels" / "train").mkdir(parents=True)
    paths = tuple(folder / f"{name}.jpg" for name in ("a", "b"))
    for path in paths:
        path.touch()
    return Dataset(name="two", paths=paths)


def write(pictures: Dataset, name: str, text: str) -> Path:
    path = pictures.paths[0].parents[2] / "labels" / "train" / name
    path.write_text(text)
    return path


def test_each_picture_has_its_boxes_once_and_one_without_a_file_has_none(pictures: Dataset) -> None:
    write(pictures, "a.txt", "3 0.5 0.5 0.25 0.5\n\n1 0.5 0.5 1 1\n3 0.5 0.5 0.25 0.5\n")
    found = read_labels(pictures, 80)
    assert found is not None
    np.testing.assert_array_equal(found.rows[0], [[1, 0.5, 0.5, 1, 1], [3, 0.5, 0.5, 0.25, 0.5]])
    assert found.rows[1].shape == (0, 5)
    assert found.boxes == 2


def test_the_digest_is_of_the_labels(pictures: Dataset) -> None:
    digests = set()
    for text in ("1 .5 .5 .5 .5", "2 .5 .5 .5 .5"):
        write(pictures, "b.txt", text)
        found = read_labels(pictures, 80)
        assert found is not None
        digests.add(found.digest)
    assert len(digests) == 2


def test_drawn_pictures_and_folders_without_labels_have_none(pictures: Dataset, tmp_path: Path) -> None:
    assert read_labels(synthetic(), 80) is None
    assert read_labels(pictures, 80) is None  # an empty folder of labels
    assert read_labels(Dataset(name="bare", paths=(tmp_path / "a.jpg",)), 80) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-1 .5 .5 .5 .5", r"a\.txt, line 1: class -1, and classes are numbered from 0"),
        ("1.5 .5 .5 .5 .5", "class 1.5"),
        ("nan .5 .5 .5 .5", "class nan"),
        ("inf .5 .5 .5 .5", "class inf"),
        ("1 .5 .5 .5 .5\n1 .5 .5 .5", "line 2: a box is 'class x y width height', got '1 .5 .5 .5'"),
        ("1 .5 .5 .5 x", "a box is"),
        ("1 .5 .5 .5 1.5", "shares of the picture"),
        ("1 nan .5 .5 .5", "shares of the picture"),
        ("1 .5 .5 0 .5", "shares of the picture"),
    ],
)
def test_a_line_that_is_no_box_is_named(pictures: Dataset, text: str, message: str) -> None:
    write(pictures, "a.txt", text)
    with pytest.raises(DataError, match=message):
        read_labels(pictures, 80)


def test_classes_that_the_model_has_not_are_told_in_one_message(pictures: Dataset) -> None:
    write(pictures, "a.txt", "1 .5 .5 .5 .5\n79 .5 .5 .5 .5\n")
    assert read_labels(pictures, 80) is not None
    write(pictures, "b.txt", "90 .5 .5 .5 .5\n80 .5 .5 .5 .5\n80 .1 .1 .1 .1\n1e300 .1 .1 .1 .1")
    with pytest.raises(DataError) as caught:
        read_labels(pictures, 80)
    message = str(caught.value)
    assert message.startswith("4 of 6 labelled boxes are of class 80, 90, 1e+300, and")
    assert "the model knows classes 0 to 79 (first in " in message
    assert "b.txt). Labels and weights belong to different sets of classes: bring weights" in message


def test_many_foreign_classes_are_not_all_named(pictures: Dataset) -> None:
    write(pictures, "a.txt", "".join(f"{label} .5 .5 .5 .5\n" for label in range(20)))
    with pytest.raises(
        DataError, match=r"^18 of 20 labelled boxes are of class 2, 3, 4, 5, 6, \.\.\., and the model"
    ):
        read_labels(pictures, 2)


def test_pictures_without_labels_among_others_are_told(
    pictures: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    write(pictures, "a.txt", "1 .5 .5 .5 .5")
    assert read_labels(pictures, 80) is not None
    assert caplog.text == ""  # half of them have labels
    third = pictures.paths[0].with_name("c.jpg")
    third.touch()
    read_labels(Dataset(name="three", paths=(*pictures.paths, third)), 80)
    assert "Only 1 of 3 pictures in" in caplog.text
    assert "take them away if they are just not labelled" in caplog.text


def test_label_files_without_a_box_are_labels_of_nothing(pictures: Dataset) -> None:
    for name in ("a.txt", "b.txt"):
        write(pictures, name, "\n")
    found = read_labels(pictures, 80)
    assert found is not None
    assert found.boxes == 0


def test_labels_of_other_pictures_are_refused(pictures: Dataset) -> None:
    write(pictures, "z.txt", "1 .5 .5 .5 .5")
    with pytest.raises(DataError, match=r"None of the 1 label files .* a\.jpg needs a\.txt"):
        read_labels(pictures, 80)


def test_some_labels_without_a_picture_are_passed_over_and_told(
    pictures: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    write(pictures, "a.txt", "1 .5 .5 .5 .5")
    write(pictures, "z.txt", "nonsense")
    found = read_labels(pictures, 80)
    assert found is not None
    assert found.boxes == 1
    assert "1 label files in" in caplog.text


def test_what_cannot_be_text_is_refused(pictures: Dataset) -> None:
    write(pictures, "a.txt", "").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="Cannot read the labels"):
        read_labels(pictures, 80)
    write(pictures, "a.txt", "1 .5 .5 .5 .5\n" * 100_000)
    with pytest.raises(DataError, match="larger than 1 MiB"):
        read_labels(pictures, 80)
