"""A machine, and what it was measured to be capable of."""

from dataclasses import dataclass

from yolo_perf.records.scalars import Dtype, Positive, Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Who ran: hardware identity first, then what the software reported about itself.

    Frequencies are in Hz, sizes in bytes; what the platform does not tell is None, never a guess.
    """

    cpu_model: str
    vendor: str
    architecture: str
    family: int | None
    model: int | None
    stepping: int | None
    isa: tuple[str, ...]  # the vector extensions that matter for inference, sorted: "avx2", "avx512_vnni", ...
    sockets: int | None
    physical_cores: Positive
    logical_cores: Positive
    usable_cores: Positive  # physical cores this process may use: affinity and cgroup quota respected
    clock_hz_min: float | None
    clock_hz_max: float | None
    clock_hz_reported: float | None  # not the running clock, which `Peaks.clock_hz_measured` is
    memory_bytes: Positive
    caches: dict[str, Positive]  # "L1d", "L2", "L3" -> bytes of one instance
    governor: str | None
    hypervisor: str | None
    os: str
    python: str
    libraries: dict[str, str]  # "torch", "onnxruntime", "onednn", "numpy", ... -> version
    clock_reported_is_tsc: bool | None = None  # whether `clock_hz_reported` is the time stamp counter's rate
    isa_faulting: tuple[str, ...] = ()  # among the CPU's flags, but does not execute: not in `isa`

    @property
    def threads_per_core(self) -> int:
        """Hardware threads per physical core."""
        return max(1, self.logical_cores // self.physical_cores)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks:
    """The measured roofs of a machine.

    `flops_per_s` holds FLOP/s per dtype (integer operations per second for int8), a multiply-accumulate
    counted as two; `bytes_per_s` is the STREAM triad rate, 24 bytes an element.
    """

    flops_per_s: dict[Dtype, Rate]
    bytes_per_s: Rate
    threads: Positive
    method: str
    theoretical_flops_per_s: float | None = None  # fp32, at `clock_hz_measured`
    clock_hz_measured: Rate | None = None  # of a core at its best under this load; None in files of before

    def ridge_point(self, dtype: Dtype = "fp32") -> float:
        """FLOP per byte at which the compute roof meets the memory roof (Williams et al. 2009)."""
        return self.flops_per_s[dtype] / self.bytes_per_s
