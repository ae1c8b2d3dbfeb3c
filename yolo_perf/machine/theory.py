"""What the fp32 roof should be: the measured clock times FLOP per cycle on paper times cores.

FLOP per cycle of one core is pipes x lanes x 2. Sources: the vendors' optimisation guides (AMD 55723, 56305,
57647 and 58455; Intel 248966; Arm's Neoverse guides) and Agner Fog's microarchitecture manual; which models
belong to which AMD core is as in Linux's arch/x86/kernel/cpu/amd.c, Intel's as in its intel-family.h.
What is not listed here is unknown, not guessed.
"""

from yolo_perf.records import Machine

_AMD = (
    # family, first model, last model, FLOP per cycle
    (0x17, 0x00, 0x2F, 16),  # Zen, Zen+: two 128-bit FMA pipes
    (0x17, 0x30, 0x4F, 32),  # Zen 2: two 256-bit pipes
    (0x17, 0x50, 0x5F, 16),
    (0x17, 0x60, 0x7F, 32),
    (0x17, 0x90, 0x91, 32),
    (0x17, 0xA0, 0xAF, 32),
    (0x19, 0x00, 0x0F, 32),  # Zen 3
    (0x19, 0x10, 0x1F, 32),  # Zen 4: 512-bit instructions take two turns of the same pipes
    (0x19, 0x20, 0x5F, 32),  # Zen 3, Zen 3+
    (0x19, 0x60, 0xAF, 32),  # Zen 4
    (0x1A, 0x00, 0x1F, 64),  # Zen 5 servers: two 512-bit pipes
    (0x1A, 0x20, 0x2F, 32),  # Zen 5 laptops: half as wide
    (0x1A, 0x40, 0x4F, 64),  # Zen 5 desktops
    (0x1A, 0x60, 0x6F, 32),
)
_INTEL_256 = frozenset(
    {0x3C, 0x3F, 0x45, 0x46, 0x3D, 0x47, 0x4F, 0x56, 0x4E, 0x5E, 0x8E, 0x9E, 0xA5, 0xA6}
    # Haswell, Broadwell, Skylake to Comet Lake: two 256-bit pipes; then Ice, Tiger and Rocket Lake, whose
    # single 512-bit pipe does as much.
    | {0x7D, 0x7E, 0x8C, 0x8D, 0xA7}
)
_INTEL_512 = frozenset({0x6A, 0x6C, 0x8F, 0xCF, 0xAD, 0xAE})  # Ice Lake to Granite Rapids servers: two pipes
_SKYLAKE_SERVER = 0x55  # two 512-bit pipes, but only one in Bronze, Silver and most Gold 5000
_ARM = {"neoverse-n1": 16, "neoverse-n2": 16, "neoverse-v1": 32, "neoverse-v2": 32}
_ARM_PARTS = {0xD0C: 16, 0xD49: 16, 0xD40: 32, 0xD4F: 32}  # the same four, by part number


def flop_per_cycle(machine: Machine) -> int | None:
    """FP32 FLOP that one core can do in a cycle, or None where the microarchitecture is not listed."""
    isa = frozenset(machine.isa)
    if "asimd" in isa:
        return _arm(machine)
    if "fma" not in isa or "avx2" not in isa:
        return None  # an older core, or one whose extensions are hidden: the table would promise too much
    if machine.vendor == "AuthenticAMD":
        # Without AVX-512 (hidden by a hypervisor, say) a wide core does no more than two 256-bit FMAs.
        return _limited(_amd(machine.family, machine.model), wide="avx512f" in isa)
    if machine.vendor == "GenuineIntel" and machine.family == 6:
        return _limited(_intel(machine), wide="avx512f" in isa)
    return None


def theoretical_flops_per_s(machine: Machine, threads: int, clock_hz: float) -> float | None:
    """FP32 FLOP/s of `threads` cores at the clock that they ran at; None for an unknown microarchitecture."""
    per_cycle = flop_per_cycle(machine)
    return None if per_cycle is None else clock_hz * per_cycle * threads


def _limited(per_cycle: int | None, *, wide: bool) -> int | None:
    return per_cycle if per_cycle is None or wide else min(per_cycle, 32)


def _amd(family: int | None, model: int | None) -> int | None:
    if family is None or model is None:
        return None
    ranges = (flop for member, first, last, flop in _AMD if member == family and first <= model <= last)
    return next(ranges, None)


def _intel(machine: Machine) -> int | None:
    """Hybrid cores are not listed: their two kinds differ."""
    if machine.model in _INTEL_256:
        return 32
    if machine.model in _INTEL_512:
        return 64
    if machine.model == _SKYLAKE_SERVER and any(
        name in machine.cpu_model for name in ("Platinum", "Gold 6", "Xeon(R) W-")
    ):
        return 64
    return None


def _arm(machine: Machine) -> int | None:
    by_name = _ARM.get(machine.cpu_model.strip().lower().replace(" ", "-"))
    # Part numbers are the implementer's own: 0x41 is Arm itself.
    by_part = _ARM_PARTS.get(machine.model or 0) if "0x41" in f"{machine.vendor} {machine.cpu_model}" else None
    return by_name or by_part
