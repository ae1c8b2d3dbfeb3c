"""The Machine record, its fingerprint and its names."""

import platform
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from yolo_perf.machine import identity
from yolo_perf.machine.identity import identify, parse_onednn, read_machine
from yolo_perf.machine.isa import normalise
from yolo_perf.machine.naming import describe, fingerprint, plain_model, slug
from yolo_perf.records import Machine

from .conftest import Tree
from .test_sysfs import CPU, topology

REPORTED = {
    "brand_raw": "AMD EPYC",
    "vendor_id_raw": "AuthenticAMD",
    "family": 25,
    "model": 1,
    "stepping": 1,
    "flags": ["avx2", "fma", "hypervisor", "rdtscp"],
    "hz_advertised": (2445424000, 0),
    "hz_actual": (2400000000, 0),
}


def read(root: Path, affinity: frozenset[int] | None = None, reported: dict[str, object] | None = None) -> Machine:
    return read_machine(REPORTED if reported is None else reported, affinity=affinity, libraries={}, root=root)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["AVX512-VNNI", "sse4.2", "avx1.0"], ("avx512_vnni", "sse4_2")),
        (["avx512vnni", "avx512_vnni", "rdtscp"], ("avx512_vnni",)),
        (["avxvnni", "avx512bf16", "amx-int8"], ("amx_int8", "avx512_bf16", "avx_vnni")),
        (["neon", "dotprod", "i8mm", "bf16"], ("asimd", "asimddp", "bf16", "i8mm")),
        ([], ()),
    ],
)
def test_flags_have_one_spelling(flags: list[str], expected: tuple[str, ...]) -> None:
    assert normalise(flags) == expected


def test_affinity_to_one_core(tree: Tree) -> None:
    machine = read(tree(topology(["0,2", "1,3", "0,2", "1,3"])), frozenset({1, 3}))
    assert (machine.physical_cores, machine.logical_cores, machine.usable_cores) == (2, 4, 1)
    assert machine.threads_per_core == 2
    assert describe(machine) == "AMD EPYC, 1 of 2 cores"


def test_quota_of_one_and_a_half(tree: Tree) -> None:
    tree({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "150000 100000"})
    assert read(tree(topology(["0", "1", "2"])), frozenset({0, 1, 2})).usable_cores == 1


def test_without_topology_affinity_still_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 8 if logical else 4)
    assert read(tmp_path, frozenset({0})).usable_cores == 1
    assert read(tmp_path, frozenset(range(8))).usable_cores == 4


def test_no_sys_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MacOS and Windows: psutil and cpuinfo alone, and None where they do not know."""
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 8 if logical else 4)
    monkeypatch.setattr(
        psutil, "cpu_freq", lambda: SimpleNamespace(current=3200.0, min=0.0, max=4700.0), raising=False
    )
    caches = {"l1_data_cache_size": 65536, "l2_cache_size": 2**20, "l3_cache_size": 0}
    monkeypatch.setattr(platform, "machine", lambda: "AMD64")
    machine = read(tmp_path, reported={"brand_raw": "Some CPU", **caches})
    assert (machine.physical_cores, machine.logical_cores, machine.usable_cores) == (4, 8, 4)
    assert machine.caches == {"L1d": 65536, "L2": 2**20}
    assert (machine.clock_hz_min, machine.clock_hz_max) == (None, 4.7e9)
    assert machine.clock_hz_reported == 3.2e9
    assert machine.isa == ()
    assert (machine.family, machine.sockets, machine.governor, machine.hypervisor) == (None,) * 4


def test_clock_unknown_is_none_and_not_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden() -> None:
        raise NotImplementedError

    monkeypatch.setattr(psutil, "cpu_freq", hidden, raising=False)
    machine = read(tmp_path, reported={"hz_advertised": (0, 0)})
    assert (machine.clock_hz_min, machine.clock_hz_max, machine.clock_hz_reported) == (None, None, None)


def test_cpufreq_goes_before_psutil(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = SimpleNamespace(current=1.0, min=2.0, max=3.0)
    monkeypatch.setattr(psutil, "cpu_freq", lambda: seen, raising=False)
    root = tree(topology(["0"]) | {f"{CPU}/cpu0/cpufreq/cpuinfo_max_freq": "4700000"})
    machine = read(root)
    assert (machine.clock_hz_min, machine.clock_hz_max) == (2e6, 4.7e9)
    assert machine.clock_hz_reported == 2445424000.0


VIRTUAL = {**REPORTED, "flags": ["avx2", "hypervisor", "tsc"]}


@pytest.mark.parametrize(
    ("reported", "files", "tsc"),
    [
        (VIRTUAL, {}, True),
        ({**VIRTUAL, "flags": ["tsc", "aperfmperf"]}, {}, False),
        ({**VIRTUAL, "flags": ["asimd"]}, {}, False),
        ({**VIRTUAL, "brand_raw": "Intel(R) Xeon(R) CPU @ 2.20GHz"}, {}, False),  # a name's own clock
        (VIRTUAL, {f"{CPU}/cpu0/cpufreq/cpuinfo_max_freq": "4700000"}, False),
    ],
)
def test_whose_clock_is_reported(
    tree: Tree, reported: dict[str, object], files: dict[str, str], tsc: bool
) -> None:
    root = tree(topology(["0"]) | {"proc/cpuinfo": "processor : 0"} | files)
    assert read(root, reported=reported).clock_reported_is_tsc is tsc


def test_without_linux_nobody_calls_it_the_time_stamp_counters(tmp_path: Path) -> None:
    assert read(tmp_path, reported=VIRTUAL).clock_reported_is_tsc is False


def test_what_is_listed_and_what_executes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine has what executes: a fault is said, and what the system hides is there."""
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    listed = {"flags": ["avx2", "avx512_bf16", "rdtscp"]}

    def executes(names: Iterable[str]) -> tuple[str, ...]:
        assert tuple(names) == ("avx2", "avx512_bf16")
        return ("avx2", "avx512_vnni")

    machine = read_machine(listed, affinity=None, libraries={}, root=tmp_path, executes=executes)
    assert machine.isa == ("avx2", "avx512_vnni")
    assert machine.isa_faulting == ("avx512_bf16",)


