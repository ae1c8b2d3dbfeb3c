import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pipeline.pictures import encode, gradient, png_of_size
from yolo_perf.pipeline.headers import BrokenPictureError, Header, read_header

FILES = {
    "JPEG": encode(gradient(), "JPEG"),
    "JPEG progressive": encode(gradient(), "JPEG", progressive=True),
    "PNG": encode(gradient(), "PNG"),
    "BMP": encode(gradient(), "BMP"),
    "WebP": encode(gradient(), "WEBP"),
    "WebP lossless": encode(gradient(), "WEBP", lossless=True),
    "WebP extended": encode(gradient().convert("RGBA"), "WEBP", exif=b"Exif\0\0II*\0"),
    "TIFF": encode(gradient(), "TIFF"),
    "TIFF big": encode(gradient(), "TIFF", big_tiff=True),
}


@pytest.mark.parametrize("name", FILES)
def test_format_and_size(name: str) -> None:
    assert read_header(FILES[name]) == Header(format=name.split(maxsplit=1)[0], width=64, height=48)


@pytest.mark.parametrize("name", [name for name in FILES if not name.startswith("TIFF")])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.7, 0.99])
def test_a_file_that_is_cut_off_is_told(name: str, part: float) -> None:
    data = FILES[name]
    with pytest.raises(BrokenPictureError):
        read_header(data[: int(len(data) * part)])


def test_the_end_of_an_exif_thumbnail_is_not_the_end_of_the_picture() -> None:
    thumbnail = encode(gradient(8, 8), "JPEG")
    body = b"Exif\0\0" + thumbnail
    segment = b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body
    whole = b"\xff\xd8" + segment + FILES["JPEG"][2:]
    assert read_header(whole).width == 64
    with pytest.raises(BrokenPictureError, match="end marker"):
        read_header(whole[:-200])


def test_bytes_after_the_end_marker_and_fill_bytes_are_no_damage() -> None:
    jpeg = FILES["JPEG"]
    assert read_header(b"\xff\xd8" + b"\xff\xff\xff" + jpeg[2:] + bytes(100)).height == 48


def test_a_flipped_bit_in_a_png_is_told() -> None:
    data = bytearray(FILES["PNG"])
    data[len(data) // 2] ^= 1
    with pytest.raises(BrokenPictureError, match=r"checksum|cut off"):
        read_header(bytes(data))


def test_a_bmp_whose_rows_run_from_the_top() -> None:
    data = bytearray(FILES["BMP"])
    data[22:26] = (-48).to_bytes(4, "little", signed=True)
    assert read_header(bytes(data)).height == 48


def test_no_size_is_no_picture() -> None:
    with pytest.raises(BrokenPictureError, match="0 x 5"):
        read_header(png_of_size(0, 5))


MAGIC = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"BM",
    b"RIFF\x10\0\0\0WEBPVP8X",
    b"II*\0",
    b"MM\0*",
    b"II+\0\x08\0\0\0",
)


@given(st.sampled_from(MAGIC), st.binary(max_size=200))
def test_any_bytes_give_a_header_or_a_reason(magic: bytes, rest: bytes) -> None:
    with contextlib.suppress(BrokenPictureError):
        read_header(magic + rest)


@given(st.sampled_from(sorted(FILES)), st.data())
def test_damage_anywhere_gives_a_header_or_a_reason(name: str, data: st.DataObject) -> None:
    damaged = bytearray(FILES[name])
    for at in data.draw(st.lists(st.integers(0, len(damaged) - 1), min_size=1, max_size=4)):
        damaged[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BrokenPictureError):
        header = read_header(bytes(damaged))
        assert header.width > 0 < header.height
