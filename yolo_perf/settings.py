"""What a session is asked to do: parsed and checked once, free of heavy imports."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from yolo_perf.errors import UsageError
from yolo_perf.yolov5.sizes import SIZES, check_image_size, check_size

IMAGE_SIZE = 640
BATCH, MAX_BATCH = 4, 256
BUDGET_S = 3.0
BATCHES = (1, 4)
ANALYSED = ("eager", "onnx")
"""What is looked into where nothing is named: the reference, and the runtime that every installation has."""
ANALYSIS_BUDGET_S = 1.0
"""Of a case that is looked into: no verdict rests on its rounds, so fewer do."""
FULL = {
    "stages_sizes": ",".join(SIZES),
    "memory_sizes": ",".join(SIZES),
    "analysis_optimizations": "all",
    "batches": "1,2,4,8",
    "analysis_budget": f"{BUDGET_S:g}",
}
"""Settings, as texts, of a session that sweeps all that there is: --perf-full."""
ACCURACY_PICTURES = 128
# What a change has to exceed to matter. What it has to exceed to be no noise is the verdict's to know.
LATENCY_MARGIN = 0.10
UTILIZATION_MARGIN = 0.10
METRICS = ("latency", "utilization")
ALLOCATORS = ("keep", "system")
"""The policies of `machine.allocator`, the default first."""
CONFIRM = ("auto", "fresh", "off")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One session's settings. `threads` and `rounds` are None where the session is to choose them."""

    sizes: tuple[str, ...] = tuple(SIZES)
    optimizations: tuple[str, ...] = ()
    batch: int = BATCH
    threads: int | None = None
    allocator: str = ALLOCATORS[0]  # what the processes that measure do with freed memory
    analysis_optimizations: tuple[str, ...] = ()  # none: those named to be measured, else ANALYSED
    analysis_budget_s: float = ANALYSIS_BUDGET_S
    stages_sizes: tuple[str, ...] = ("n",)
    memory_sizes: tuple[str, ...] = ("n",)
    throughput_sizes: tuple[str, ...] = ("n",)
    batches: tuple[int, ...] = BATCHES
    layers_sizes: tuple[str, ...] = ("n",)
    accuracy_sizes: tuple[str, ...] = ("n",)
    accuracy_pictures: int = ACCURACY_PICTURES
    thread_counts: tuple[int, ...] = ()  # none: doubled from 1 to the usable cores
    image_size: int = IMAGE_SIZE
    data: Path | None = None
    rounds: int | None = None
    budget_s: float = BUDGET_S
    latency_margin: float = LATENCY_MARGIN
    utilization_margin: float = UTILIZATION_MARGIN
    margins: tuple[tuple[str, str, float], ...] = ()  # (case label, metric or "" for each, fraction)
    slow_down: tuple[tuple[str, float], ...] = ()  # case label -> factor, for drills
    confirm: str = CONFIRM[0]
    strict: bool = False

    def plain(self) -> dict[str, str | int | float | None]:
        """The settings as plain values, for a saved run. Paths of this machine are left out."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "data"}
        return {
            **{name: value for name, value in values.items() if not isinstance(value, tuple)},
            "strict": int(self.strict),
            "sizes": ",".join(self.sizes),
            "optimizations": ",".join(self.optimizations),
            "analysis_optimizations": ",".join(self.analysis_optimizations),
            "stages_sizes": ",".join(self.stages_sizes),
            "memory_sizes": ",".join(self.memory_sizes),
            "throughput_sizes": ",".join(self.throughput_sizes),
            "layers_sizes": ",".join(self.layers_sizes),
            "accuracy_sizes": ",".join(self.accuracy_sizes),
            "batches": ",".join(map(str, self.batches)),
            "thread_counts": ",".join(map(str, self.thread_counts)),
            "margins": " ".join(
                f"{label}{f':{metric}' if metric else ''}={100 * margin:g}"
                for label, metric, margin in self.margins
            ),
            "slow_down": ",".join(f"{label}={factor:g}" for label, factor in self.slow_down),
        }


def parse_sizes(text: str) -> tuple[str, ...]:
    """ "n,s" to ("n", "s"), in the published order; all where the text is empty."""
    chosen = {check_size(name) for name in parse_names(text)}
    return tuple(size for size in SIZES if not chosen or size in chosen)


def parse_analysed(text: str, sizes: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the measured sizes that a text names; the smallest of them where it names none."""
    chosen = parse_sizes(text) if text.strip() else sizes[:1]
    return tuple(size for size in sizes if size in chosen)


