"""The loops: chosen by ISA, well-formed for every ISA, in registers only, and right in what they compute."""

import itertools
import platform
import re
import struct

import llvmlite.binding as llvm
import numpy as np
import pytest

from yolo_perf.errors import BackendUnavailable
from yolo_perf.machine import amx, executes, kernels
from yolo_perf.machine.buffers import ALIGNMENT, Arrays, Registers
from yolo_perf.machine.chain import Chain
from yolo_perf.machine.forms import FORMS, TILE_SHAPES, Form, forms_for
from yolo_perf.machine.kernels import (
    TRIAD_STEP,
    Compiled,
    Triad,
    compile_for_host,
    host_isa,
    module_ir,
    triads_for,
)

AVX2 = ("avx", "avx2", "f16c", "fma", "sse4_2")
SKYLAKE_SERVER = (*AVX2, "avx512bw", "avx512dq", "avx512f", "avx512vl")
ICE_LAKE = (*SKYLAKE_SERVER, "avx512_vnni")
ZEN_4 = (*ICE_LAKE, "avx512_bf16")
SAPPHIRE_RAPIDS = (*ZEN_4, "amx_bf16", "amx_int8", "amx_tile", "avx_vnni")
ALDER_LAKE = (*AVX2, "avx_vnni")
NEOVERSE_N1 = ("asimd", "asimddp")
NEOVERSE_V1 = (*NEOVERSE_N1, "bf16", "i8mm", "sve")


@pytest.mark.parametrize(
    ("isa", "names"),
    [
        ((), set()),
        (("sse4_2",), {"fp32_128_mul_add", "int8_128_maddubs"}),
        (("avx", "sse4_2"), {"fp32_256_mul_add", "int8_128_maddubs"}),
        (AVX2, {"fp32_256_fma", "int8_256_maddubs"}),
        (ALDER_LAKE, {"fp32_256_fma", "int8_256_vpdpbusd"}),
        (SKYLAKE_SERVER, {"fp32_512_fma", "fp32_256_fma", "int8_512_maddubs"}),
        (ICE_LAKE, {"fp32_512_fma", "fp32_256_fma", "int8_512_vpdpbusd"}),
        (ZEN_4, {"fp32_512_fma", "fp32_256_fma", "int8_512_vpdpbusd", "bf16_512_vdpbf16ps"}),
        (
            SAPPHIRE_RAPIDS,
            {"fp32_512_fma", "fp32_256_fma", "int8_tile_tdpbusd", "bf16_tile_tdpbf16ps"},
        ),
        (("asimd",), {"fp32_128_fma"}),
        (NEOVERSE_N1, {"fp32_128_fma", "int8_128_sdot"}),
        (NEOVERSE_V1, {"fp32_128_fma", "int8_128_usmmla", "bf16_128_bfmmla"}),
    ],
)
def test_the_best_forms_are_chosen(isa: tuple[str, ...], names: set[str]) -> None:
    assert {form.name for form in forms_for(isa)} == names


def test_names_are_unique() -> None:
    assert len({form.name for form in FORMS}) == len(FORMS)


@pytest.mark.parametrize(
    ("name", "flop"),
    [
        ("fp32_512_fma", 2 * 16 * 24),
        ("fp32_256_fma", 2 * 8 * 12),
        ("fp32_128_fma", 2 * 4 * 24),
        ("bf16_512_vdpbf16ps", 2 * 32 * 24),
        ("int8_512_vpdpbusd", 2 * 64 * 24),
        ("int8_256_maddubs", 2 * 32 * 12),
        ("int8_128_usmmla", 2 * 32 * 24),
        ("bf16_tile_tdpbf16ps", 2 * 16 * 16 * 32 * 6),
        ("int8_tile_tdpbusd", 2 * 16 * 16 * 64 * 6),
    ],
)
def test_operations_of_a_turn(name: str, flop: int) -> None:
    assert next(form for form in FORMS if form.name == name).work_per_iteration == flop


@pytest.mark.parametrize(
    "source",
    [Chain(), *FORMS, *triads_for(()), *triads_for(("avx",)), *triads_for(ZEN_4)],
    ids=lambda source: f"{source.name}_{getattr(source, 'bits', 64)}",
)
def test_ir_is_well_formed(source: Form | Triad | Chain) -> None:
    llvm.parse_assembly(module_ir([source])).verify()


def test_all_forms_fit_into_one_module() -> None:
    """Declarations that several need are in it once."""
    llvm.parse_assembly(module_ir([*FORMS, *triads_for(ZEN_4), Chain()])).verify()


