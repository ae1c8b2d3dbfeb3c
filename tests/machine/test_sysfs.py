"""Reading of /sys and /proc, against trees as real machines have them."""

from pathlib import Path

import pytest

from yolo_perf.machine import sysfs

from .conftest import Tree

CPU = "sys/devices/system/cpu"


def topology(siblings: list[str], name: str = "core_cpus_list", package: str = "0") -> dict[str, str]:
    files = {f"{CPU}/cpu{cpu}/topology/{name}": text for cpu, text in enumerate(siblings)}
    return files | {f"{CPU}/cpu{cpu}/topology/physical_package_id": package for cpu in range(len(siblings))}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", (0,)), ("0-2,8", (0, 1, 2, 8)), ("0, 64", (0, 64)), ("", ()), ("nonsense", ())],
)
def test_cpu_list(text: str, expected: tuple[int, ...]) -> None:
    assert sysfs.cpu_list(text) == expected


def test_smt_siblings_are_one_core(tree: Tree) -> None:
    root = tree(topology(["0,2", "1,3", "0,2", "1,3"]))
    assert sysfs.cores(root) == (0, 1)
    assert sysfs.logical_cpus(root) == 4
    assert sysfs.cores(root, frozenset({2})) == (2,)
    assert sysfs.cores(root, frozenset({0, 2})) == (0,)
    assert sysfs.cores(root, frozenset({2, 3})) == (2, 3)


def test_old_kernels_name_siblings_differently(tree: Tree) -> None:
    root = tree(topology(["0-1", "0-1", "2-3", "2-3"], name="thread_siblings_list"))
    assert sysfs.cores(root) == (0, 2)


def test_cpus_sort_as_numbers(tree: Tree) -> None:
    root = tree(topology([str(cpu) for cpu in range(12)]))
    assert sysfs.cores(root) == tuple(range(12))


def test_hybrid_cores_count_whole(tree: Tree) -> None:
    """Two performance cores of two threads each, four efficiency cores of one."""
    root = tree(topology(["0-1", "0-1", "2-3", "2-3", "4", "5", "6", "7"]))
    assert sysfs.cores(root) == (0, 2, 4, 5, 6, 7)
    clocks = {0: 5_000_000, 2: 5_200_000, 4: 3_900_000}
    tree({f"{CPU}/cpu{cpu}/cpufreq/cpuinfo_max_freq": str(khz) for cpu, khz in clocks.items()})
    tree({f"{CPU}/cpu4/cpufreq/cpuinfo_min_freq": "400000"})
    assert sysfs.clock_hz(root) == (0.4e9, 5.2e9)


def test_governors(tree: Tree) -> None:
    root = tree(topology(["0", "1"]) | {f"{CPU}/cpu0/cpufreq/scaling_governor": "performance"})
    assert sysfs.governor(root) == "performance"
    tree({f"{CPU}/cpu1/cpufreq/scaling_governor": "powersave"})
    assert sysfs.governor(root) == "performance, powersave"


def test_a_partly_hidden_topology_is_unknown(tree: Tree) -> None:
    root = tree(topology(["0", "1"]))
    (root / CPU / "cpu1/topology/core_cpus_list").unlink()
    assert sysfs.cores(root) == ()


def test_sockets(tree: Tree) -> None:
    root = tree(topology(["0", "1"]))
    assert sysfs.sockets(root) == 1
    tree({f"{CPU}/cpu1/topology/physical_package_id": "1"})
    assert sysfs.sockets(root) == 2
    tree({f"{CPU}/cpu1/topology/physical_package_id": "-1"})
    assert sysfs.sockets(root) is None


def cache(cpu: int, index: int, level: str, kind: str, size: str, shared: str = "0") -> dict[str, str]:
    folder = f"{CPU}/cpu{cpu}/cache/index{index}"
    names = {"level": level, "type": kind, "size": size, "shared_cpu_list": shared}
    return {f"{folder}/{name}": text for name, text in names.items()}


