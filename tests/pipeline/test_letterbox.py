import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo_perf.pipeline.letterbox import letterbox, stack

SIDES = st.integers(1, 300)


def flat(height: int, width: int, bgr: tuple[int, int, int] = (10, 20, 30)) -> np.ndarray:
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = bgr
    return picture


@pytest.mark.parametrize(
    ("height", "width", "size", "inner", "corner"),
    [
        (480, 640, 640, (480, 640), (80, 0)),  # COCO's usual size: as it is, 80 rows of grey above and below
        (640, 480, 640, (640, 480), (0, 80)),
        (427, 640, 640, (427, 640), (106, 0)),  # 213 rows of grey: 106 above, 107 below
        (375, 500, 640, (480, 640), (80, 0)),  # enlarged by 1.28
        (1080, 1920, 640, (360, 640), (140, 0)),
        (640, 640, 640, (640, 640), (0, 0)),
        (480, 640, (512, 672), (504, 672), (4, 0)),
        (480, 640, (384, 640), (384, 512), (0, 64)),
        (1, 1, 32, (32, 32), (0, 0)),
        (1, 1000, 64, (1, 64), (31, 0)),  # a sliver keeps one row
    ],
)
def test_geometry(
    height: int, width: int, size: int | tuple[int, int], inner: tuple[int, int], corner: tuple[int, int]
) -> None:
    planes, geometry = letterbox(flat(height, width), size)
    target = size if isinstance(size, tuple) else (size, size)
    assert planes.shape == (3, *target)
    assert (geometry.top, geometry.left) == corner
    assert (geometry.height, geometry.width) == (height, width)
    grey = np.isclose(planes[0], 114 / 255)
    rows, columns = np.flatnonzero(~grey.all(1)), np.flatnonzero(~grey.all(0))
    assert (rows[0], columns[0]) == corner
    assert (len(rows), len(columns)) == inner


def test_channels_become_rgb_planes_of_0_to_1() -> None:
    planes, _ = letterbox(flat(2, 2, (0, 51, 255)), 2)
    assert planes.dtype == np.float32
    assert planes.flags.c_contiguous
    np.testing.assert_allclose(planes[:, 0, 0], [1, 0.2, 0], atol=1e-6)


def test_pixels_stay_where_they_are() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    planes, _ = letterbox(picture, 4)  # one row of grey, below
    np.testing.assert_allclose(planes[:, :3], picture[..., ::-1].transpose(2, 0, 1) / 255, atol=1e-6)
    np.testing.assert_allclose(planes[:, 3], 114 / 255, atol=1e-6)


def test_the_picture_is_not_written_to_and_may_be_a_view() -> None:
    picture = flat(20, 30)
    before = picture.copy()
    from_view, _ = letterbox(picture[::-1, ::-1], 32)
    assert (picture == before).all()
    np.testing.assert_array_equal(from_view, letterbox(picture, 32)[0])


@given(SIDES, SIDES, st.integers(1, 96), st.integers(1, 96))
def test_any_picture_fits_with_even_borders(height: int, width: int, rows: int, columns: int) -> None:
    planes, geometry = letterbox(flat(height, width), (rows, columns))
    inner_height, inner_width = geometry.scale_y * height, geometry.scale_x * width
    below, right = rows - geometry.top - inner_height, columns - geometry.left - inner_width
    assert planes.shape == (3, rows, columns)
    assert -1e-6 <= below - geometry.top <= 1 + 1e-6
    assert -1e-6 <= right - geometry.left <= 1 + 1e-6
    assert min(geometry.top, geometry.left) == 0 or max(geometry.top, geometry.left) <= 1


def test_a_stack_is_one_batch() -> None:
    images = [letterbox(flat(4, 8, (value,) * 3), 8)[0] for value in (0, 255)]
    batch = stack(images)
    assert batch.shape == (2, 3, 8, 8)
    assert batch.flags.c_contiguous
    np.testing.assert_array_equal(batch[1], images[1])
