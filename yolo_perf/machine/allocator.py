"""What the C library does with memory that a tensor gives back: one policy for every process that measures.

glibc hands blocks beyond a threshold to the system when they are freed, moves that threshold by itself
(mallopt(3), "dynamic mmap threshold"), and asks for the pages again at the next call. So the same model takes no
page fault an image or twelve thousand, by what the process happened to allocate before: its history, not the
model's work.

This file imports nothing of the package: paired workers load it by its path, whatever tree they measure.
"""

import ctypes
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

KEEP, SYSTEM = "keep", "system"
POLICIES = (KEEP, SYSTEM)
"""Freed memory stays with the process for its next call; or whatever the system's allocator does."""

# Parameters of mallopt(3), from glibc's malloc.h.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -2, -3, -4
MMAP_THRESHOLD = 2**30
TOP_PAD = 2**26
NEVER_TRIM = -1

_TUNED = {
    "MALLOC_MMAP_THRESHOLD_": "glibc.malloc.mmap_threshold",
    "MALLOC_TRIM_THRESHOLD_": "glibc.malloc.trim_threshold",
    "MALLOC_TOP_PAD_": "glibc.malloc.top_pad",
    "MALLOC_MMAP_MAX_": "glibc.malloc.mmap_max",
}
"""What somebody may have set from outside, as a variable or as a key of GLIBC_TUNABLES."""
_HUGE_PAGES = "glibc.malloc.hugetlb"


def settle(policy: str) -> str:
    """Put this process's allocator under a policy of POLICIES; the name of what is in force from then on.

    "keep" or "system"; "environment: NAME=VALUE ..." where somebody set glibc's allocator up from outside, which
    is then left as it is; the file's name of another library that answers for malloc. Where there is no glibc
    it is "system" whatever was asked for, and "keep" stays so. It acts at any time, best before the first tensor.
    """
    global _kept  # noqa: PLW0603 - it is the process's own state, as the allocator's is
    if other := _replacement():
        return other
    if policy == SYSTEM or not (glibc := _glibc()):
        return _kept or SYSTEM
    if tuned := from_environment(os.environ):
        return f"environment: {' '.join(tuned)}"
    _kept = KEEP if keep_freed_memory(glibc) else ""
    return _kept or SYSTEM


_kept = ""
"""KEEP once it is in force: there is no way back to thresholds that move, in this process."""


def keep_freed_memory(libc: Any) -> bool:
    """Have glibc serve large blocks from its heap too, and never shrink that; whether it agreed.

    Where it refuses a threshold beyond 32 MiB, as glibc did up to 2.33, no block at all is mapped by itself.
    """
    mapped = libc.mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD) or libc.mallopt(M_MMAP_MAX, 0)
    trimmed = libc.mallopt(M_TRIM_THRESHOLD, NEVER_TRIM)
    libc.mallopt(M_TOP_PAD, TOP_PAD)
    return bool(mapped and trimmed)


def from_environment(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The settings of glibc's allocator that a process was started with and that the policy would overrule."""
    found = [f"{name}={environment[name]}" for name in _TUNED if environment.get(name)]
    keys = (*_TUNED.values(), _HUGE_PAGES)
    for item in environment.get("GLIBC_TUNABLES", "").split(":"):
        if item.partition("=")[0] in keys:
            found.append(item)
    return tuple(found)


def _glibc() -> Any:
    """The C library where it is glibc, else None."""
    try:
        process = _process()
    except (OSError, TypeError):  # Windows
        return None
    return process if hasattr(process, "gnu_get_libc_version") else None


def _replacement() -> str:
    """The file's name of the library that answers for malloc in this process; "" where that is the C library."""
    try:
        malloc, libc = (_origin(name) for name in ("malloc", "printf"))
    except (OSError, AttributeError, TypeError):  # Windows, or a static program
        return ""
    return "" if malloc == libc else Path(malloc).name


def _origin(function: str) -> str:
    """The file of the library that a function of the C interface is from, by dladdr(3)."""
    process = _process()
    address = ctypes.cast(getattr(process, function), ctypes.c_void_p)
    place = (ctypes.c_void_p * 4)()  # Dl_info: file, base, symbol's name, symbol's address
    if not process.dladdr(address, place) or not place[0]:
        raise OSError(f"dladdr does not know {function}")
    return os.fsdecode(ctypes.string_at(place[0]))


def _process() -> Any:
    return ctypes.CDLL(None)
