"""Which vector extensions this CPU executes: each is tried, in a process whose death costs nothing.

Flags are claims. The system lists what it wants to (`clearcpuid=` hides what every library still finds), CPUID
says what a hypervisor lets it say, and an instruction that is claimed and faults ends the process, a whole session
of measurements. So one instruction of each that either of them claims is run by a child of a child: what ends it
by a signal does not execute here. Nothing but the standard library is needed, and less than a tenth of a second.

Tried on Linux on x86. Elsewhere the flags are believed: macOS lists what executes, and on ARM the kernel does.
"""

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

_SHAPES = bytes([1]) + bytes(15) + bytes([64, 0]) * 8 + bytes(16) + bytes([16]) * 8 + bytes(8)
"""`forms.TILE_SHAPES` once more: the child imports nothing of this package."""
_SECONDS = 20
_RETURN = "c3"

PROBES = {  # machine code by extension, of the instruction beside it; %rdi points to `_SHAPES`
    "sse4_2": "660f3837c0",  # pcmpgtq %xmm0, %xmm0
    "avx": "c5fc58c0",  # vaddps %ymm0, %ymm0, %ymm0
    "avx2": "c5fdfec0",  # vpaddd %ymm0, %ymm0, %ymm0
    "fma": "c4e27db8c0",  # vfmadd231ps %ymm0, %ymm0, %ymm0
    "f16c": "c4e27d13c0",  # vcvtph2ps %xmm0, %ymm0
    "avx512f": "62f17c4858c0",  # vaddps %zmm0, %zmm0, %zmm0
    "avx512bw": "62f17d48fcc0",  # vpaddb %zmm0, %zmm0, %zmm0
    "avx512dq": "62f2fd4840c0",  # vpmullq %zmm0, %zmm0, %zmm0
    "avx512vl": "62a17c2058c0",  # vaddps %ymm16, %ymm16, %ymm16
    "avx512_vnni": "62f27d4850c0",  # vpdpbusd %zmm0, %zmm0, %zmm0
    "avx_vnni": "c4e27d50c0",  # {vex} vpdpbusd %ymm0, %ymm0, %ymm0
    "avx512_bf16": "62f27e4852c0",  # vdpbf16ps %zmm0, %zmm0, %zmm0
    "avx512_fp16": "62f57c4858c0",  # vaddph %zmm0, %zmm0, %zmm0
    "amx_tile": "c4e2784907c4e27849c0",  # ldtilecfg (%rdi); tilerelease
    "amx_int8": "c4e2784907c4e2415ec6c4e27849c0",  # ldtilecfg (%rdi); tdpbusd %tmm7, %tmm6, %tmm0; tilerelease
    "amx_bf16": "c4e2784907c4e2425cc6c4e27849c0",  # ldtilecfg (%rdi); tdpbf16ps %tmm7, %tmm6, %tmm0; tilerelease
}
CPUID = "5389f889f14989d00fa241890041895804418948084189500c5b"
"""push %rbx; mov %edi, %eax; mov %esi, %ecx; mov %rdx, %r8; cpuid; the four to 0, 4, 8, 12(%r8); pop %rbx."""
_EAX, _EBX, _ECX, _EDX = range(4)
_CLAIMS = {  # leaf, subleaf, register, bit (Intel 325462, "CPUID"; AMD 24594)
    "fma": (1, 0, _ECX, 12),
    "sse4_2": (1, 0, _ECX, 20),
    "avx": (1, 0, _ECX, 28),
    "f16c": (1, 0, _ECX, 29),
    "avx2": (7, 0, _EBX, 5),
    "avx512f": (7, 0, _EBX, 16),
    "avx512dq": (7, 0, _EBX, 17),
    "avx512bw": (7, 0, _EBX, 30),
    "avx512vl": (7, 0, _EBX, 31),
    "avx512_vnni": (7, 0, _ECX, 11),
    "amx_bf16": (7, 0, _EDX, 22),
    "avx512_fp16": (7, 0, _EDX, 23),
    "amx_tile": (7, 0, _EDX, 24),
    "amx_int8": (7, 0, _EDX, 25),
    "avx_vnni": (7, 1, _EAX, 4),
    "avx512_bf16": (7, 1, _EAX, 5),
}


def executing(listed: Iterable[str]) -> tuple[str, ...]:
    """What executes of the listed extensions and of those that CPUID claims, sorted; the listed ones where nothing
    can be tried.
    """
    names = sorted(set(listed))
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return tuple(names)
    tried = _tried(names)
    return tuple(names) if tried is None else tuple(sorted({*tried, *(set(names) - set(PROBES))}))


def _tried(names: list[str]) -> list[str] | None:
    """What the child says, None where it cannot: a system may forbid memory that is both written and run."""
    command = [sys.executable, "-I", "-S", str(Path(__file__).resolve()), *names]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.split() if done.returncode == 0 else None


def _main(names: list[str]) -> None:
    """The child: prints what executes of the names and of what CPUID claims."""
    import ctypes

    libc = ctypes.CDLL(None)
    libc.prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE: a fault that is looked for leaves no core behind
    libc.syscall(158, 0x1023, 18)  # leave to use tiles: see `amx`
    claimed = {name for name, claim in _CLAIMS.items() if _claims(claim)}
    candidates = [name for name in PROBES if name in claimed or name in names]
    # Nearly always all of them execute. Where one does not, each is tried alone.
    able = candidates if _survives(candidates) else [name for name in candidates if _survives([name])]
    sys.stdout.write(" ".join(able) + "\n")


def _claims(claim: tuple[int, int, int, int]) -> bool:
    leaf, subleaf, register, bit = claim
    return leaf <= _cpuid(0, 0)[_EAX] and bool(_cpuid(leaf, subleaf)[register] >> bit & 1)


def _cpuid(leaf: int, subleaf: int) -> tuple[int, ...]:
    """EAX, EBX, ECX and EDX."""
    import ctypes

    registers = (ctypes.c_uint32 * 4)()
    _run(CPUID, leaf, subleaf, ctypes.addressof(registers))
    return tuple(registers)


def _survives(names: list[str]) -> bool:
    """Whether a child of this process comes through one instruction of each."""
    import ctypes

    shapes = ctypes.create_string_buffer(_SHAPES, len(_SHAPES))
    child = os.fork()
    if child == 0:
        for name in names:
            _run(PROBES[name], ctypes.addressof(shapes), 0, 0)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def _run(code: str, *arguments: int) -> None:
    """Call machine code with three integers, as the System V ABI passes them."""
    import ctypes
    import mmap

    body = bytes.fromhex(code + _RETURN)
    with mmap.mmap(-1, len(body), prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC) as memory:
        memory.write(body)
        first = ctypes.c_char.from_buffer(memory)
        call: Callable[..., None] = ctypes.CFUNCTYPE(None, *[ctypes.c_uint64] * 3)(ctypes.addressof(first))
        call(*arguments)
        del first, call


if __name__ == "__main__":
    _main(sys.argv[1:])
