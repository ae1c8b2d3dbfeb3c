"""Bytes of pictures of every kind, made when a test asks for them."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image


def gradient(height: int = 48, width: int = 64) -> Image.Image:
    """Red grows to the right, green downwards, blue is constant: orientation and channels can be told."""
    red, green = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    pixels = np.stack([red, green, np.full_like(red, 40)], axis=2)
    return Image.fromarray(pixels.astype(np.uint8))


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The image as a file of that kind, in memory."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def turned(kind: str) -> bytes:
    """A file that asks by EXIF to be shown turned by 90 degrees clockwise."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encode(gradient(), kind, exif=exif)


def png_of_size(width: int, height: int) -> bytes:
    """A formally sound PNG that claims a size and holds almost nothing."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
