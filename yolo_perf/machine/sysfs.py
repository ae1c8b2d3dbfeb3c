"""What Linux tells in /sys and /proc: cores, caches, clocks and quotas.

Every function takes the root under which those folders lie, and returns nothing (None, an empty container)
where a file is absent or unreadable: other systems have none of them, and containers hide some.
"""

import math
import re
from pathlib import Path

ROOT = Path("/")
_CPUS = "sys/devices/system/cpu"
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}


def read(path: Path) -> str | None:
    """The file's text, stripped, or None where it cannot be read or is empty."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip().strip("\0") or None
    except OSError:
        return None


def _number(path: Path) -> int | None:
    text = read(path)
    return int(text) if text is not None and re.fullmatch(r"-?\d+", text) else None


def cpu_list(text: str) -> tuple[int, ...]:
    """CPU numbers of a kernel list: "0-2,8" gives (0, 1, 2, 8)."""
    numbers: list[int] = []
    for part in text.replace(" ", "").split(","):
        if match := re.fullmatch(r"(\d+)(?:-(\d+))?", part):
            first = int(match[1])
            numbers.extend(range(first, int(match[2] or first) + 1))
    return tuple(numbers)


def _online(root: Path) -> tuple[int, ...]:
    """CPUs that are on and have a topology, in order."""
    folders = (root / _CPUS).glob("cpu[0-9]*/topology")
    return tuple(sorted(int(folder.parent.name.removeprefix("cpu")) for folder in folders))


def _siblings(root: Path, cpu: int) -> tuple[int, ...] | None:
    """CPUs of the physical core that `cpu` belongs to. Older kernels know only the second name."""
    folder = root / _CPUS / f"cpu{cpu}" / "topology"
    text = read(folder / "core_cpus_list") or read(folder / "thread_siblings_list")
    return (cpu_list(text) or None) if text else None


def cores(root: Path, allowed: frozenset[int] | None = None) -> tuple[int, ...]:
    """One CPU number for each physical core of which at least one CPU is allowed; () where unknown.

    None allows all. The number is the lowest allowed one of its core.
    """
    first_of: dict[tuple[int, ...], int] = {}
    for cpu in _online(root):
        if allowed is None or cpu in allowed:
            siblings = _siblings(root, cpu)
            if siblings is None:
                return ()
            first_of.setdefault(siblings, cpu)
    return tuple(sorted(first_of.values()))


def logical_cpus(root: Path) -> int | None:
    """CPUs that are on, or None where unknown."""
    return len(_online(root)) or None


def sockets(root: Path) -> int | None:
    """Distinct physical packages, or None where unknown."""
    packages = {_number(root / _CPUS / f"cpu{cpu}/topology/physical_package_id") for cpu in _online(root)}
    # Some ARM firmware answers -1: it does not know.
    return len(packages) if packages and None not in packages and -1 not in packages else None


def caches(root: Path) -> dict[str, int]:
    """Bytes of one instance of each data cache that CPU 0 uses: "L1d", "L2", "L3"."""
    sizes: dict[str, int] = {}
    for folder in sorted((root / _CPUS / "cpu0/cache").glob("index[0-9]*")):
        level, kind, text = (read(folder / name) for name in ("level", "type", "size"))
        match = re.fullmatch(r"(\d+)([KMG]?)", text or "")
        if level is None or kind not in ("Data", "Unified") or match is None or int(match[1]) == 0:
            continue
        sizes[f"L{level}d" if kind == "Data" else f"L{level}"] = int(match[1]) * _UNITS.get(match[2], 1)
    return sizes


def last_level_instances(root: Path) -> int:
    """How many last-level caches the machine has: AMD has one for every 4 to 16 cores. At least 1."""
    shared: set[str] = set()
    for cpu in _online(root):
        levels = {
            level: folder
            for folder in (root / _CPUS / f"cpu{cpu}/cache").glob("index[0-9]*")
            if (level := _number(folder / "level")) is not None
        }
        if levels and (users := read(levels[max(levels)] / "shared_cpu_list")):
            shared.add(users)
    return max(1, len(shared))


def clock_hz(root: Path) -> tuple[float | None, float | None]:
    """Lowest and highest clock in Hz that any core's hardware allows; None where unknown."""

    def values(name: str) -> list[int]:
        read_khz = (_number(root / _CPUS / f"cpu{cpu}/cpufreq" / name) for cpu in _online(root))
        return [khz for khz in read_khz if khz]

    low, high = values("cpuinfo_min_freq"), values("cpuinfo_max_freq")
    return (min(low) * 1e3 if low else None), (max(high) * 1e3 if high else None)


