"""Where a picture's time goes: loading, preprocessing, inference, postprocessing."""

import logging
from statistics import median, quantiles
from typing import TYPE_CHECKING

from yolo_perf.analysis.timing import Watched
from yolo_perf.backends.registry import Backend
from yolo_perf.errors import UsageError
from yolo_perf.pace import STEP
from yolo_perf.pipeline.stages import run_pictures
from yolo_perf.records import STAGES, HostUse, StageRun, StageTimes
from yolo_perf.units import duration

if TYPE_CHECKING:
    from yolo_perf.analysis.bench import Bench

log = logging.getLogger(__name__)

MIN_PICTURES = 10


class Pipeline:
    """One case from file to boxes. Each `step` takes the next picture, or batch of them, around the data set.

    A picture is read and decoded anew at every step; nothing decoded is kept. What is warm is the operating
    system's cache of its file, unless the file is put out of it first (`cold`).
    """

    def __init__(self, bench: "Bench", size: str, backend: Backend, *, cold: bool = False):
        self._bench = bench
        self._cold = cold
        self.case = bench.case(size, backend)
        self._infer, _ = bench.prepare(backend, self.case)
        self._weights = bench.subject(size).weights
        self._next = 0
        self._times: list[StageTimes] = []

    def step(self) -> None:
        """Take one picture or batch through all stages. Raises DataError."""
        bench = self._bench
        indices = [(self._next + offset) % len(bench.dataset) for offset in range(self.case.batch)]
        self._next += self.case.batch
        for index in indices if self._cold else ():
            bench.dataset.forget(index)
        found = run_pictures(bench.dataset, indices, self._infer, self.case.image_size, bench.clock)
        self._times.append(found[1])

    def warm_up(self) -> float:
        """Take two untimed steps, and give back the seconds of the second."""
        self.step()
        self.step()
        seconds = self._times[-1].total_s * self.case.batch
        self._times.clear()
        self._next = 0
        return seconds

    def read_ahead(self, steps: int) -> None:
        """Read the files of so many steps once, so that they are in the system's cache; nothing where cold."""
        pictures = min(steps * self.case.batch, len(self._bench.dataset))
        for index in range(0 if self._cold else pictures):
            self._bench.dataset.read(index)

    @property
    def steps(self) -> int:
        """Steps since the warm-up."""
        return len(self._times)

    def result(self, planned: int, host: HostUse, untimed: int = 0) -> StageRun:
        """The steps since the warm-up but for the first `untimed`."""
        return StageRun(
            case=self.case,
            weights=self._weights,
            data=self._bench.dataset.name,
            pictures=len(self._bench.dataset),
            cold=self._cold,
            times=tuple(self._times[untimed : untimed + planned]),
            planned=planned,
            allocator=self._bench.allocator,
            host=host,
        )


def measure_stages(
    bench: "Bench", size: str, backend: Backend, *, pictures: int | None = None, cold: bool = False
) -> StageRun:
    """The stages of `pictures` pictures, in whole batches; else of what the budget holds of the set, 10 at least.

    Ctrl-C ends it early, marked as incomplete. Raises DataError, BackendUnavailable, UsageError.
    """
    if pictures is not None and pictures > len(bench.dataset):
        raise UsageError(f"There are {len(bench.dataset)} pictures in {bench.dataset.name}, not {pictures}.")
    pipeline = Pipeline(bench, size, backend, cold=cold)
    step_s = pipeline.warm_up()
    batch = pipeline.case.batch
    affordable = max(int(bench.settings.budget_s / step_s) * batch, MIN_PICTURES)
    planned = -((pictures or min(affordable, len(bench.dataset))) // -batch)  # whole batches
    pipeline.read_ahead(planned)
    said = (pipeline.case.label, planned * batch, duration(planned * step_s))
    log.info("%s: %d pictures, about %s", *said, extra=STEP)
    step = Watched(pipeline.step, 0)
    try:
        for _ in range(planned):
            step()
    except KeyboardInterrupt:
        if not pipeline.steps:
            raise
    return pipeline.result(planned, step.host())


def stage_figures(run: StageRun) -> dict[str, dict[str, float]]:
    """Median, 90th percentile (seconds a picture) and share of each stage and of all together."""
    seconds = {stage: run.seconds(stage) for stage in STAGES}
    seconds["total"] = tuple(times.total_s for times in run.times)
    whole = sum(seconds["total"])
    return {
        stage: {"median_s": median(each), "p90_s": _p90(each), "share": sum(each) / whole}
        for stage, each in seconds.items()
    }


def _p90(seconds: tuple[float, ...]) -> float:
    """The 90th percentile, interpolated between the two nearest."""
    return quantiles(seconds, n=10, method="inclusive")[8] if len(seconds) > 1 else seconds[0]
