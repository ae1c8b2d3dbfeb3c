"""The ways in which CPUs multiply and accumulate, as LLVM IR text: one loop per instruction and width.

Nothing here is compiled or timed. `forms_for` offers a loop only where every extension that it needs is
present, since an instruction that the CPU lacks ends the process. ARM's scalable vectors have no form here.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from yolo_perf.records import Dtype


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One multiply-accumulate, what it needs and what it is worth.

    Of the forms that a CPU can do, those of the lowest `rank` of a dtype are worth measuring.
    """

    name: str  # also the IR function's name
    label: str
    dtype: Dtype
    requires: frozenset[str]
    rank: int
    bits: int
    macs: int  # multiply-accumulates of one step on one accumulator
    accumulators: int
    vector: str  # LLVM type of an accumulator
    operand: str  # LLVM type of an operand
    declare: str
    step: str  # {a}: accumulator in, {r}: accumulator out, %x and %y: the operands
    start: bytes  # initial bytes of one accumulator
    operands: bytes  # the two operand vectors, one after the other
    tiles: bool = False  # AMX: vectors are tiles, which the instruction names by number

    @property
    def work_per_iteration(self) -> int:
        """Operations of one turn of the loop, a multiply-accumulate counted as two."""
        return 2 * self.macs * self.accumulators

    @property
    def ir(self) -> str:
        """LLVM IR of `void name(i64 iterations, ptr accumulators, ptr operands)`, without its declarations.

        Accumulators and operands are loaded before the loop and the accumulators stored after it: the loop
        touches registers only, and yet nothing can be optimised away.
        """
        return _tile_loop(self) if self.tiles else _loop(self)


def _accumulators(bits: int, *, arm: bool = False) -> int:
    """Independent chains enough to hide the latency and few enough to stay in registers.

    Two pipes times a latency of 4 or 5 cycles want 10; 16 registers leave 12 beside operands and temporaries.
    ARM cores have up to four pipes, and 32 registers as AVX-512 has.
    """
    return 24 if bits == 512 or arm else 12


