"""Which machine this is: what it reports about itself."""

import functools
import os
import platform
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from yolo_perf.errors import UsageError
from yolo_perf.machine import sysfs
from yolo_perf.machine.executes import executing
from yolo_perf.machine.isa import normalise
from yolo_perf.machine.versions import version
from yolo_perf.records import Machine

_LIBRARIES = {
    "torch": "torch",
    "onnxruntime": "onnxruntime",
    "numpy": "numpy",
    "opencv": "cv2",
    "pytest-benchmark": "pytest_benchmark",
}
"""Names in a record, and the modules that are imported."""
NO_CPUINFO = (
    "The module cpuinfo cannot be imported: py-cpuinfo and py-cpuinfo2 share its files, and removing one removes "
    "them. Install it again: pip install --force-reinstall py-cpuinfo2"
)
_UNIDENTIFIED = "unidentified"
"""The CPU says that it is virtual, but nothing says by what."""


@functools.cache
def identify(*, with_torch: bool = True) -> Machine:
    """The Machine we are on, within half a second; `with_torch` adds oneDNN's version for torch's import.

    Raises UsageError where the package that asks the CPU is broken.
    """
    try:
        import cpuinfo
    except ImportError as error:  # as after `pip uninstall py-cpuinfo` beside py-cpuinfo2: they share their files
        raise UsageError(NO_CPUINFO) from error

    versions = library_versions()
    if with_torch and (onednn := onednn_version()) is not None:
        versions["onednn"] = onednn
    return read_machine(cpuinfo.get_cpu_info(), affinity=_affinity(), libraries=versions, executes=executing)


def read_machine(
    reported: Mapping[str, object],
    *,
    affinity: frozenset[int] | None,
    libraries: Mapping[str, str],
    root: Path = sysfs.ROOT,
    executes: Callable[[Iterable[str]], tuple[str, ...]] = tuple,
) -> Machine:
    """A Machine from what cpuinfo reported and what lies under `root`; psutil fills in the rest.

    `executes` tells what the CPU executes of the extensions that it lists, and what else; by default the list is
    believed. Long, as every field has a line of its own.
    """
    import psutil

    architecture = platform.machine() or str(reported.get("arch_string_raw") or "unknown")
    flags = _flags(reported, architecture)
    logical = sysfs.logical_cpus(root) or psutil.cpu_count() or 1
    physical = len(sysfs.cores(root)) or psutil.cpu_count(logical=False) or logical
    low, high, current = _clocks(root)
    arm = sysfs.arm_ids(root)
    listed = normalise(flags)
    isa = executes(listed)
    return Machine(
        cpu_model=_cpu_model(reported, arm),
        vendor=str(reported.get("vendor_id_raw") or _arm_vendor(arm) or "unknown"),
        architecture=architecture,
        family=_whole(reported.get("family")),
        model=_first(_whole(reported.get("model")), arm.get("CPU part")),
        stepping=_first(_whole(reported.get("stepping")), arm.get("CPU revision")),
        isa=isa,
        sockets=sysfs.sockets(root),
        physical_cores=physical,
        logical_cores=logical,
        usable_cores=_usable(root, affinity, physical),
        clock_hz_min=low,
        clock_hz_max=high,
        clock_hz_reported=_hz(reported, "hz_advertised") or _hz(reported, "hz_actual") or current,
        memory_bytes=psutil.virtual_memory().total,
        caches=sysfs.caches(root) or _reported_caches(reported),
        governor=sysfs.governor(root),
        hypervisor=_hypervisor(root, virtual="hypervisor" in flags),
        os=_system(),
        python=platform.python_version(),
        libraries=dict(libraries),
        clock_reported_is_tsc=_reports_tsc(reported, frozenset(flags), root),
        isa_faulting=tuple(name for name in listed if name not in isa),
    )


def library_versions() -> dict[str, str]:
    """Versions of the libraries that decide speed, of those that can be imported."""
    return {name: text for name, module in _LIBRARIES.items() if (text := version(module))}


def onednn_version() -> str | None:
    """The version of the oneDNN inside torch, or None without one. Imports torch: seconds."""
    try:
        import torch
    except ImportError:
        return None
    return parse_onednn(torch.__config__.show())


def parse_onednn(configuration: str) -> str | None:
    """Version of oneDNN in torch's build summary, under its present or its former name."""
    match = re.search(r"(?:MKL-DNN|oneDNN) v(\d+(?:\.\d+)*)", configuration)
    return match[1] if match else None


