"""What a session is asked to do: parsed and checked once, free of heavy imports."""

from dataclasses import dataclass
from pathlib import Path

from yolo_perf.errors import UsageError
from yolo_perf.yolov5.sizes import SIZES, check_image_size, check_size

IMAGE_SIZE = 640
BATCH, MAX_BATCH = 4, 256
BUDGET_S = 3.0
BATCHES = (1, 2, 4, 8)
# Two sessions of the same code on one shared machine were seen to differ by up to 1.9-fold.
LATENCY_MARGIN = 1.0
UTILIZATION_MARGIN = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One session's settings. `threads` and `rounds` are None where the session is to choose them."""

    sizes: tuple[str, ...] = tuple(SIZES)
    optimizations: tuple[str, ...] = ()
    batch: int = BATCH
    threads: int | None = None
    throughput_sizes: tuple[str, ...] = ("n",)
    batches: tuple[int, ...] = BATCHES
    thread_counts: tuple[int, ...] = ()  # none: doubled from 1 to the usable cores
    image_size: int = IMAGE_SIZE
    data: Path | None = None
    rounds: int | None = None
    budget_s: float = BUDGET_S
    latency_margin: float = LATENCY_MARGIN
    utilization_margin: float = UTILIZATION_MARGIN
    slow_down: tuple[tuple[str, float], ...] = ()  # case label -> factor, for drills

    def plain(self) -> dict[str, str | int | float | None]:
        """The settings as plain values, for a saved run. Paths of this machine are left out."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "data"}
        return {
            **{name: value for name, value in values.items() if not isinstance(value, tuple)},
            "sizes": ",".join(self.sizes),
            "optimizations": ",".join(self.optimizations),
            "throughput_sizes": ",".join(self.throughput_sizes),
            "batches": ",".join(map(str, self.batches)),
            "thread_counts": ",".join(map(str, self.thread_counts)),
            "slow_down": ",".join(f"{label}={factor:g}" for label, factor in self.slow_down),
        }


def parse_sizes(text: str) -> tuple[str, ...]:
    """ "n,s" to ("n", "s"), in the published order; all where the text is empty."""
    chosen = {check_size(name) for name in parse_names(text)}
    return tuple(size for size in SIZES if not chosen or size in chosen)


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


def parse_margin(text: str, what: str) -> float:
    """A margin in per cent ("35" or "35%") to a fraction."""
    return parse_positive(text.strip().removesuffix("%").rstrip(), what) / 100


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
