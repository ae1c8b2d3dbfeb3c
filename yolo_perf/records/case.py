"""What is timed, and what one inference of it has to do."""

from dataclasses import dataclass

from yolo_perf.records.scalars import Count, Dtype, Positive

SEEDED = "seeded"
"""`Weights.source` of drawn weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one inference of one image has to do, from tensor shapes alone.

    `bytes` are compulsory: every operator reads its inputs and weights once and writes its outputs once,
    with pointwise operators folded into their producers. Real traffic is at least this.
    """

    macs: Count
    other_flops: Count
    weight_bytes: Count
    activation_bytes: Count
    uncounted: tuple[str, ...] = ()  # operators that neither count covers, by name

    @property
    def flops(self) -> int:
        """Floating-point operations: a multiply-accumulate is two."""
        return 2 * self.macs + self.other_flops

    @property
    def compulsory_bytes(self) -> int:
        """Bytes of weights and activations, a lower bound on memory traffic."""
        return self.weight_bytes + self.activation_bytes

    @property
    def operational_intensity(self) -> float:
        """FLOP per compulsory byte."""
        return self.flops / self.compulsory_bytes

    def __add__(self, other: "Work") -> "Work":
        return Work(
            macs=self.macs + other.macs,
            other_flops=self.other_flops + other.other_flops,
            weight_bytes=self.weight_bytes + other.weight_bytes,
            activation_bytes=self.activation_bytes + other.activation_bytes,
            uncounted=tuple(sorted({*self.uncounted, *other.uncounted})),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Which weights a model carries: `source` is a file's name or "seeded"; `digest` is of the tensors."""

    source: str
    digest: str
    parameters: Positive  # fused
    classes: Positive

    @property
    def seeded(self) -> bool:
        """Whether they were drawn rather than read from a checkpoint."""
        return self.source == SEEDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One thing that is timed. Two runs are compared case by case, by `id`."""

    size: str
    backend: str
    batch: Positive
    image_size: Positive
    threads: Positive
    dtype: Dtype = "fp32"

    @property
    def label(self) -> str:
        """Short name for people: size and optimisation."""
        return f"{self.size}-{self.backend}"

    @property
    def id(self) -> str:
        """Full identity: two cases of the same id measure the same thing."""
        return f"{self.label}-b{self.batch}-{self.image_size}px-t{self.threads}"
