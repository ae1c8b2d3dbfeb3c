"""What the system did to this process, and to whom its CPUs went."""

import os
import sys
from pathlib import Path

import pytest

from yolo_perf.machine import host
from yolo_perf.machine.host import Counters, cpu_seconds
from yolo_perf.records import HostUse

STAT = (
    "cpu 9 9 9 9 9 9 9 900 9 0\ncpu0 10 1 5 700 50 2 2 100 1 0\n"
    "cpu1 20 1 5 700 50 2 2 300 1 0\ncpu2 1 1 1 1 1 1 1 500 1 0\nintr 1\n"
)


def test_counters_are_a_records_fields() -> None:
    assert Counters._fields == tuple(HostUse.__dataclass_fields__)


@pytest.mark.skipif(sys.platform != "linux", reason="its counters are Linux's")
def test_the_time_of_the_cpus_in_use() -> None:
    """Stolen time in the mean, worked time in sum: user, nice, system, irq, softirq; a guest's is in user's."""
    ticks = os.sysconf("SC_CLK_TCK")
    assert cpu_seconds(STAT, {0, 1}) == (200 / ticks, 50 / ticks)
    assert cpu_seconds(STAT, {2}) == (500 / ticks, 5 / ticks)


def test_what_was_added() -> None:
    before, after = Counters(1.0, 2.0, 3, 100, 7.0), Counters(1.5, 1.0, 10, 160, None)
    assert after.since(before) == (0.5, 0, 7, 60, None)  # a thread that ended took its delay with it


@pytest.mark.skipif(sys.platform != "linux", reason="its counters are Linux's")
def test_what_the_host_does_is_counted() -> None:
    found = host.read()
    assert all(value is None or value >= 0 for value in found[:2])
    assert found.involuntary_switches is not None
    assert found.page_faults is not None
    assert found.page_faults > 0


def test_a_system_without_counters_tells_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(host, "_STAT", tmp_path / "stat")
    monkeypatch.setattr(host, "resource", None)
    assert host.read() == (None,) * 5
