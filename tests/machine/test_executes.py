"""What executes is tried: in children, whose death is looked for."""

import platform
import re
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import pytest

from yolo_perf.machine import executes
from yolo_perf.machine.executes import CPUID, PROBES, executing
from yolo_perf.machine.isa import INFERENCE_EXTENSIONS
from yolo_perf.machine.kernels import host_isa

SOURCE = Path(executes.__file__)
X86 = sys.platform == "linux" and platform.machine() == "x86_64"
x86 = pytest.mark.skipif(not X86, reason="instructions are tried on Linux on x86")
UNDEFINED, LEGAL = "0f0b", "90"  # ud2, nop


def assembled(text: str) -> str:
    """LLVM's machine code of AT&T assembly text, in hexadecimal digits."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()
    module = llvm.parse_assembly(f'module asm "{text}"')
    module.triple = "x86_64-unknown-linux-gnu"
    machine = llvm.Target.from_triple(module.triple).create_target_machine(cpu="sapphirerapids")
    sections = llvm.object_file.ObjectFileRef.from_data(machine.emit_object(module)).sections()
    return str(next(section.data().hex() for section in sections if section.is_text()))


@x86
@pytest.mark.parametrize("name", PROBES)
def test_the_machine_code_is_that_of_the_instruction_beside_it(name: str) -> None:
    beside = re.search(rf'"{name}": "{PROBES[name]}",  # (.+)', SOURCE.read_text(encoding="utf-8"))
    assert beside is not None
    assert assembled(beside[1]) == PROBES[name]


@x86
def test_the_machine_code_of_cpuid() -> None:
    stores = "; ".join(f"mov %e{r}x, {4 * n}(%r8)" if n else f"mov %e{r}x, (%r8)" for n, r in enumerate("abcd"))
    before = "push %rbx; mov %edi, %eax; mov %esi, %ecx; mov %rdx, %r8; cpuid"
    assert assembled(f"{before}; {stores}; pop %rbx") == CPUID


def test_every_extension_of_x86_is_tried() -> None:
    assert (
        set(PROBES) == set(executes._CLAIMS) == INFERENCE_EXTENSIONS - {"asimd", "asimddp", "i8mm", "bf16", "sve"}
    )


def child(machine_code: dict[str, str], claimed: tuple[str, ...], listed: tuple[str, ...]) -> list[str]:
    """What the child prints on a CPU where extensions are made of this code and CPUID claims these."""
    code = (
        "from yolo_perf.machine import executes\n"
        f"executes.PROBES = {machine_code!r}\n"
        f"executes._CLAIMS = {{name: name for name in {machine_code!r}}}\n"
        f"executes._claims = lambda name: name in {claimed!r}\n"
        f"executes._main({list(listed)!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


@x86
def test_a_claim_that_faults_is_no_extension() -> None:
    """Listed by the system, claimed by CPUID or both: a fault is a fault, and takes no other with it."""
    cpu = {"avx2": LEGAL, "avx512f": UNDEFINED, "avx512_bf16": UNDEFINED, "fma": LEGAL}
    assert child(cpu, ("avx2", "avx512_bf16"), ("avx2", "avx512f", "avx512_bf16", "fma")) == ["avx2", "fma"]


@x86
def test_what_the_system_hides_is_found() -> None:
    """By a kernel's `clearcpuid=`: oneDNN asks CPUID and uses it all the same."""
    cpu = {"avx2": LEGAL, "avx512_vnni": LEGAL}
    assert child(cpu, ("avx2", "avx512_vnni"), ("avx2",)) == ["avx2", "avx512_vnni"]
    assert child(cpu, (), ("avx2",)) == ["avx2"]


@x86
def test_this_cpu_executes_what_llvm_finds() -> None:
    """LLVM reads CPUID and what the system saves of the registers; leave to use tiles it does not ask for."""
    found = executing(())
    assert set(host_isa()) - set(found) <= {"amx_tile", "amx_int8", "amx_bf16"}
    assert executing(("asimd",)) == tuple(sorted({*found, "asimd"}))


@pytest.mark.parametrize(
    "cannot",
    [
        subprocess.TimeoutExpired("python", 20),
        OSError("no more processes"),
        subprocess.CompletedProcess("python", 1, "", "PermissionError: no memory that is written and run"),
    ],
)
def test_where_nothing_can_be_tried_the_list_is_believed(
    monkeypatch: pytest.MonkeyPatch, cannot: Exception | subprocess.CompletedProcess[str]
) -> None:
    def run(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        if isinstance(cannot, Exception):
            raise cannot
        return cannot

    monkeypatch.setattr(subprocess, "run", run)
    assert executing(["fma", "avx512_bf16"]) == ("avx512_bf16", "fma")


def test_elsewhere_the_list_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert executing(["bf16", "asimd"]) == ("asimd", "bf16")