def _floats(bits: int, value: float) -> bytes:
    return struct.pack("<f", value) * (bits // 32)


def _fma(bits: int, rank: int, needs: str, *, arm: bool = False) -> Form:
    """Fused FP32 multiply-add.

    Accumulators grow by 2^-10 a turn from zero and come to rest at 2^14: never denormal, never infinite.
    The addend is the accumulator, as in a GEMM: with another order ARM would need a move for each.
    """
    lanes = bits // 32
    vector = f"<{lanes} x float>"
    name = f"llvm.fma.v{lanes}f32"
    return Form(
        name=f"fp32_{bits}_fma",
        label=f"{bits}-bit FMA",
        dtype="fp32",
        requires=frozenset(needs.split()),
        rank=rank,
        bits=bits,
        macs=lanes,
        accumulators=_accumulators(bits, arm=arm),
        vector=vector,
        operand=vector,
        declare=f"declare {vector} @{name}({vector}, {vector}, {vector})",
        step=f"{{r}} = call {vector} @{name}({vector} %x, {vector} %y, {vector} {{a}})",
        start=_floats(bits, 0.0),
        operands=_floats(bits, 2.0**-1) + _floats(bits, 2.0**-9),
    )


def _mul_add(bits: int, rank: int, needs: str) -> Form:
    """FP32 multiply, then add, for CPUs without FMA (`llvm.fma` would call a function there).

    Accumulators halve and gain 2^-9 a turn: they tend to 2^-8.
    """
    vector = f"<{bits // 32} x float>"
    return Form(
        name=f"fp32_{bits}_mul_add",
        label=f"{bits}-bit multiply and add",
        dtype="fp32",
        requires=frozenset(needs.split()),
        rank=rank,
        bits=bits,
        macs=bits // 32,
        accumulators=_accumulators(bits),
        vector=vector,
        operand=vector,
        declare="",
        step=f"{{r}}p = fmul {vector} {{a}}, %x\n  {{r}} = fadd {vector} {{r}}p, %y",
        start=_floats(bits, 0.0),
        operands=_floats(bits, 2.0**-1) + _floats(bits, 2.0**-9),
    )


def _dot(
    dtype: Dtype, instruction: str, intrinsic: str, operand: str, *, macs: int, needs: str, rank: int = 1
) -> Form:
    """A dot-product instruction `acc = intrinsic(acc, x, y)`: VNNI, BF16, and ARM's equivalents.

    Every lane gains (macs / lanes) * x * y a turn, with x = 3 and y = 2 for int8 and x = y = 2^-5 for bf16.
    """
    arm = "aarch64" in intrinsic
    bits = 128 if arm else int(intrinsic.rsplit(".", 1)[1])
    vector = f"<{bits // 32} x {'i32' if dtype == 'int8' else 'float'}>"
    octets = bits // 8
    # A bfloat16 is the upper half of a float.
    bf16 = struct.pack("<f", 2.0**-5)[2:] * octets
    return Form(
        name=f"{dtype}_{bits}_{instruction}",
        label=f"{bits}-bit {instruction}",
        dtype=dtype,
        requires=frozenset(needs.split()),
        rank=rank,
        bits=bits,
        macs=macs,
        accumulators=_accumulators(bits, arm=arm),
        vector=vector,
        operand=operand,
        declare=f"declare {vector} @{intrinsic}({vector}, {operand}, {operand})",
        step=f"{{r}} = call {vector} @{intrinsic}({vector} {{a}}, {operand} %x, {operand} %y)",
        start=bytes(octets),
        operands=bytes([3]) * octets + bytes([2]) * octets if dtype == "int8" else bf16,
    )


def _maddubs(bits: int, to_words: str, to_ints: str, rank: int, needs: str) -> Form:
    """INT8 without VNNI: u8 x s8 pairs to i16 (saturating), times one to i32, added up.

    This is what oneDNN and ONNX Runtime do there; libraries that accumulate in 16 bits can be faster.
    The signed side is the accumulator's own bytes: with two loop-invariant operands the compiler would lift
    the products out of the loop. 12 chains hide even the 11 cycles of the three together.
    """
    ints, words, octets = (f"<{bits // width} x i{width}>" for width in (32, 16, 8))
    return Form(
        name=f"int8_{bits}_maddubs",
        label=f"{bits}-bit vpmaddubsw, vpmaddwd, vpaddd",
        dtype="int8",
        requires=frozenset(needs.split()),
        rank=rank,
        bits=bits,
        macs=bits // 8,
        accumulators=_accumulators(bits),
        vector=ints,
        operand=octets,
        declare=(f"declare {words} @{to_words}({octets}, {octets})\ndeclare {ints} @{to_ints}({words}, {words})"),
        step=(
            f"{{r}}b = bitcast {ints} {{a}} to {octets}\n"
            f"  {{r}}w = call {words} @{to_words}({octets} %x, {octets} {{r}}b)\n"
            f"  {{r}}o = bitcast {octets} %y to {words}\n"
            f"  {{r}}i = call {ints} @{to_ints}({words} {{r}}w, {words} {{r}}o)\n"
            f"  {{r}} = add {ints} {{a}}, {{r}}i"
        ),
        start=bytes((37 * position + 11) % 256 for position in range(bits // 8)),
        operands=bytes([3]) * (bits // 8) + struct.pack("<h", 1) * (bits // 16),
    )


_TILE_BYTES = 16 * 64
_TILE_NUMBERS = "i8 immarg, i8 immarg, i8 immarg"
_TILE_USE = (
    "ldtilecfg(ptr)",
    "tileloadd64(i8 immarg, ptr, i64)",
    "tilestored64(i8 immarg, ptr, i64)",
    "tilerelease()",
)
TILE_SHAPES = struct.pack("<BB14x8H16x8B8x", 1, 0, *[64] * 8, *[16] * 8)
"""What LDTILECFG reads: palette 1, eight tiles of 16 rows of 64 bytes (Intel 325462, "Tile configuration")."""


def _tile(dtype: Dtype, instruction: str, needs: str) -> Form:
    """An AMX instruction on whole tiles, 16 rows of 64 bytes: a product of 16 x K and K x 16 numbers.

    Six accumulators and two operands are all eight tiles. One starts every 16 cycles (Intel 248966); where it was
    measured, so it did with one accumulator as with six. Elements gain K * x * y a turn, as in `_dot`.
    """
    pairs = struct.pack("<f", 2.0**-5)[2:] * 512
    return Form(
        name=f"{dtype}_tile_{instruction}",
        label=f"AMX {instruction}",
        dtype=dtype,
        requires=frozenset(needs.split()),
        rank=0,
        bits=_TILE_BYTES * 8,
        macs=16 * 16 * (64 if dtype == "int8" else 32),
        accumulators=6,
        vector="",
        operand="",
        declare="\n".join(
            f"declare void @llvm.x86.{each}" for each in (f"{instruction}({_TILE_NUMBERS})", *_TILE_USE)
        ),
        step=f"call void @llvm.x86.{instruction}(i8 {{a}}, i8 6, i8 7)",
        start=bytes(_TILE_BYTES),
        operands=bytes([3]) * _TILE_BYTES + bytes([2]) * _TILE_BYTES if dtype == "int8" else pairs * 2,
        tiles=True,
    )


LOOP_END = (
    "  %left = sub i64 %i, 1",
    "  %more = icmp ne i64 %left, 0",
    "  br i1 %more, label %loop, label %done",
    "done:",
)
"""How every loop ends: %n turns, counted down in %i."""


def _tile_loop(form: Form) -> str:
    """The whole IR function of a form on tiles, which are released at its end: a thread that holds them pays for
    them at every switch.
    """
    use, chains = "  call void @llvm.x86.", range(form.accumulators)
    shapes = "".join(f"\\{byte:02x}" for byte in TILE_SHAPES)
    lines = [
        f'@{form.name}_shapes = private constant [{len(TILE_SHAPES)} x i8] c"{shapes}", align 64',
        f"define void @{form.name}(i64 %n, ptr %accumulators, ptr %operands) {{",
        "entry:",
        f"{use}ldtilecfg(ptr @{form.name}_shapes)",
        f"  %second = getelementptr i8, ptr %operands, i64 {_TILE_BYTES}",
        f"{use}tileloadd64(i8 6, ptr %operands, i64 64)",
        f"{use}tileloadd64(i8 7, ptr %second, i64 64)",
    ]
    for i in chains:
        lines.append(f"  %p{i} = getelementptr i8, ptr %accumulators, i64 {i * _TILE_BYTES}")
        lines.append(f"{use}tileloadd64(i8 {i}, ptr %p{i}, i64 64)")
    lines += ["  br label %loop", "loop:", "  %i = phi i64 [ %n, %entry ], [ %left, %loop ]"]
    lines += ["  " + form.step.format(a=i) for i in chains]
    lines += LOOP_END
    lines += [f"{use}tilestored64(i8 {i}, ptr %p{i}, i64 64)" for i in chains]
    return "\n".join([*lines, f"{use}tilerelease()", "  ret void", "}", ""])


def _loop(form: Form) -> str:
    """The whole IR function of a form."""
    size, chains = form.bits // 8, range(form.accumulators)
    lines = [f"define void @{form.name}(i64 %n, ptr %accumulators, ptr %operands) {{", "entry:"]
    lines += [
        f"  %x = load {form.operand}, ptr %operands, align {size}",
        f"  %second = getelementptr i8, ptr %operands, i64 {size}",
        f"  %y = load {form.operand}, ptr %second, align {size}",
    ]
    for i in chains:
        lines.append(f"  %p{i} = getelementptr i8, ptr %accumulators, i64 {i * size}")
        lines.append(f"  %s{i} = load {form.vector}, ptr %p{i}, align {size}")
    lines += ["  br label %loop", "loop:", "  %i = phi i64 [ %n, %entry ], [ %left, %loop ]"]
    lines += [f"  %a{i} = phi {form.vector} [ %s{i}, %entry ], [ %r{i}, %loop ]" for i in chains]
    lines += ["  " + form.step.format(a=f"%a{i}", r=f"%r{i}") for i in chains]
    lines += LOOP_END
    lines += [f"  store {form.vector} %r{i}, ptr %p{i}, align {size}" for i in chains]
    return "\n".join([*lines, "  ret void", "}", ""])


_VPDPBUSD = "llvm.x86.avx512.vpdpbusd"
_NEON = "llvm.aarch64.neon"

FORMS = (
    # Both widths on AVX-512 machines: with a single 512-bit pipe, or a clock that drops for it, 256 bits win.
    _fma(512, 0, "avx512f"),
    _fma(256, 0, "avx2 fma"),
    _fma(128, 0, "asimd", arm=True),
    _mul_add(256, 1, "avx"),
    _mul_add(128, 2, "sse4_2"),
    # A tile does in 16 cycles what a 512-bit pipe does in 256: no other form is worth measuring beside it.
    _tile("bf16", "tdpbf16ps", "amx_tile amx_bf16"),
    _tile("int8", "tdpbusd", "amx_tile amx_int8"),
    _dot(
        "bf16",
        "vdpbf16ps",
        "llvm.x86.avx512bf16.dpbf16ps.512",
        "<16 x i32>",
        macs=32,
        needs="avx512f avx512_bf16",
    ),
    _dot("bf16", "bfmmla", f"{_NEON}.bfmmla", "<8 x bfloat>", macs=16, needs="asimd bf16"),
    _dot("int8", "vpdpbusd", f"{_VPDPBUSD}.512", "<16 x i32>", macs=64, needs="avx512f avx512_vnni"),
    _dot("int8", "vpdpbusd", f"{_VPDPBUSD}.256", "<8 x i32>", macs=32, needs="avx2 avx_vnni"),
    _dot("int8", "usmmla", f"{_NEON}.usmmla.v4i32.v16i8", "<16 x i8>", macs=32, needs="asimd i8mm"),
    _dot("int8", "sdot", f"{_NEON}.sdot.v4i32.v16i8", "<16 x i8>", macs=16, needs="asimd asimddp", rank=2),
    _maddubs(512, "llvm.x86.avx512.pmaddubs.w.512", "llvm.x86.avx512.pmaddw.d.512", 2, "avx512f avx512bw"),
    _maddubs(256, "llvm.x86.avx2.pmadd.ub.sw", "llvm.x86.avx2.pmadd.wd", 3, "avx2"),
    _maddubs(128, "llvm.x86.ssse3.pmadd.ub.sw.128", "llvm.x86.sse2.pmadd.wd", 4, "sse4_2"),
)


def forms_for(isa: Iterable[str]) -> tuple[Form, ...]:
    """The forms worth measuring on a CPU with these extensions: of each dtype, all of the lowest rank."""
    present = frozenset(isa)
    able = [form for form in FORMS if form.requires <= present]
    best = {form.dtype: min(f.rank for f in able if f.dtype == form.dtype) for form in able}
    return tuple(form for form in able if form.rank == best[form.dtype])