def cpu_for(form: Form) -> str:
    if form.bits >= 512:
        return "sapphirerapids"
    if "avx_vnni" in form.requires:
        return "alderlake"
    return "haswell" if "avx2" in form.requires else "sandybridge" if "avx" in form.requires else "nehalem"


def loop_of(form: Form | Chain, triple: str, cpu: str) -> list[str]:
    """Instructions of the compiled loop: from its label to the branch back to it."""
    module = llvm.parse_assembly(module_ir([form]))
    module.triple = triple
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, opt=3)
    lines = machine.emit_assembly(module).splitlines()
    labels = [line.split(":")[0] for line in lines if re.match(r"\.LBB\d+_\d+:", line)]
    for label in labels:
        start = next(n for n, line in enumerate(lines) if line.startswith(f"{label}:"))
        for end in range(start, len(lines)):
            if re.match(rf"\s+j\w+\s+{re.escape(label)}\b", lines[end]):
                return [line.strip() for line in lines[start + 1 : end + 1]]
    raise AssertionError(f"no loop in {form.name}")


X86 = platform.machine() in ("x86_64", "AMD64")


@pytest.mark.skipif(not X86, reason="LLVM here generates no x86 code")
@pytest.mark.parametrize("form", [f for f in FORMS if "asimd" not in f.requires], ids=lambda f: f.name)
def test_the_loop_stays_in_registers(form: Form) -> None:
    """Neither a spilled accumulator nor a folded load, on the smallest CPU that has the instruction."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    body = loop_of(form, "x86_64-unknown-linux-gnu", cpu_for(form))
    assert not [line for line in body if "(" in line or "call" in line]
    multiplies = [line for line in body if re.search(r"[vt]?(fmadd|mulps|dpbusd|dpbf16|pmaddubsw)", line)]
    assert len(multiplies) == form.accumulators


@pytest.mark.skipif(not X86, reason="LLVM here generates no x86 code")
@pytest.mark.parametrize("cpu", ["nehalem", "znver3", "sapphirerapids"])
def test_no_step_of_the_chain_is_saved(cpu: str) -> None:
    """An addition and an exclusive or by turns on one register, from registers: no constant can be folded in."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    body = loop_of(Chain(), "x86_64-unknown-linux-gnu", cpu)
    steps = [match.groups() for line in body if (match := re.match(r"(addq|xorq)\s+%(\w+), %(\w+)$", line))]
    assert len(steps) == Chain().work_per_iteration == 64
    assert {into for _, _, into in steps} == {steps[0][2]}
    assert {(operation, source) for operation, source, _ in steps} == {steps[0][:2], steps[1][:2]}
    assert all(one[0] != other[0] for one, other in itertools.pairwise(steps))


def chained(turns: int) -> int:
    """The chain in Python's own integers."""
    a, b = struct.unpack("<QQ", Chain().operands)
    value = 0
    for _ in range(turns * 32):
        value = ((value + a) % 2**64) ^ b
    return value


@pytest.mark.parametrize("turns", [1, 2, 7, 1000])
def test_every_step_of_the_chain_is_taken(turns: int) -> None:
    compiled = compile_for_host([Chain()])
    registers = Registers(Chain())
    compiled.loop(Chain())(turns, registers.accumulators, registers.operands)
    assert struct.unpack("<Q", registers.contents()) == (chained(turns),)


def test_the_shapes_of_the_tiles() -> None:
    """Palette 1; 64 bytes a row of each of eight tiles, then 16 rows of each. The probe has its own copy."""
    assert len(TILE_SHAPES) == 64
    assert (TILE_SHAPES[0], TILE_SHAPES[16:32], TILE_SHAPES[48:56]) == (1, b"\x40\x00" * 8, b"\x10" * 8)
    assert executes._SHAPES == TILE_SHAPES


@pytest.fixture(scope="module")
def able() -> list[Form]:
    """Every form that this CPU can do and this process may, not only the best."""
    present = set(host_isa())
    if present & amx.AMX and amx.refusal() is not None:
        present -= amx.AMX
    return [form for form in FORMS if form.requires <= present]


@pytest.fixture(scope="module")
def compiled(able: list[Form]) -> Compiled:
    return compile_for_host([*able, *triads_for(host_isa())])


def expected_lane(form: Form, turns: int) -> float:
    """What every lane of every accumulator holds, worked out by hand for the uniform operands."""
    if form.name.endswith("mul_add"):
        total = 0.0
        for _ in range(turns):
            total = total * 0.5 + 2.0**-9
        return total
    per_lane = form.macs // (form.bits // 32)
    product = {"fp32": 2.0**-10, "bf16": 2.0**-10, "int8": 6.0}[form.dtype]
    return turns * per_lane * product


