"""Vector extensions that decide how fast inference can be, under one spelling each.

The spelling is the Linux kernel's (`/proc/cpuinfo`), which every other source is translated into.
"""

from collections.abc import Iterable

INFERENCE_EXTENSIONS = frozenset(
    {
        # x86
        "sse4_2",
        "avx",
        "avx2",
        "fma",
        "f16c",
        "avx512f",
        "avx512bw",
        "avx512dq",
        "avx512vl",
        "avx512_vnni",
        "avx_vnni",
        "avx512_bf16",
        "avx512_fp16",
        "amx_tile",
        "amx_int8",
        "amx_bf16",
        # ARM
        "asimd",
        "asimddp",
        "i8mm",
        "bf16",
        "sve",
    }
)

_OTHER_SPELLINGS = {
    # LLVM's and macOS's spellings, squeezed to letters and digits.
    "neon": "asimd",
    "advsimd": "asimd",
    "dotprod": "asimddp",
}
_BY_SQUEEZED = {name.replace("_", ""): name for name in INFERENCE_EXTENSIONS} | _OTHER_SPELLINGS


def normalise(flags: Iterable[str]) -> tuple[str, ...]:
    """Sorted extensions that matter for inference, from flags in any usual spelling.

    "AVX512-VNNI", "avx512vnni" and "avx512_vnni" are one; a flag that does not matter is dropped.
    """
    squeezed = ("".join(letter for letter in flag.lower() if letter.isalnum()) for flag in flags)
    return tuple(sorted({_BY_SQUEEZED[flag] for flag in squeezed if flag in _BY_SQUEEZED}))