def test_a_virtual_machine_without_a_name(tree: Tree) -> None:
    assert read(tree({})).hypervisor == "unidentified"
    assert read(tree({"sys/class/dmi/id/product_name": "KVM"})).hypervisor == "KVM"
    assert read(tree({}), reported={"flags": []}).hypervisor is None


def test_arm_without_a_brand(tree: Tree) -> None:
    root = tree({"proc/cpuinfo": "CPU implementer : 0x41\nCPU part : 0xd40\nCPU revision : 1"})
    machine = read(root, reported={"flags": ["asimd"]})
    assert machine.cpu_model == "ARM implementer 0x41 part 0xd40"
    assert (machine.vendor, machine.model, machine.stepping) == ("implementer 0x41", 0xD40, 1)


def test_arm_has_its_vectors_where_nothing_lists_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS."""
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    machine = read(tmp_path, reported={"brand_raw": "Apple M1"})
    assert (machine.architecture, machine.isa) == ("arm64", ("asimd",))


@pytest.mark.parametrize(
    ("release", "expected"), [("6.8.0-45-generic", "Linux 6.8.0"), ("11", "Linux 11"), ("", "Linux")]
)
def test_system_without_build_suffix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: str, expected: str
) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "release", lambda: release)
    assert read(tmp_path).os == expected


def test_fingerprint_stays_where_speed_stays(machine: Machine) -> None:
    moved = replace(
        machine,
        clock_hz_min=1.0,
        clock_hz_max=2.0,
        clock_hz_reported=3.0,
        memory_bytes=1,
        governor="powersave",
        os="other",
        python="3.14",
        libraries={},
        clock_reported_is_tsc=True,
        isa_faulting=("avx512_bf16",),
    )
    assert fingerprint(moved) == fingerprint(machine)
    shuffled = replace(machine, caches=dict(reversed(machine.caches.items())))
    assert fingerprint(shuffled) == fingerprint(machine)


@pytest.mark.parametrize(
    "change",
    [
        {"architecture": "aarch64"},
        {"vendor": "GenuineIntel"},
        {"cpu_model": "AMD EPYC 2"},
        {"family": None},
        {"model": 2},
        {"stepping": 2},
        {"isa": ("avx2",)},
        {"sockets": 2},
        {"physical_cores": 4},
        {"logical_cores": 4},
        {"usable_cores": 1},
        {"caches": {"L3": 2**24}},
    ],
)
def test_fingerprint_moves_with_the_hardware(machine: Machine, change: dict[str, object]) -> None:
    assert fingerprint(replace(machine, **change)) != fingerprint(machine)  # type: ignore[arg-type]


def test_fingerprint_is_the_same_tomorrow(machine: Machine) -> None:
    """Saved baselines are found by it: a change here orphans them all."""
    assert fingerprint(machine) == "9cf14f98b0d9"
    assert slug(machine) == "amd-epyc-25-1-1-2c-9cf14f98"


def test_slug_is_safe_everywhere(machine: Machine) -> None:
    odd = replace(machine, cpu_model='CON/..\\*?"<>| \u00e9\u4e2d ' + "x" * 300, family=None)
    name = slug(odd)
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert len(name) < 80
    assert slug(replace(machine, cpu_model="\u4e2d")).startswith("cpu-25-1-1-2c-")


@pytest.mark.parametrize(
    ("brand", "plain"),
    [
        ("Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz", "Intel Xeon Platinum 8370C"),
        ("AMD Ryzen 7 6800HS with Radeon Graphics", "AMD Ryzen 7 6800HS"),
        ("AMD EPYC 7763 64-Core Processor", "AMD EPYC 7763"),
        ("12th Gen Intel(R) Core(TM) i7-12700", "Intel Core i7-12700"),
        ("CPU", "CPU"),
        ("", "unknown CPU"),
    ],
)
def test_plain_model(brand: str, plain: str) -> None:
    assert plain_model(brand) == plain


def test_describe_one_core(machine: Machine) -> None:
    assert describe(machine) == "AMD EPYC, 2 cores"
    assert describe(replace(machine, physical_cores=1, usable_cores=1)) == "AMD EPYC, 1 core"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("  - Intel(R) MKL-DNN v3.12.0 (Git Hash 80afa71)", "3.12.0"),
        ("  - oneDNN v4.1 (Git Hash 80afa71)", "4.1"),
        ("  - OpenMP 201511", None),
    ],
)
def test_parse_onednn(text: str, version: str | None) -> None:
    assert parse_onednn(text) == version


def test_this_machine() -> None:
    machine = identify(with_torch=False)
    assert machine is identify(with_torch=False)
    assert 1 <= machine.usable_cores <= machine.physical_cores <= machine.logical_cores
    assert machine.libraries["numpy"]
    assert "onednn" not in machine.libraries
    assert len(fingerprint(machine)) == 12
    assert len(identity.core_cpus()) <= machine.physical_cores


def test_identity_without_torch_imports_nothing_heavy() -> None:
    code = (
        "import sys; from yolo_perf.machine.identity import identify; identify(with_torch=False); "
        "print(sorted({'torch', 'onnxruntime', 'cv2', 'llvmlite', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
