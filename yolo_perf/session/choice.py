"""Which sizes and optimisations each kind of test measures, and on how many threads."""

from collections.abc import Set
from functools import cached_property

from yolo_perf.guest import ACCURACY, FIXTURE, LAYERS, MEMORY, STAGES, SWEEP
from yolo_perf.settings import ANALYSED, Settings

BEST = "best"
"""Among the names of optimisations: what `yolo-perf best` found."""


class Choice:
    """What the settings choose. Loads the registry of optimisations when first asked, or where names are given."""

    def __init__(self, settings: Settings):
        """Raises UsageError for an unknown name."""
        self.settings = settings
        if settings.optimizations:
            _ = self.optimizations  # names are checked now; without any, the registry need not be loaded yet
            for size in settings.sizes:
                self.optimizations_of(size)
        if settings.analysis_optimizations:
            from yolo_perf.backends.registry import choose

            choose(settings.analysis_optimizations)

    @cached_property
    def optimizations(self) -> tuple[str, ...]:
        """Names of the chosen optimisations in order."""
        from yolo_perf.backends.registry import choose

        return tuple(backend.name for backend in choose(self._named))

    @property
    def labels(self) -> set[str]:
        """Every size under every optimisation, as in "n-onnx"."""
        return {f"{size}-{name}" for size in self.settings.sizes for name in self.optimizations}

    @property
    def _named(self) -> tuple[str, ...]:
        """The optimisations that are named by their own names."""
        return tuple(name for name in self.settings.optimizations if name != BEST)

    def optimizations_of(self, size: str) -> tuple[str, ...]:
        """The chosen optimisations of a size, "best" being what was found fastest for it on this machine.

        Raises UsageError where nothing was.
        """
        if BEST not in self.settings.optimizations:
            return self.optimizations
        from yolo_perf.backends.registry import backends
        from yolo_perf.backends.subject import find_checkpoint
        from yolo_perf.machine.identity import identify
        from yolo_perf.pairing.contest import known_best
        from yolo_perf.records import SEEDED

        named = self.optimizations if self._named else ()
        checkpoint = find_checkpoint(size, self.settings.data)
        weights = checkpoint.name if checkpoint else SEEDED
        wanted = {known_best(identify(with_torch=False), size, weights), *named}
        return tuple(name for name in backends() if name in wanted)

    def pairs_of(self, fixtures: Set[str]) -> list[tuple[str, str]]:
        """Sizes and optimisations of a test with these fixtures: all where it times inference."""
        settings = self.settings
        if FIXTURE in fixtures:
            return [(size, name) for size in settings.sizes for name in self.optimizations_of(size)]
        choices = {
            SWEEP: (settings.throughput_sizes, self.unbatched_of),
            ACCURACY: (settings.accuracy_sizes, self.optimizations_of),
            LAYERS: (settings.layers_sizes, self.layered_of),
            STAGES: (settings.stages_sizes, self.analysed_of),
            MEMORY: (settings.memory_sizes, self.analysed_of),
        }
        sizes, names_of = next(choice for fixture, choice in choices.items() if fixture in fixtures)
        return [(size, name) for size in sizes for name in names_of(size)]

    def analysed_of(self, size: str) -> tuple[str, ...]:
        """The measured optimisations that are looked into: those named for that, else those named, else two."""
        from yolo_perf.backends.registry import ALL

        settings = self.settings
        named = settings.optimizations and ALL not in settings.optimizations
        wanted = settings.analysis_optimizations or ((ALL,) if named else ANALYSED)
        return tuple(name for name in self.optimizations_of(size) if ALL in wanted or name in wanted)

    def unbatched_of(self, size: str) -> tuple[str, ...]:
        """Those looked into that are not another one at a batch: a sweep has batches of its own."""
        from yolo_perf.backends.registry import backends

        return tuple(name for name in self.analysed_of(size) if not backends()[name].batched)

    def layered_of(self, size: str) -> tuple[str, ...]:
        """Those looked into whose layers can be told apart."""
        from yolo_perf.backends.registry import backends

        return tuple(name for name in self.unbatched_of(size) if backends()[name].tells_layers)

    @cached_property
    def thread_counts(self) -> tuple[int, ...]:
        """Threads of a sweep: as asked for, else 1, 2, 4 ... and the usable cores."""
        from yolo_perf.machine.identity import identify

        if self.settings.thread_counts:
            return self.settings.thread_counts
        usable = identify(with_torch=False).usable_cores
        return (*(2**power for power in range(usable.bit_length()) if 2**power < usable), usable)
