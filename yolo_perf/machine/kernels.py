"""Forms, the chain and the STREAM triad as machine code: compiled when asked for, called through ctypes.

No compiler is needed on the machine: `llvmlite` carries one. ctypes releases the GIL during a call, so that
threads of one process measure together.
"""

import ctypes
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from yolo_perf.errors import BackendUnavailable
from yolo_perf.machine.chain import Chain
from yolo_perf.machine.forms import Form
from yolo_perf.machine.isa import normalise

TRIAD_BYTES = 24
"""Bytes that STREAM counts per element of a[i] = b[i] + s * c[i] in doubles (McCalpin 1995).

Two reads and one write. A cache that reads a line before it is written moves 32; STREAM does not count that.
"""
TRIAD_STEP = 32
"""Elements that one turn of the triad loop handles, so arrays are whole multiples of it."""

Loop = Callable[[int, int, int], None]  # iterations, address of the accumulators, address of the operands
TriadLoop = Callable[[int, int, int, int, float], None]  # elements, addresses of a, b and c, s


@dataclass(frozen=True, slots=True, kw_only=True)
class Triad:
    """One way of writing the triad's result: through the caches, or past them."""

    name: str
    label: str
    nontemporal: bool
    bits: int
    declare: str = ""

    @property
    def ir(self) -> str:
        """LLVM IR of `void name(i64 elements, ptr a, ptr b, ptr c, double s)`."""
        lanes, size = self.bits // 64, self.bits // 8
        vector = f"<{lanes} x double>"
        hint = ", !nontemporal !0" if self.nontemporal else ""
        lines = [f"define void @{self.name}(i64 %n, ptr %a, ptr %b, ptr %c, double %s) {{", "entry:"]
        lines += [f"  %one = insertelement {vector} poison, double %s, i32 0"]
        zeros = f"<{lanes} x i32> zeroinitializer"
        lines += [f"  %scale = shufflevector {vector} %one, {vector} poison, {zeros}"]
        lines += ["  br label %loop", "loop:", "  %i = phi i64 [ 0, %entry ], [ %next, %loop ]"]
        for u in range(TRIAD_STEP // lanes):
            lines += [f"  %j{u} = add i64 %i, {u * lanes}"]
            lines += [f"  %{p}p{u} = getelementptr double, ptr %{p}, i64 %j{u}" for p in "abc"]
            lines += [f"  %{p}v{u} = load {vector}, ptr %{p}p{u}, align {size}" for p in "bc"]
            lines += [f"  %m{u} = fmul {vector} %cv{u}, %scale", f"  %t{u} = fadd {vector} %bv{u}, %m{u}"]
            lines += [f"  store {vector} %t{u}, ptr %ap{u}, align {size}{hint}"]
        lines += [f"  %next = add i64 %i, {TRIAD_STEP}", "  %more = icmp ult i64 %next, %n"]
        lines += ["  br i1 %more, label %loop, label %done", "done:"]
        # Streaming stores are weakly ordered: the timed call ends only once they are on their way.
        lines += ["  fence seq_cst"] if self.nontemporal else []
        return "\n".join([*lines, "  ret void", "}", ""])


Source = Form | Triad | Chain


def triads_for(isa: Iterable[str]) -> tuple[Triad, ...]:
    """Both triads, in the widest vectors that these extensions allow."""
    present = frozenset(isa)
    bits = 512 if "avx512f" in present else 256 if "avx" in present else 128
    return (
        Triad(name="triad_regular", label="regular stores", nontemporal=False, bits=bits),
        Triad(name="triad_streaming", label="non-temporal stores", nontemporal=True, bits=bits),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """Machine code by function name. It lives as long as this object does."""

    engine: object = field(repr=False)
    addresses: dict[str, int]

    def loop(self, form: Form | Chain) -> Loop:
        """The compiled loop of a form, or the chain's."""
        prototype = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)
        return prototype(self.addresses[form.name])

    def triad(self, triad: Triad) -> TriadLoop:
        """The compiled triad."""
        pointers = [ctypes.c_void_p] * 3
        prototype = ctypes.CFUNCTYPE(None, ctypes.c_int64, *pointers, ctypes.c_double)
        return prototype(self.addresses[triad.name])


def _host_features() -> dict[str, bool]:
    """What LLVM says this CPU has and the operating system lets us use, in LLVM's spelling."""
    import llvmlite.binding as llvm

    try:
        return dict(llvm.get_host_cpu_features())
    except RuntimeError:  # LLVM cannot tell here: then only what every CPU of the architecture has is safe
        return {}


def host_isa() -> tuple[str, ...]:
    """Extensions that LLVM, too, finds on this CPU. Code is generated for these and no others."""
    return normalise(name for name, present in _host_features().items() if present)


def host_target() -> tuple[str, str]:
    """This CPU's name, and what it has and lacks, as LLVM takes them: "znver3", "+avx2,-avx512f,..."."""
    import llvmlite.binding as llvm

    features = ",".join(f"{'+' if on else '-'}{name}" for name, on in sorted(_host_features().items()))
    return llvm.get_host_cpu_name(), features


def compile_for_host(sources: Iterable[Source]) -> Compiled:
    """Machine code for this CPU of each source. Raises BackendUnavailable where LLVM cannot produce it."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    chosen = tuple(sources)
    cpu, features = host_target()
    try:
        module = llvm.parse_assembly(module_ir(chosen))
        module.verify()
        target = llvm.Target.from_default_triple()
        machine = target.create_target_machine(cpu=cpu, features=features, opt=3)
        engine = llvm.create_mcjit_compiler(module, machine)
        engine.finalize_object()
    except RuntimeError as error:
        raise BackendUnavailable(
            f"LLVM cannot compile the roofline kernels here ({error}). Try a newer llvmlite."
        ) from error
    return Compiled(
        engine=engine, addresses={source.name: engine.get_function_address(source.name) for source in chosen}
    )


def module_ir(sources: Iterable[Source]) -> str:
    """One IR module of all the sources. What several declare is declared once, as LLVM wants it."""
    chosen = tuple(sources)
    declared = dict.fromkeys(line for source in chosen for line in source.declare.splitlines())
    return "\n".join([*declared, *(source.ir for source in chosen), "!0 = !{i32 1}", ""])
