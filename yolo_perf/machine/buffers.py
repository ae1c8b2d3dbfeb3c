"""Memory that the kernels work on, aligned to cache lines."""

import ctypes

from yolo_perf.machine.chain import Chain
from yolo_perf.machine.forms import Form

ALIGNMENT = 64
_STAGGER = 1024
"""Bytes between the arrays' offsets within a page: with equal ones, loads wait for unrelated stores."""


def _aligned(size: int) -> tuple["ctypes.Array[ctypes.c_char]", int]:
    """A buffer that holds `size` bytes from the aligned address that comes with it."""
    buffer = ctypes.create_string_buffer(size + ALIGNMENT)
    return buffer, -(-ctypes.addressof(buffer) // ALIGNMENT) * ALIGNMENT


class Registers:
    """What a loop loads before it starts: its accumulators and its two operands."""

    def __init__(self, form: Form | Chain) -> None:
        starts = form.start * form.accumulators
        self._size = len(starts)
        self._accumulators, self.accumulators = _aligned(self._size)
        self._operands, self.operands = _aligned(len(form.operands))
        ctypes.memmove(self.accumulators, starts, self._size)
        ctypes.memmove(self.operands, form.operands, len(form.operands))

    def contents(self) -> bytes:
        """Bytes of the accumulators, one after the other."""
        return ctypes.string_at(self.accumulators, self._size)


class Arrays:
    """The triad's a, b and c in doubles, holding 0, 1 and 2.

    The thread that makes them touches them first, which puts them on its own memory node. NumPy asks for
    huge pages where the system has them.
    """

    def __init__(self, elements: int) -> None:
        import numpy as np

        gap = _STAGGER // 8
        memory = np.empty(3 * (elements + gap) + ALIGNMENT // 8)
        first = -(memory.ctypes.data // -ALIGNMENT) * ALIGNMENT - memory.ctypes.data
        starts = [first // 8 + k * (elements + gap) for k in range(3)]
        self.a, self.b, self.c = (memory[start : start + elements] for start in starts)
        for array, value in ((self.a, 0.0), (self.b, 1.0), (self.c, 2.0)):
            array.fill(value)
        self.addresses = (self.a.ctypes.data, self.b.ctypes.data, self.c.ctypes.data)