def parse_names(text: str) -> tuple[str, ...]:
    """A comma- or space-separated list without its blanks."""
    return tuple(text.replace(",", " ").split())


def parse_count(text: str, what: str, most: int = 100_000) -> int:
    """A whole number from 1 to `most`."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not 1 <= value <= most:
        raise UsageError(f"{what} must be a whole number from 1 to {most}, got {text!r}.")
    return value


def parse_counts(text: str, what: str, most: int) -> tuple[int, ...]:
    """ "1,2,8" to its whole numbers in order, each once."""
    return tuple(sorted({parse_count(item, what, most) for item in parse_names(text)}))


def parse_image_size(text: str) -> int:
    """A positive multiple of 32."""
    return check_image_size(parse_count(text, "The image size"))


def parse_positive(text: str, what: str) -> float:
    """A finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise UsageError(f"{what} must be a positive number, got {text!r}.")
    return value


def parse_fraction(text: str, what: str) -> float:
    """A number from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise UsageError(f"{what} must be a number from 0 to 1, got {text!r}.")
    return value


def parse_bytes(text: str, what: str) -> int:
    """ "500M", "2G", "64k" or bytes, in powers of 1024."""
    number, unit = text.strip().rstrip("Bb").removesuffix("i"), 0
    if number and number[-1].upper() in "KMGT":
        number, unit = number[:-1], "KMGT".index(number[-1].upper()) + 1
    try:
        value = int(float(number) * 1024**unit)
    except (ValueError, OverflowError):
        value = 0
    if not 0 < value < 2**62:
        raise UsageError(f"{what} must be a size as in 500M or 2G, got {text!r}.")
    return value


def parse_margin(text: str, what: str) -> float:
    """A margin in per cent ("35" or "35%") to a fraction."""
    return parse_positive(text.strip().removesuffix("%").rstrip(), what) / 100


def parse_margins(text: str) -> tuple[tuple[str, str, float], ...]:
    """ "n-onnx=5 s-eager:utilization=20", per cent, to (case label, metric or "", fraction), each once."""
    found: dict[tuple[str, str], float] = {}
    for item in parse_names(text):
        name, separator, margin = item.partition("=")
        label, colon, metric = name.partition(":")
        if not (separator and label and margin) or (colon and metric not in METRICS):
            raise UsageError(
                "A case's margin reads CASE=PERCENT or CASE:METRIC=PERCENT with a metric of "
                f"{' or '.join(METRICS)}, as in n-onnx=5 or n-onnx:latency=5; got {item!r}."
            )
        if (label, metric) in found:
            raise UsageError(f"{name} has two margins.")
        found[label, metric] = parse_margin(margin, f"The margin of {name}")
    return tuple((label, metric, margin) for (label, metric), margin in found.items())


def parse_choice(text: str, what: str, choices: Sequence[str]) -> str:
    """One of the choices."""
    if text not in choices:
        raise UsageError(f"{what} is one of {', '.join(choices)}; got {text!r}.")
    return text


def parse_slow_down(text: str) -> tuple[tuple[str, float], ...]:
    """ "n-onnx=1.5,s-eager=2" to pairs of case label and factor."""
    pairs = []
    for item in parse_names(text):
        label, separator, factor = item.partition("=")
        if not separator:
            raise UsageError(f"A slow-down reads CASE=FACTOR, as in n-onnx=1.5; got {item!r}.")
        value = parse_positive(factor, "A slow-down's factor")
        if value < 1:
            raise UsageError(f"A slow-down's factor is at least 1, got {factor!r}.")
        pairs.append((label, value))
    return tuple(pairs)
