"""Leave to use AMX's tiles, which Linux gives to a process that asks for it."""

import ctypes
import os
import sys

AMX = frozenset({"amx_tile", "amx_bf16", "amx_int8"})
_SYS_ARCH_PRCTL, _ARCH_REQ_XCOMP_PERM, _XFEATURE_XTILEDATA = (
    158,
    0x1023,
    18,
)  # asm/prctl.h, Documentation/arch/x86/xstate


def refusal() -> str | None:
    """Why this process may not use tiles, None where it may. Asking is what allows it, until the process ends.

    oneDNN and ONNX Runtime ask in the same way: where this is refused, they do without tiles, too.
    """
    if sys.platform != "linux":
        return "only Linux is asked for leave to use tiles"
    try:
        ask = ctypes.CDLL(None, use_errno=True).syscall
    except (OSError, AttributeError) as error:
        return f"the system cannot be asked for leave to use tiles ({error})"
    if ask(_SYS_ARCH_PRCTL, _ARCH_REQ_XCOMP_PERM, _XFEATURE_XTILEDATA) == 0:
        return None
    return f"the system does not give leave to use tiles ({os.strerror(ctypes.get_errno())})"
