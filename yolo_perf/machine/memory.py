"""Peak resident memory of this process."""

import sys
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def reset_peak_rss() -> None:
    """Start a new peak where the kernel can (Linux); elsewhere the peak stays the process's own."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return


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
