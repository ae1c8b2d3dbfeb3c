"""Pictures drawn from a seed, pixel for pixel the same on every machine.

Only integer arithmetic and a bit generator's raw stream are used: NumPy keeps that stream stable over
versions (NEP 19), but not its distributions, and floating-point drawing rounds differently by platform.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

SIZES = (  # (width, height), in about the proportions of COCO
    (640, 480), (640, 427), (480, 640), (640, 426), (640, 480), (500, 375), (427, 640), (640, 640),
    (640, 480), (640, 428), (612, 612), (640, 480), (480, 640), (640, 425), (500, 333), (640, 360),
)  # fmt: skip

_COLOUR_OCTAVES = ((4, 96), (9, 64))  # (cells along each side, amplitude)
_GREY_OCTAVES = ((24, 56), (61, 40), (160, 32))  # fine detail in natural pictures is mostly brightness


def draw_pictures(count: int, seed: int) -> Iterator[NDArray[np.uint8]]:
    """`count` pictures of (height, width, 3) BGR, their sizes taken from SIZES in turn."""
    for index in range(count):
        width, height = SIZES[index % len(SIZES)]
        yield _draw(height, width, np.random.PCG64([seed, index]))


def _draw(height: int, width: int, bits: np.random.PCG64) -> NDArray[np.uint8]:
    """One picture: a soft background, a dozen textured shapes, fine grain over all."""
    canvas = np.full((height, width, 3), 128, np.int32)
    for octave in _COLOUR_OCTAVES:
        canvas += _noise(height, width, 3, octave, bits)
    detail = np.zeros((height, width, 1), np.int32)
    for octave in _GREY_OCTAVES:
        detail += _noise(height, width, 1, octave, bits)
    canvas += detail
    for _ in range(12):
        _add_shape(canvas, bits)
    canvas += (_bytes(bits, height * width).reshape(height, width, 1) >> 3) - 16
    return np.clip(canvas, 0, 255).astype(np.uint8)


def _add_shape(canvas: NDArray[np.int32], bits: np.random.PCG64) -> None:
    """An ellipse or a rectangle that shows the canvas upside down in another colour."""
    height, width, _ = canvas.shape
    y, x, size_y, size_x, round_corners, *colour = (int(value) for value in _bytes(bits, 8))
    y, x = y * height >> 8, x * width >> 8
    half_y, half_x = 12 + (size_y * height >> 10), 12 + (size_x * width >> 10)
    box = (slice(max(0, y - half_y), y + half_y + 1), slice(max(0, x - half_x), x + half_x + 1))
    rows, columns = np.ogrid[:height, :width]
    dy, dx = rows[box[0]] - y, columns[:, box[1]] - x
    if round_corners & 1:
        inside = dy * dy * half_x * half_x + dx * dx * half_y * half_y <= (half_x * half_y) ** 2
    else:
        inside = np.ones(np.broadcast_shapes(dy.shape, dx.shape), bool)
    tint = np.array(colour, np.int32) - 128
    canvas[box][inside] = canvas[::-1][box][inside] + tint


def _noise(
    height: int, width: int, channels: int, octave: tuple[int, int], bits: np.random.PCG64
) -> NDArray[np.int32]:
    """Value noise, (height, width, channels): a random grid enlarged linearly, within the amplitude."""
    cells, amplitude = octave
    grid = _bytes(bits, (cells + 1) ** 2 * channels).reshape(cells + 1, cells + 1, channels) - 128
    wide = _enlarge((grid * amplitude).swapaxes(0, 1), width).swapaxes(0, 1)
    return _enlarge(np.ascontiguousarray(wide), height) >> 7


def _enlarge(grid: NDArray[np.int32], length: int) -> NDArray[np.int32]:
    """`grid` with its first axis interpolated linearly to `length`, in 8-bit fixed point."""
    position = np.arange(length, dtype=np.int32) * ((len(grid) - 1) << 8) // length
    cell, part = position >> 8, (position & 255)[:, None, None]
    enlarged: NDArray[np.int32] = (grid[cell] * (256 - part) + grid[cell + 1] * part) >> 8
    return enlarged


def _bytes(bits: np.random.PCG64, count: int) -> NDArray[np.int32]:
    """`count` uniform integers of 0..255."""
    raw: NDArray[np.uint64] = bits.random_raw((count + 7) // 8)
    return raw.astype("<u8").view(np.uint8)[:count].astype(np.int32)
