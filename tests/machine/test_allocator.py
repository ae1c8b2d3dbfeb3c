"""The allocator's policy: what is asked of glibc, what is left alone, what is in force."""

import json
import os
import subprocess
import sys

import pytest

from yolo_perf import settings
from yolo_perf.machine import allocator
from yolo_perf.machine.allocator import KEEP, SYSTEM, from_environment, keep_freed_memory, settle


def test_the_settings_offer_these() -> None:
    assert settings.ALLOCATORS == allocator.POLICIES


GLIBC = pytest.mark.skipif(sys.platform != "linux", reason="glibc is Linux's")


class Libc:
    """Takes every parameter of mallopt but those that it refuses."""

    def __init__(self, *refused: int):
        self.refused = refused
        self.asked: list[tuple[int, int]] = []

    def mallopt(self, parameter: int, value: int) -> int:
        self.asked.append((parameter, value))
        return int(parameter not in self.refused)

    def gnu_get_libc_version(self) -> None:
        """Its presence is what tells glibc."""


@pytest.fixture
def libc(monkeypatch: pytest.MonkeyPatch) -> Libc:
    """A C library of its own, in a process that nobody has settled yet."""
    found = Libc()
    monkeypatch.setattr(allocator, "_process", lambda: found)
    monkeypatch.setattr(allocator, "_replacement", lambda: "")
    monkeypatch.setattr(allocator, "_kept", "")
    for name in ("GLIBC_TUNABLES", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_"):
        monkeypatch.delenv(name, raising=False)
    return found


def test_large_blocks_come_from_a_heap_that_never_shrinks(libc: Libc) -> None:
    assert settle(KEEP) == KEEP
    assert libc.asked == [(-3, 2**30), (-1, -1), (-2, 2**26)]


def test_a_glibc_that_refuses_the_threshold_maps_no_block_at_all() -> None:
    """Up to 2.33 it took none beyond 32 MiB."""
    old = Libc(allocator.M_MMAP_THRESHOLD)
    assert keep_freed_memory(old)
    assert old.asked == [(-3, 2**30), (-4, 0), (-1, -1), (-2, 2**26)]


def test_what_is_refused_is_not_in_force(libc: Libc) -> None:
    libc.refused = (allocator.M_TRIM_THRESHOLD,)
    assert settle(KEEP) == SYSTEM


def test_the_systems_own_way_asks_for_nothing(libc: Libc) -> None:
    assert settle(SYSTEM) == SYSTEM
    assert libc.asked == []


def test_there_is_no_way_back(libc: Libc) -> None:
    settle(KEEP)
    assert settle(SYSTEM) == KEEP


def test_a_system_without_glibc_is_left_alone(libc: Libc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator, "_process", object)
    assert settle(KEEP) == SYSTEM


def test_what_somebody_set_from_outside_stands(libc: Libc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072")
    assert settle(KEEP) == "environment: MALLOC_TRIM_THRESHOLD_=131072"
    assert libc.asked == []


def test_another_allocator_is_named(libc: Libc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator, "_replacement", lambda: "libjemalloc.so.2")
    assert settle(KEEP) == settle(SYSTEM) == "libjemalloc.so.2"
    assert libc.asked == []


def test_settings_of_the_environment() -> None:
    tunables = "glibc.malloc.check=3:glibc.malloc.hugetlb=1:glibc.malloc.top_pad=4096:glibc.rtld.nns=2"
    found = from_environment({"GLIBC_TUNABLES": tunables, "MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_MAX_": "0"})
    assert found == ("MALLOC_MMAP_MAX_=0", "glibc.malloc.hugetlb=1", "glibc.malloc.top_pad=4096")
    assert from_environment({"MALLOC_TOP_PAD_": ""}) == ()


@GLIBC
def test_this_process_answers_for_malloc_itself() -> None:
    assert allocator._replacement() == ""


FAULTS = """
import ctypes, json, resource, sys
from yolo_perf.machine.allocator import settle

policy = settle(sys.argv[1])
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = (ctypes.c_void_p,)

def touch(size):
    block = libc.malloc(size)
    ctypes.memset(block, 1, size)
    libc.free(block)

touch(40 * 2**20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    touch(40 * 2**20)
print(json.dumps([policy, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before]))
"""


@GLIBC
@pytest.mark.parametrize(("policy", "faulting"), [(KEEP, False), (SYSTEM, True)])
def test_freed_memory_is_there_for_the_next_call(policy: str, faulting: bool) -> None:
    """40 MiB are beyond every threshold that glibc moves to by itself: 10,240 pages, four times or not again."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC", "GLIBC"))}
    child = subprocess.run(
        [sys.executable, "-c", FAULTS, policy], capture_output=True, text=True, check=True, env=environment
    )
    in_force, faults = json.loads(child.stdout)
    assert in_force == policy
    assert (faults > 100) is faulting