def has_cpufreq(root: Path) -> bool:
    """Whether a driver tells any core's clock."""
    return any((root / _CPUS).glob("cpu[0-9]*/cpufreq"))


def governor(root: Path) -> str | None:
    """The frequency governor, all of them where cores differ, or None where unknown."""
    names = {read(root / _CPUS / f"cpu{cpu}/cpufreq/scaling_governor") for cpu in _online(root)}
    return ", ".join(sorted(name for name in names if name)) or None


def hypervisor_product(root: Path) -> str | None:
    """What the virtual machine's firmware calls itself, or None where it does not."""
    dmi = root / "sys/class/dmi/id"
    parts = [part for name in ("sys_vendor", "product_name") if (part := read(dmi / name))]
    return read(root / "sys/hypervisor/type") or " ".join(dict.fromkeys(parts)) or None


def _quota_v2(folder: Path) -> float | None:
    """CPUs allowed by cgroup v2's `cpu.max`, "<quota or max> <period>", both in microseconds."""
    match = re.fullmatch(r"(\d+) (\d+)", read(folder / "cpu.max") or "")
    return int(match[1]) / int(match[2]) if match and int(match[2]) > 0 else None


def _quota_v1(folder: Path) -> float | None:
    """CPUs allowed by cgroup v1; a quota of -1 is none."""
    quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
    return quota / period if quota and period and quota > 0 and period > 0 else None


def _lineage(mount: Path, group: str) -> list[Path]:
    """Folders of a group and its ancestors. A limit on any of them binds.

    A container may see its own group mounted at the top while /proc names the host's path: then only the top
    is found.
    """
    parts = [part for part in group.split("/") if part not in ("", "..")]
    return [mount.joinpath(*parts[:depth]) for depth in range(len(parts) + 1)]


def cpu_quota(root: Path) -> float | None:
    """CPUs' worth of time that control groups grant this process, or None where there is no limit.

    Sources: Linux's admin-guide/cgroup-v2 ("cpu.max") and scheduler/sched-bwc (v1).
    """
    top = root / "sys/fs/cgroup"
    limits: list[float | None] = []
    for line in (read(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, group = [*line.split(":", 2), "", ""][:3]
        if controllers == "":
            for mount in (top, top / "unified"):
                limits += [_quota_v2(folder) for folder in _lineage(mount, group)]
        elif "cpu" in controllers.split(","):
            for mount in (top / "cpu", top / controllers, top / "cpu,cpuacct"):
                limits += [_quota_v1(folder) for folder in _lineage(mount, group)]
    return min((limit for limit in limits if limit is not None), default=None)


def whole_cores(cores_allowed: int, quota: float | None) -> int:
    """Cores that can be kept busy: never more than the quota pays for, and at least one."""
    limit = cores_allowed if quota is None else min(cores_allowed, math.floor(quota))
    return max(1, limit)


def arm_ids(root: Path) -> dict[str, int]:
    """ARM's identification registers as /proc/cpuinfo names them for its first core; {} on other CPUs.

    Keys: "CPU implementer", "CPU part", "CPU variant", "CPU revision".
    """
    found = re.findall(
        r"^(CPU (?:implementer|part|variant|revision))\s*:\s*(0x[0-9a-fA-F]+|\d+)\s*$",
        read(root / "proc/cpuinfo") or "",
        flags=re.MULTILINE,
    )
    ids: dict[str, int] = {}
    for name, value in found:
        ids.setdefault(name, int(value, 0))
    return ids
