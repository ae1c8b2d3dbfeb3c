"""What the system did to this process while it was timed: page faults, lost CPUs, neighbours, a stolen clock.

This file imports nothing of the package: paired workers load it by its path, whatever tree they measure.
"""

import os
import time
from pathlib import Path
from typing import NamedTuple

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

_STAT = Path("/proc/stat")
_TASKS = Path("/proc/self/task")
_IDLE = (3, 4)  # idle, iowait: columns of /proc/stat, see proc(5)
_COUNTED = 8  # user, nice, system, idle, iowait, irq, softirq, steal; guests are in user already
_STEAL = 7


class Counters(NamedTuple):
    """Sums since the start of process or system, or what lies between two such; None where the system is silent.

    The names are those of `records.HostUse`.
    """

    steal_s: float | None = None  # taken from this process's CPUs by the machine's host, the mean of them
    run_delay_s: float | None = None  # threads of this process were ready and waited for a CPU
    involuntary_switches: int | None = None  # threads of this process lost a CPU they still wanted
    page_faults: int | None = None  # of this process, served without reading from a disk
    other_cpu_s: float | None = None  # CPU time of everybody else on the CPUs that this process may use

    def since(self, before: "Counters") -> "Counters":
        """What was added; never less than nothing: a thread takes its counters with it, and ticks are coarse."""
        return Counters._make(
            None if now is None or was is None else max(now - was, 0)
            for now, was in zip(self, before, strict=True)
        )


def read() -> Counters:
    """The counters now. Takes some tens of microseconds, so never within a timed round."""
    steal = busy = delay = None
    try:
        steal, busy = cpu_seconds(_STAT.read_text(encoding="ascii"), os.sched_getaffinity(0))
        delay = sum(int((task / "schedstat").read_text().split()[1]) for task in _TASKS.iterdir()) / 1e9
    except (OSError, ValueError, IndexError, ZeroDivisionError, AttributeError):
        pass  # another system, or a kernel without these counters
    used = resource.getrusage(resource.RUSAGE_SELF) if resource else None
    return Counters(
        steal_s=steal,
        run_delay_s=delay,
        involuntary_switches=used.ru_nivcsw if used else None,
        page_faults=used.ru_minflt if used else None,
        other_cpu_s=None if busy is None else busy - time.process_time(),
    )


def cpu_seconds(stat: str, cpus: "set[int]") -> tuple[float, float]:
    """Seconds stolen from each of these CPUs in the mean, seconds all of them worked; from /proc/stat's text."""
    names = {f"cpu{number}" for number in cpus}
    lines = [
        [int(field) for field in fields[1 : _COUNTED + 1]]
        for fields in map(str.split, stat.splitlines())
        if fields and fields[0] in names
    ]
    tick = os.sysconf("SC_CLK_TCK")
    stolen = sum(line[_STEAL] for line in lines)
    idle = sum(line[column] for line in lines for column in _IDLE)
    busy = sum(map(sum, lines)) - idle - stolen
    return stolen / tick / len(lines), busy / tick