def test_caches_of_one_core(tree: Tree) -> None:
    root = tree(
        cache(0, 0, "1", "Data", "32K")
        | cache(0, 1, "1", "Instruction", "64K")
        | cache(0, 2, "2", "Unified", "512K")
        | cache(0, 3, "3", "Unified", "32M")
        | cache(0, 4, "4", "Unified", "0K")
    )
    assert sysfs.caches(root) == {"L1d": 2**15, "L2": 2**19, "L3": 2**25}


def test_last_level_caches_are_counted_once(tree: Tree) -> None:
    root = tree(topology(["0", "1", "2", "3"]))
    assert sysfs.last_level_instances(root) == 1
    for cpu in range(4):
        tree(cache(cpu, 0, "1", "Data", "32K", str(cpu)))
        tree(cache(cpu, 3, "3", "Unified", "32M", "0-1" if cpu < 2 else "2-3"))
    assert sysfs.last_level_instances(root) == 2


def test_no_such_system(tmp_path: Path) -> None:
    """As on macOS and Windows: nothing is known, nothing is raised."""
    assert sysfs.cores(tmp_path) == ()
    assert sysfs.logical_cpus(tmp_path) is None
    assert sysfs.sockets(tmp_path) is None
    assert sysfs.caches(tmp_path) == {}
    assert sysfs.clock_hz(tmp_path) == (None, None)
    assert sysfs.governor(tmp_path) is None
    assert sysfs.hypervisor_product(tmp_path) is None
    assert sysfs.cpu_quota(tmp_path) is None
    assert sysfs.arm_ids(tmp_path) == {}


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"proc/self/cgroup": "0::/job", "sys/fs/cgroup/job/cpu.max": "150000 100000"}, 1.5),
        ({"proc/self/cgroup": "0::/job", "sys/fs/cgroup/job/cpu.max": "max 100000"}, None),
        # The parent's limit binds as well.
        (
            {
                "proc/self/cgroup": "0::/slice/job",
                "sys/fs/cgroup/slice/cpu.max": "200000 100000",
                "sys/fs/cgroup/slice/job/cpu.max": "400000 100000",
            },
            2.0,
        ),
        # A container without its own cgroup namespace sees the host's path, and its group at the top.
        ({"proc/self/cgroup": "0::/host/path", "sys/fs/cgroup/cpu.max": "300000 100000"}, 3.0),
        (
            {
                "proc/self/cgroup": "5:memory:/m\n4:cpu,cpuacct:/docker/x\n0::/",
                "sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us": "250000",
                "sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us": "100000",
            },
            2.5,
        ),
        (
            {
                "proc/self/cgroup": "4:cpu:/",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            None,
        ),
        # "cpuset" is not "cpu", and a torn line is no limit.
        ({"proc/self/cgroup": "4:cpuset:/\ntorn", "sys/fs/cgroup/cpu.max": "x y"}, None),
    ],
)
def test_cpu_quota(tree: Tree, files: dict[str, str], quota: float | None) -> None:
    assert sysfs.cpu_quota(tree(files)) == quota


@pytest.mark.parametrize(
    ("cores", "quota", "expected"), [(8, None, 8), (8, 1.5, 1), (8, 0.5, 1), (8, 3.99, 3), (2, 16.0, 2)]
)
def test_whole_cores(cores: int, quota: float | None, expected: int) -> None:
    assert sysfs.whole_cores(cores, quota) == expected


def test_hypervisor_product(tree: Tree) -> None:
    dmi = {"sys/class/dmi/id/sys_vendor": "QEMU", "sys/class/dmi/id/product_name": "Standard PC"}
    assert sysfs.hypervisor_product(tree(dmi)) == "QEMU Standard PC"
    assert sysfs.hypervisor_product(tree({"sys/class/dmi/id/product_name": "QEMU"})) == "QEMU"
    assert sysfs.hypervisor_product(tree({"sys/hypervisor/type": "xen"})) == "xen"


def test_arm_ids(tree: Tree) -> None:
    text = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\nCPU revision\t: 1\n\nCPU part\t: 0xd0c"
    assert sysfs.arm_ids(tree({"proc/cpuinfo": text})) == {
        "CPU implementer": 0x41,
        "CPU part": 0xD40,
        "CPU revision": 1,
    }
