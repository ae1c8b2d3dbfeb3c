"""Control kernels: frozen work that no side's code can change, so that a difference is the host's doing.

They are LLVM IR text, written here and compiled in either side's process, and a loop of plain Python. One
thread each, about ten milliseconds a call.
"""

from typing import Any

from yolo_perf.machine.forms import forms_for
from yolo_perf.machine.kernels import TRIAD_STEP, host_isa, host_target, module_ir, triads_for

ROUNDS = 10
FLOP = 10**9
TRIAD_ELEMENTS = 2**16 * TRIAD_STEP
"""Three arrays of 16 MiB: more than a core's own caches hold."""

Order = dict[str, Any]
"""What a worker's `do_control` takes besides a label."""


def controls(*, compiled: bool, python: bool) -> dict[str, Order]:
    """The kernels by label: LLVM's where both sides have the same compiler, the loop where they run one Python."""
    return {**(_compiled() if compiled else {}), **({"(python)": {"kind": "python"}} if python else {})}


def _compiled() -> dict[str, Order]:
    cpu, features = host_target()
    shared = {"kind": "compiled", "cpu": cpu, "features": features}
    found: dict[str, Order] = {}
    form = next((form for form in forms_for(set(host_isa())) if form.dtype == "fp32"), None)
    if form is not None:
        found["(fma)"] = {
            **shared,
            "ir": module_ir([form]),
            "function": form.name,
            "count": FLOP // form.work_per_iteration,
            "buffers": [len(form.start) * form.accumulators, len(form.operands)],
            "contents": [(form.start * form.accumulators).hex(), form.operands.hex()],
            "doubles": [],
        }
    triad = triads_for(host_isa())[0]
    found["(triad)"] = {
        **shared,
        "ir": module_ir([triad]),
        "function": triad.name,
        "count": TRIAD_ELEMENTS,
        "buffers": [8 * TRIAD_ELEMENTS] * 3,
        "contents": ["", "", ""],
        "doubles": [3.0],
    }
    return found