def core_cpus(root: Path = sysfs.ROOT) -> tuple[int, ...]:
    """One CPU number for each physical core that this process may run on; () where it cannot be known."""
    affinity = _affinity()
    return () if affinity is None else sysfs.cores(root, affinity)


def _affinity() -> frozenset[int] | None:
    """CPUs that this process may run on, or None where the system does not restrict or tell."""
    if sys.platform == "linux":
        return frozenset(os.sched_getaffinity(0))
    return None


def _usable(root: Path, affinity: frozenset[int] | None, physical: int) -> int:
    """Physical cores that this process can keep busy: affinity first, then the quota."""
    allowed = physical
    if affinity is not None:
        allowed = len(sysfs.cores(root, affinity)) or min(len(affinity), physical)
    return sysfs.whole_cores(allowed, sysfs.cpu_quota(root))


def _flags(reported: Mapping[str, object], architecture: str) -> tuple[str, ...]:
    """CPU flags as reported. Every 64-bit ARM has Advanced SIMD (its ABI asks for it), listed or not."""
    flags = reported.get("flags")
    listed = tuple(str(flag) for flag in flags) if isinstance(flags, list | tuple) else ()
    return (*listed, "asimd") if architecture.lower() in ("aarch64", "arm64") else listed


def _cpu_model(reported: Mapping[str, object], arm: Mapping[str, int]) -> str:
    """The brand, or ARM's identification registers where there is no brand."""
    brand = str(reported.get("brand_raw") or "").strip()
    if not brand and "CPU part" in arm:
        return f"ARM implementer {arm.get('CPU implementer', 0):#04x} part {arm['CPU part']:#05x}"
    return " ".join(brand.split()) or platform.processor() or "unknown CPU"


def _arm_vendor(arm: Mapping[str, int]) -> str | None:
    implementer = arm.get("CPU implementer")
    return None if implementer is None else f"implementer {implementer:#04x}"


def _clocks(root: Path) -> tuple[float | None, float | None, float | None]:
    """Lowest, highest and present clock in Hz: cpufreq's limits first, psutil's where it has none."""
    import psutil

    low, high = sysfs.clock_hz(root)
    try:
        seen = psutil.cpu_freq()
    except (OSError, NotImplementedError, RuntimeError):  # what psutil raises where a platform hides it
        seen = None
    if seen is None:
        return low, high, None
    # psutil speaks MHz and says 0 for unknown.
    return low or seen.min * 1e6 or None, high or seen.max * 1e6 or None, seen.current * 1e6 or None


def _reports_tsc(reported: Mapping[str, object], flags: frozenset[str], root: Path) -> bool:
    """Whether the reported clock is the time stamp counter's: Linux shows its rate as "cpu MHz" where neither the
    counters of APERF and MPERF nor a frequency driver tell the clock, as on virtual machines.

    Source: `arch_freq_get_on_cpu` in Linux's arch/x86/kernel/cpu/aperfmperf.c. A clock in a CPU's name is its own.
    """
    if "tsc" not in flags or "aperfmperf" in flags or not (root / "proc/cpuinfo").exists():
        return False
    return not sysfs.has_cpufreq(root) and "hz" not in str(reported.get("brand_raw")).lower()


def _hz(reported: Mapping[str, object], key: str) -> float | None:
    """Hz of one of cpuinfo's (Hz, exponent) pairs, None where it is absent or zero."""
    value = reported.get(key)
    if isinstance(value, list | tuple) and value and isinstance(value[0], int | float) and value[0] > 0:
        return float(value[0])
    return None


def _reported_caches(reported: Mapping[str, object]) -> dict[str, int]:
    """Cache sizes in bytes that cpuinfo found. Some systems report the sum of all instances."""
    names = {"L1d": "l1_data_cache_size", "L2": "l2_cache_size", "L3": "l3_cache_size"}
    sizes = {level: _whole(reported.get(name)) for level, name in names.items()}
    return {level: size for level, size in sizes.items() if size}


def _hypervisor(root: Path, *, virtual: bool) -> str | None:
    """What this machine runs under, None on bare metal or where nothing tells."""
    if virtual:
        return sysfs.hypervisor_product(root) or _UNIDENTIFIED
    return sysfs.read(root / "sys/hypervisor/type")


def _system() -> str:
    """System and its version's number: "Linux 6.8.0". A build's own suffix says nothing about speed."""
    number = re.match(r"[\d.]*\d", platform.release())
    return f"{platform.system()} {number[0] if number else ''}".strip() or "unknown"


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _first(one: int | None, other: int | None) -> int | None:
    return other if one is None else one
