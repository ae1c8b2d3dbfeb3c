"""The running clock: a chain of integer operations that each take one cycle and wait for the one before.

What a system reports as the clock is a limit, a plan or, on a virtual machine, the time stamp counter's rate. A
core that does one operation of this chain a cycle tells how many cycles a second there are, whatever else shares
the core: a second hardware thread does not lengthen a chain.

Additions alone would not do. Of two in a row a compiler makes one, and Intel's cores since Golden Cove add small
constants while they rename registers, at no cost: a chain of `add 5` and `xor` ran at 4.9 "GHz" on a core of 2.56
there. So additions and exclusive ors take turns, with operands that are in registers and that nobody knows before.
"""

import struct
from dataclasses import dataclass

from yolo_perf.machine.forms import LOOP_END

_TURNS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The chain as a loop like those of `forms`, on one 64-bit accumulator: x = (x + a) ^ b, again and again."""

    name: str = "clock_chain"
    declare: str = ""
    accumulators: int = 1
    start: bytes = bytes(8)
    operands: bytes = struct.pack("<QQ", 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F)  # odd, bits in all places

    @property
    def work_per_iteration(self) -> int:
        """Operations of one turn of the loop, one a cycle. The loop's own counter runs beside the chain."""
        return 2 * _TURNS

    @property
    def ir(self) -> str:
        """LLVM IR of `void name(i64 iterations, ptr accumulator, ptr operands)`."""
        lines = [
            f"define void @{self.name}(i64 %n, ptr %accumulator, ptr %operands) {{",
            "entry:",
            "  %a = load i64, ptr %operands",
            "  %second = getelementptr i64, ptr %operands, i64 1",
            "  %b = load i64, ptr %second",
            "  %start = load i64, ptr %accumulator",
            "  br label %loop",
            "loop:",
            "  %i = phi i64 [ %n, %entry ], [ %left, %loop ]",
            f"  %x0 = phi i64 [ %start, %entry ], [ %x{_TURNS}, %loop ]",
        ]
        for turn in range(_TURNS):
            lines += [f"  %s{turn} = add i64 %x{turn}, %a", f"  %x{turn + 1} = xor i64 %s{turn}, %b"]
        return "\n".join([*lines, *LOOP_END, f"  store i64 %x{_TURNS}, ptr %accumulator", "  ret void", "}", ""])
