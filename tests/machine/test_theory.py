"""FLOP per cycle of known cores, and None for the rest."""

from dataclasses import replace

import pytest

from yolo_perf.machine.theory import flop_per_cycle, theoretical_flops_per_s
from yolo_perf.records import Machine

FMA = ("avx", "avx2", "fma")
AVX512 = (*FMA, "avx512f")


@pytest.mark.parametrize(
    ("vendor", "family", "model", "isa", "flop"),
    [
        ("AuthenticAMD", 23, 0x01, FMA, 16),  # Zen
        ("AuthenticAMD", 23, 0x31, FMA, 32),  # Zen 2
        ("AuthenticAMD", 25, 0x01, FMA, 32),  # Zen 3
        ("AuthenticAMD", 25, 0x44, FMA, 32),  # Zen 3+
        ("AuthenticAMD", 25, 0x11, AVX512, 32),  # Zen 4
        ("AuthenticAMD", 26, 0x02, AVX512, 64),  # Zen 5
        ("AuthenticAMD", 26, 0x02, FMA, 32),  # Zen 5, AVX-512 hidden
        ("AuthenticAMD", 26, 0x24, AVX512, 32),
        ("AuthenticAMD", 99, 0x01, FMA, None),
        ("AuthenticAMD", None, 0x01, FMA, None),
        ("AuthenticAMD", 25, 0x01, ("avx",), None),  # FMA hidden
        ("GenuineIntel", 6, 0x3F, FMA, 32),  # Haswell
        ("GenuineIntel", 6, 0x6A, AVX512, 64),  # Ice Lake server
        ("GenuineIntel", 6, 0x7E, AVX512, 32),  # Ice Lake client
        ("GenuineIntel", 6, 0x8F, FMA, 32),  # Sapphire Rapids, AVX-512 hidden
        ("GenuineIntel", 6, 0x97, FMA, None),  # hybrid
        ("GenuineIntel", 6, 0x55, AVX512, None),  # Skylake server of unknown rank
        ("Other", 6, 0x3F, FMA, None),
    ],
)
def test_x86(
    machine: Machine, vendor: str, family: int | None, model: int, isa: tuple[str, ...], flop: int | None
) -> None:
    assert flop_per_cycle(replace(machine, vendor=vendor, family=family, model=model, isa=isa)) == flop


def test_skylake_server_by_its_rank(machine: Machine) -> None:
    xeon = replace(machine, vendor="GenuineIntel", family=6, model=0x55, isa=AVX512)
    assert flop_per_cycle(replace(xeon, cpu_model="Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz")) == 64
    assert flop_per_cycle(replace(xeon, cpu_model="Intel(R) Xeon(R) Gold 6148 CPU @ 2.40GHz")) == 64
    assert flop_per_cycle(replace(xeon, cpu_model="Intel(R) Xeon(R) Silver 4110 CPU @ 2.10GHz")) is None


def test_arm(machine: Machine) -> None:
    arm = replace(machine, isa=("asimd",), family=None, model=None, vendor="ARM")
    assert flop_per_cycle(replace(arm, cpu_model="Neoverse-V1")) == 32
    assert flop_per_cycle(replace(arm, cpu_model="Neoverse-N1")) == 16
    assert flop_per_cycle(replace(arm, cpu_model="Apple M1")) is None
    assert flop_per_cycle(replace(arm, cpu_model="ARM", vendor="implementer 0x41", model=0xD49)) == 16
    assert flop_per_cycle(replace(arm, cpu_model="ARM", vendor="implementer 0x48", model=0xD49)) is None


def test_theoretical_is_at_the_clock_that_was_measured(machine: Machine) -> None:
    """Whatever clock the system tells: on a virtual machine it is the time stamp counter's."""
    assert theoretical_flops_per_s(machine, 2, 3.9e9) == 3.9e9 * 32 * 2
    assert theoretical_flops_per_s(replace(machine, clock_hz_max=3.5e9), 1, 3.9e9) == 3.9e9 * 32
    assert theoretical_flops_per_s(replace(machine, vendor="Other"), 2, 3.9e9) is None
