"""Resident memory of this process, and what is free on this machine."""

import sys
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def reset_peak_rss() -> None:
    """Start a new peak where the kernel can (Linux); elsewhere the peak stays the process's own."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return


def rss_bytes() -> int:
    """Resident bytes now."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def free_bytes(cgroup: Path = _CGROUP) -> int:
    """Bytes that can be had without swapping; a container's limit (cgroup v2) is respected."""
    import psutil

    free = int(psutil.virtual_memory().available)
    try:
        limit, used = (int((cgroup / name).read_text()) for name in ("memory.max", "memory.current"))
    except (OSError, ValueError):  # no such cgroup, or "max"
        return free
    return min(free, max(0, limit - used + _reclaimable(cgroup)))


def _reclaimable(cgroup: Path) -> int:
    """Bytes of cached files, which count as used but are given up when somebody asks."""
    try:
        counted = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
        return int(counted["inactive_file"])
    except (OSError, ValueError, KeyError):
        return 0


def peak_rss_bytes() -> int | None:
    """Peak resident bytes since the last reset, or since the start; None where nothing tells."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return _lifetime_peak()
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return _lifetime_peak()


def _lifetime_peak() -> int | None:
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