def maddubs(start: bytes, turns: int) -> "np.ndarray[tuple[int], np.dtype[np.int32]]":
    """The INT8 sequence in NumPy: 3 x signed bytes, pairs saturated to 16 bits, pairs of those to 32."""
    accumulator = np.frombuffer(start, np.int32).copy()
    for _ in range(turns):
        pairs = (3 * accumulator.view(np.int8).astype(np.int32)).reshape(-1, 2).sum(axis=1)
        saturated = np.clip(pairs, -(2**15), 2**15 - 1)
        accumulator += saturated.reshape(-1, 2).sum(axis=1).astype(np.int32)
    return accumulator


def test_accumulators_hold_what_was_asked_for(able: list[Form], compiled: Compiled) -> None:
    turns = 7
    for form in able:
        registers = Registers(form)
        compiled.loop(form)(turns, registers.accumulators, registers.operands)
        got = np.frombuffer(registers.contents(), np.int32 if form.dtype == "int8" else np.float32)
        assert got.size == form.accumulators * form.bits // 32
        if form.name.endswith("maddubs"):
            np.testing.assert_array_equal(got, np.tile(maddubs(form.start, turns), form.accumulators))
        else:
            np.testing.assert_array_equal(got, expected_lane(form, turns), err_msg=form.name)


def test_long_runs_stay_finite_and_normal(able: list[Form], compiled: Compiled) -> None:
    """A denormal or an infinite operand would change the speed on some CPUs."""
    for form in (form for form in able if form.dtype == "fp32"):
        registers = Registers(form)
        compiled.loop(form)(300_000, registers.accumulators, registers.operands)
        got = np.frombuffer(registers.contents(), np.float32)
        assert np.isfinite(got).all()
        assert (got >= np.finfo(np.float32).tiny).all()


@pytest.mark.parametrize("turns", [1, 3])
def test_triad_adds_up(compiled: Compiled, turns: int) -> None:
    elements = turns * TRIAD_STEP
    for triad in triads_for(host_isa()):
        arrays = Arrays(elements + TRIAD_STEP)
        compiled.triad(triad)(elements, *arrays.addresses, 3.0)
        np.testing.assert_array_equal(arrays.a[:elements], 7.0)  # 1 + 3 x 2
        np.testing.assert_array_equal(arrays.a[elements:], 0.0)
        np.testing.assert_array_equal(arrays.b, 1.0)


def test_streaming_stores_are_streaming() -> None:
    regular, streaming = triads_for(AVX2)
    assert "!nontemporal" not in regular.ir
    assert "!nontemporal" in streaming.ir
    assert "fence" in streaming.ir


@pytest.mark.parametrize(("isa", "bits"), [((), 128), (("avx",), 256), (ZEN_4, 512), (NEOVERSE_V1, 128)])
def test_triad_width(isa: tuple[str, ...], bits: int) -> None:
    assert {triad.bits for triad in triads_for(isa)} == {bits}


def test_memory_is_aligned() -> None:
    for form in FORMS:
        registers = Registers(form)
        assert registers.accumulators % ALIGNMENT == registers.operands % ALIGNMENT == 0
        assert len(form.operands) == 2 * form.bits // 8
        assert registers.contents() == form.start * form.accumulators
    assert all(address % ALIGNMENT == 0 for address in Arrays(TRIAD_STEP).addresses)


def test_bfloat16_operands() -> None:
    """2^-5 is 0x3d00 in bfloat16."""
    form = next(form for form in FORMS if form.dtype == "bf16")
    assert set(struct.unpack(f"<{len(form.operands) // 2}H", form.operands)) == {0x3D00}


@pytest.mark.skipif(not X86, reason="not every system lists an ARM's extensions")
def test_host_isa_is_part_of_what_the_system_reports() -> None:
    import cpuinfo

    from yolo_perf.machine.isa import normalise

    assert set(host_isa()) <= set(normalise(cpuinfo.get_cpu_info()["flags"]))


def test_unknown_features_mean_no_special_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    def unable() -> None:
        raise RuntimeError("failed to get host cpu features.")

    monkeypatch.setattr(llvm, "get_host_cpu_features", unable)
    assert host_isa() == ()


def test_broken_ir_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "module_ir", lambda sources: "define nonsense")
    with pytest.raises(BackendUnavailable, match="llvmlite"):
        compile_for_host([FORMS[0]])
