"""What a picture file says about itself, read before a decoder is let loose on it.

A decoder allocates what the header asks for and fills a cut-off picture with grey. So size, format and
(where that is cheap) completeness are checked here first, by the bytes rather than by the file's name.
"""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass


class BrokenPictureError(ValueError):
    """The bytes are no whole picture of a known format. The text says why, not which file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Format name and stored size in pixels (before any EXIF rotation)."""

    format: str
    width: int
    height: int


def read_header(data: bytes) -> Header:
    """Format and size of a whole JPEG, PNG, BMP, WebP or TIFF file.

    Raises BrokenPictureError where the format is another one, the header makes no sense, or the file is
    visibly cut off: JPEG without its end marker, PNG chunks missing or failing their checksum, BMP and
    WebP shorter than they say. Missing TIFF strips are left to the decoder, which refuses them.
    """
    if not data:
        raise BrokenPictureError("the file is empty")
    known = next(((name, read_size) for name, matches, read_size in _FORMATS if matches(data)), None)
    if known is None:
        raise BrokenPictureError("its content is no JPEG, PNG, BMP, WebP or TIFF picture")
    name, read_size = known
    try:
        width, height = read_size(data)
    except (struct.error, IndexError, OverflowError) as error:
        raise BrokenPictureError(f"the {name} file is cut off in its header") from error
    if width <= 0 or height <= 0:
        raise BrokenPictureError(f"its {name} header gives a size of {width} x {height} pixels")
    return Header(format=name, width=width, height=height)


def _jpeg_size(data: bytes) -> tuple[int, int]:
    # Segments are walked, not searched: an EXIF thumbnail is a JPEG of its own, with its own size and end.
    size = (0, 0)
    at = 2
    while True:
        marker, length = struct.unpack_from(">HH", data, at)
        if marker == 0xFFFF:  # any marker may be preceded by fill bytes
            at += 1
            continue
        if marker < 0xFFC0:
            raise BrokenPictureError("its JPEG segments are damaged")
        if 0xFFC0 <= marker <= 0xFFCF and marker not in (0xFFC4, 0xFFC8, 0xFFCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            size = (width, height)
        at += 2 + length
        if marker == 0xFFDA:
            break
    if data.rfind(b"\xff\xd9", at) < 0:
        raise BrokenPictureError("the JPEG file is cut off: its end marker is missing")
    return size


def _png_size(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", data, 16)
    at, kind = 8, b""
    view = memoryview(data)
    while kind != b"IEND":
        if at + 12 > len(data):
            raise BrokenPictureError("the PNG file is cut off")
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 8 + length
        if end + 4 > len(data):
            raise BrokenPictureError("the PNG file is cut off")
        if zlib.crc32(view[at + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            raise BrokenPictureError("the PNG file is damaged: a checksum does not match")
        at = end + 4
    return width, height


def _bmp_size(data: bytes) -> tuple[int, int]:
    pixels_at, header_size = struct.unpack_from("<II", data, 10)
    if header_size == 12:  # OS/2
        width, height, planes_bits = *struct.unpack_from("<HH", data, 18), data[24]
        compression = 0
    else:
        width, height, _, planes_bits, compression = struct.unpack_from("<iiHHI", data, 18)
    height = abs(height)  # negative where rows run from the top
    if compression in (0, 3) and pixels_at + (width * planes_bits + 31) // 32 * 4 * height > len(data):
        raise BrokenPictureError(f"the BMP file is cut off: {width} x {height} pixels take more than it holds")
    return width, height


def _webp_size(data: bytes) -> tuple[int, int]:
    if struct.unpack_from("<I", data, 4)[0] + 8 > len(data):
        raise BrokenPictureError("the WebP file is cut off")
    kind = data[12:16]
    if kind == b"VP8X":
        low_w, high_w, low_h, high_h = struct.unpack_from("<HBHB", data, 24)
        return (high_w << 16 | low_w) + 1, (high_h << 16 | low_h) + 1
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise BrokenPictureError("its WebP header is damaged")


def _tiff_size(data: bytes) -> tuple[int, int]:
    order = "<" if data[:2] == b"II" else ">"
    if struct.unpack_from(order + "H", data, 2)[0] == 43:  # BigTIFF: eight-byte counts and offsets
        count_format, offset_format, offset_at, entry_size, value_at = "Q", "Q", 8, 20, 12
    else:
        count_format, offset_format, offset_at, entry_size, value_at = "H", "I", 4, 12, 8
    directory = struct.unpack_from(order + offset_format, data, offset_at)[0]
    count = struct.unpack_from(order + count_format, data, directory)[0]
    first = directory + struct.calcsize(count_format)
    if first + count * entry_size > len(data):
        raise BrokenPictureError("the TIFF file is cut off in its directory")
    size = {256: 0, 257: 0}  # ImageWidth, ImageLength
    for entry in range(first, first + count * entry_size, entry_size):
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        if tag in size and kind in _TIFF_INTEGERS:
            size[tag] = struct.unpack_from(order + _TIFF_INTEGERS[kind], data, entry + value_at)[0]
    return size[256], size[257]


_TIFF_INTEGERS = {3: "H", 4: "I", 16: "Q"}

_FORMATS: tuple[tuple[str, Callable[[bytes], bool], Callable[[bytes], tuple[int, int]]], ...] = (
    ("JPEG", lambda data: data[:3] == b"\xff\xd8\xff", _jpeg_size),
    ("PNG", lambda data: data[:8] == b"\x89PNG\r\n\x1a\n", _png_size),
    ("BMP", lambda data: data[:2] == b"BM", _bmp_size),
    ("WebP", lambda data: data[:4] == b"RIFF" and data[8:12] == b"WEBP", _webp_size),
    ("TIFF", lambda data: data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), _tiff_size),
)
