import hashlib
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.pipeline.pictures import encode, gradient, png_of_size, turned
from yolo_perf.errors import DataError
from yolo_perf.pipeline.images import decode, load_image, open_dataset, synthetic
from yolo_perf.pipeline.synthetic import SIZES, draw_pictures


def is_gradient(picture: np.ndarray) -> bool:
    """Whether red still grows to the right, green downwards, in BGR, within what JPEG may lose."""
    expected = np.asarray(gradient())[..., ::-1].astype(int)
    return picture.shape == expected.shape and bool(np.abs(picture - expected).mean() < 6)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WEBP"])
def test_every_format_gives_bgr(kind: str) -> None:
    picture = decode(encode(gradient(), kind), "x")
    assert picture.dtype == np.uint8
    assert is_gradient(picture)


def test_greyscale_is_repeated_over_the_channels() -> None:
    picture = decode(encode(gradient().convert("L"), "JPEG"), "x")
    assert picture.shape == (48, 64, 3)
    assert (picture[..., 0] == picture[..., 2]).all()


def test_alpha_is_dropped_and_what_lies_under_it_shows() -> None:
    image = gradient().convert("RGBA")
    image.putalpha(0)
    assert is_gradient(decode(encode(image, "PNG"), "x"))


def test_cmyk_is_converted() -> None:
    assert is_gradient(decode(encode(gradient().convert("CMYK"), "JPEG", quality=95), "x"))


@pytest.mark.parametrize("mode", ["1", "P"])
def test_few_colours(mode: str) -> None:
    assert decode(encode(gradient().convert(mode), "PNG"), "x").shape == (48, 64, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_picture_is_turned_upright_by_its_exif_tag(kind: str) -> None:
    picture = decode(turned(kind), "x")
    assert is_gradient(np.rot90(picture))


def test_16_bits_become_8() -> None:
    deep = Image.fromarray(np.full((4, 6), 40_000, np.uint16))
    picture = decode(encode(deep, "PNG"), "x")
    assert picture.dtype == np.uint8
    assert (picture == 40_000 // 256).all()


BAD = {
    "an empty file": (b"", "is empty"),
    "text": (b"no picture at all\n" * 20, "no JPEG, PNG"),
    "a GIF": (b"GIF89a" + bytes(50), "no JPEG, PNG"),
    "half a JPEG": (encode(gradient(), "JPEG")[:-300], "cut off"),
    "a JPEG without its end": (encode(gradient(), "JPEG")[:-2], "end marker"),
    "half a PNG": (encode(gradient(), "PNG")[:-30], "cut off"),
    "half a BMP": (encode(gradient(), "BMP")[:-30], "cut off"),
    "half a TIFF": (encode(gradient(), "TIFF")[:4000], "TIFF"),
    "half a WebP": (encode(gradient(), "WEBP")[:-30], "cut off"),
    "a picture of no size": (png_of_size(0, 7), "0 x 7"),
    "a PNG with too little in it": (png_of_size(50, 50), "does not decode"),
    "a gigantic PNG": (png_of_size(60_000, 60_000), "60000 x 60000 pixels are more than 200 million"),
    "a PNG beyond OpenCV's own limit": (png_of_size(2**31 - 1, 2**31 - 1), "more than 200 million"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_by_name_and_reason(name: str, tmp_path: Path) -> None:
    data, reason = BAD[name]
    path = tmp_path / "bad.jpg"
    path.write_bytes(data)
    with pytest.raises(DataError, match=reason) as caught:
        load_image(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", [name for name in BAD if name != "a PNG with too little in it"])
def test_a_bad_file_makes_no_noise(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    logging = getattr(cv2.utils, "logging", cv2)  # of OpenCV before 4.13
    level = logging.getLogLevel()
    with pytest.raises(DataError):
        decode(BAD[name][0], "x")
    assert "".join(capfd.readouterr()) == ""
    assert logging.getLogLevel() == level


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.jpg: No such file"):
        load_image(tmp_path / "none.jpg")
    with pytest.raises(DataError, match="Not a picture file"):
        load_image(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(DataError, match="Not a picture file"):
        load_image(tmp_path / "pipe.jpg")


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(encode(gradient(), "PNG"))

    def refuse(_path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("yolo_perf.files.read", refuse)
    with pytest.raises(DataError, match=r"secret\.png: Permission denied"):
        load_image(path)


def test_names_may_hold_any_character(tmp_path: Path) -> None:
    path = tmp_path / "Übergröße 图片.png"
    path.write_bytes(encode(gradient(), "PNG"))
    assert is_gradient(load_image(path))


def fill(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(encode(gradient(), "PNG"))


def test_a_folder_of_pictures_is_sorted_and_leaves_the_rest_out(tmp_path: Path) -> None:
    fill(tmp_path, "b.PNG", "a.jpg", "c.webp", ".hidden.png", "._a.jpg", "notes.txt")
    (tmp_path / "folder.jpg").mkdir()
    dataset = open_dataset(tmp_path)
    assert [path.name for path in dataset.paths] == ["a.jpg", "b.PNG", "c.webp"]
    assert dataset.name == tmp_path.name
    assert len(dataset) == 3
    assert dataset.label(1) == "b.PNG"
    assert is_gradient(dataset.load(2))


@pytest.mark.parametrize(
    ("layout", "name"),
    [
        ("coco128/images/train2017", "coco128"),
        ("images/train2017", "given"),
        ("images/val2017", "given"),
        ("images", "given"),
    ],
)
def test_the_usual_layouts_are_found(tmp_path: Path, layout: str, name: str) -> None:
    given = tmp_path / "given"
    fill(given / layout, "one.jpg")
    dataset = open_dataset(given)
    assert dataset.paths == (given / layout / "one.jpg",)
    assert dataset.name == name


def test_a_folder_without_pictures_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"No such data folder: .*none"):
        open_dataset(tmp_path / "none")
    with pytest.raises(DataError, match=r"No pictures in .*\.webp"):
        open_dataset(tmp_path)
    fill(tmp_path, "a.png")
    with pytest.raises(DataError, match="Not a folder"):
        open_dataset(tmp_path / "a.png")


def test_a_dangling_link_is_named_when_it_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    dataset = open_dataset(tmp_path)
    with pytest.raises(DataError, match=r"gone\.jpg"):
        dataset.load(0)


def test_drawn_pixels_are_the_same_everywhere() -> None:
    """Other pixels are other data: results recorded on the drawn pictures would no longer compare."""
    digest = hashlib.sha256()
    for picture in draw_pictures(3, seed=0):
        digest.update(picture.tobytes())
    assert digest.hexdigest()[:16] == "95db8810c7761811"


def test_drawn_pictures_differ_and_have_cocos_sizes_and_weight() -> None:
    dataset = synthetic(count=3)
    pictures = [dataset.load(index) for index in range(3)]
    assert [picture.shape for picture in pictures] == [(height, width, 3) for width, height in SIZES[:3]]
    assert all(60_000 < len(data) < 250_000 for data in dataset.encoded)
    assert len(set(dataset.encoded)) == 3
    assert dataset.label(2) == dataset.label(-1) == "synthetic-002"
    assert synthetic(count=3, seed=1).encoded != dataset.encoded


def test_without_a_folder_there_are_drawn_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    two = synthetic(count=2)
    monkeypatch.setattr("yolo_perf.pipeline.images.synthetic", lambda: two)
    assert open_dataset(None) is two
    assert (two.name, two.paths, len(two)) == ("synthetic", (), 2)


def test_no_drawn_pictures_make_no_sense() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        synthetic(count=0)
