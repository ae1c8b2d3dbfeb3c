"""The one place where cases are measured: prepare, check agreement, plan, time, record."""

import gc
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from yolo_perf.analysis import parity as agreement
from yolo_perf.analysis.memory import require_memory
from yolo_perf.analysis.rounds import Plan, plan
from yolo_perf.analysis.timing import Clock, Watched, slowed, timed
from yolo_perf.analysis.work import count
from yolo_perf.backends.registry import Backend, Subject, backends
from yolo_perf.backends.subject import prepare_subject
from yolo_perf.machine.allocator import settle
from yolo_perf.machine.identity import identify
from yolo_perf.machine.naming import describe
from yolo_perf.machine.peaks import measure_peaks
from yolo_perf.pace import STEP
from yolo_perf.pipeline.images import Dataset, open_dataset
from yolo_perf.pipeline.letterbox import Letterbox, letterbox, stack
from yolo_perf.records import Case, Machine, Measurement, Parity, Peaks, Run, Timed, Work
from yolo_perf.settings import Settings
from yolo_perf.units import duration, milliseconds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from yolo_perf.backends.registry import Images, Infer

log = logging.getLogger(__name__)

TimeRounds = Callable[[Callable[[], object], Plan], tuple[float, ...]]
"""Calls a target for its warm-up and timed rounds; the timed ones in seconds, in order."""

PARITY_FLOPS = 100e9
"""Of eager for all pictures that backends are compared on: about a second of two cores. A count and no time, so
that the agreement of a case is of the same pictures on every machine."""
PARITY_LEAST, PARITY_MOST = 2, 8


def parity_pictures(work: Work) -> int:
    """How many pictures the backends of a model with so much work an image are compared on."""
    return min(max(int(PARITY_FLOPS / work.flops), PARITY_LEAST), PARITY_MOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reference:
    """A size's subject with the pictures that backends are compared on, and eager's output for them.

    `pictures` are compared one by one; `images` are as many as the configured batch, where that is more.
    """

    subject: Subject
    pictures: int
    images: "Images"
    geometries: tuple[Letterbox, ...]
    output: "NDArray[np.float32]"


class Bench:
    """What the cases of a session share: machine, peaks, pictures, and one size's model at a time."""

    def __init__(self, settings: Settings, clock: Clock = time.perf_counter):
        self.settings = settings
        self.allocator = settle(settings.allocator)  # now: the first tensor comes after the bench
        if self.allocator != settings.allocator:
            log.warning("The allocator is %s, where %s was asked for", self.allocator, settings.allocator)
        self.clock = clock
        self._subjects: dict[str, Subject] = {}
        self._references: dict[str, _Reference] = {}

    @cached_property
    def machine(self) -> Machine:
        """Who runs."""
        return identify()

    @cached_property
    def threads(self) -> int:
        """Threads of every engine: as asked for, else one a usable physical core."""
        usable = self.machine.usable_cores
        threads = self.settings.threads or usable
        if threads > usable:
            log.warning(
                "%d threads on %d usable cores: they will wait for each other, and figures will be slow "
                "and unsteady. Leave the setting out for one thread a core.",
                threads,
                usable,
            )
        log.debug("%d threads, %s", threads, "as asked for" if self.settings.threads else "one a usable core")
        return threads

    @cached_property
    def peaks(self) -> Peaks:
        """The machine's roofs, measured once a session before anything else warms or tires the cores."""
        threads = min(self.threads, self.machine.usable_cores)
        log.info("measuring the roofs of %s with %d threads", describe(self.machine), threads)
        return measure_peaks(self.machine, threads)

    @cached_property
    def dataset(self) -> Dataset:
        """The pictures."""
        return open_dataset(self.settings.data)

    def case(self, size: str, backend: Backend, *, batch: int | None = None, threads: int | None = None) -> Case:
        """The case of a size and an optimisation, under this session's settings but for what is given.

        Raises NotEnoughMemory for one that would not fit, before anything of it is made.
        """
        case = Case(
            size=size,
            backend=backend.name,
            batch=batch or (self.settings.batch if backend.batched else 1),
            image_size=self.settings.image_size,
            threads=threads or self.threads,
            dtype=backend.dtype if backend.dtype in self.peaks.flops_per_s else "fp32",
        )
        require_memory(case)
        return case

    def measure(self, size: str, backend: Backend, nodeid: str, time_rounds: TimeRounds) -> Measurement:
        """Measure one case. Raises BackendUnavailable, ParityError or another YoloPerfError.

        `time_rounds` does the timing, so that pytest-benchmark, a worker or a test's fake clock can.
        """
        case = self.case(size, backend)
        call, agreed = self._ready(backend, case, pictures=PARITY_MOST)
        chosen = self.plan(timed(call, self.clock))
        subject = self.subject(size)
        watched = Watched(call, chosen.warmup_rounds)
        return Measurement(
            case=case,
            nodeid=nodeid,
            weights=subject.weights,
            work=count(size, subject.weights.classes, case.image_size, case.dtype),
            round_seconds=time_rounds(watched, chosen),
            host=watched.host(),
            allocator=self.allocator,
            warmup_rounds=chosen.warmup_rounds,
            parity=agreed,
        )

    def run_of(self, **found: Any) -> Run:
        """A run of this bench that holds what was found, under the names of `Run`."""
        return Run(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            machine=self.machine,
            peaks=self.peaks,
            data=self.dataset.name,
            **{"measurements": (), **found},
        )

    def measure_throughput(self, case: Case, time_rounds: TimeRounds) -> Timed:
        """Time one batch on one number of threads. Raises as `measure` does."""
        call, _ = self._ready(backends()[case.backend], case)
        chosen = self.plan(timed(call, self.clock), self.settings.analysis_budget_s)
        watched = Watched(call, chosen.warmup_rounds)
        seconds = time_rounds(watched, chosen)
        return Timed(case=case, round_seconds=seconds, host=watched.host(), allocator=self.allocator)

    def plan(self, round_s: float, budget_s: float | None = None) -> Plan:
        """Warm-up and rounds of a benchmark whose round takes so many seconds; an analysis has its own budget."""
        chosen = plan(round_s, budget_s=budget_s or self.settings.budget_s, rounds=self.settings.rounds)
        log.debug(
            "%d rounds of %s ms after %d untimed ones", chosen.rounds, milliseconds(round_s), chosen.warmup_rounds
        )
        return chosen

    def prepare(self, backend: Backend, case: Case, *, pictures: int = PARITY_LEAST) -> "tuple[Infer, Parity]":
        """The case as an inference callable whose output agrees with eager's, on so many pictures at most.

        Few by default: sweeps and analyses prepare a case many times. Raises as `measure` does.
        """
        backend.check_available()
        reference = self._reference(case.size)
        infer = backend.prepare(reference.subject, case)
        return infer, self._agree(backend, case, infer, reference, pictures)

    def _ready(
        self, backend: Backend, case: Case, *, pictures: int = PARITY_LEAST
    ) -> tuple[Callable[[], object], Parity]:
        """The case as a call."""
        infer, agreed = self.prepare(backend, case, pictures=pictures)
        return self._target(case, infer, self.images(case.batch)), agreed

    def _target(self, case: Case, infer: "Infer", images: "Images") -> Callable[[], object]:
        def call() -> object:
            return infer(images)

        factor = dict(self.settings.slow_down).get(case.label)
        return slowed(call, factor, self.clock) if factor else call

    def rounds(self, round_s: float, most: int | None = None, budget_s: float | None = None) -> int:
        """Rounds of an analysis: as many as are asked for, else what the budget holds, 5 to 200; `most` at most.

        It is said now how long they will take: while they are timed nothing is.
        """
        rounds = self.settings.rounds or min(max(int((budget_s or self.settings.budget_s) / round_s), 5), 200)
        rounds = min(rounds, most or rounds)
        log.info("timing %d rounds, about %s", rounds, duration(rounds * round_s), extra=STEP)
        return rounds

    def subject(self, size: str) -> Subject:
        """The size's model; the previous size's is let go first, for memory's sake."""
        if size not in self._subjects:
            self._references.clear()
            self._subjects.clear()
            gc.collect()
            settings = self.settings
            self._subjects[size] = prepare_subject(size, settings.data, self.dataset, settings.image_size)
        return self._subjects[size]

    def images(self, number: int) -> "Images":
        """The first pictures, letterboxed: (number, 3, S, S); from the first again where there are fewer."""
        return stack([image for image, _ in self._letterboxed(number)])

    def _letterboxed(self, number: int) -> "list[tuple[NDArray[np.float32], Letterbox]]":
        pictures = (self.dataset.load(index % len(self.dataset)) for index in range(number))
        return [letterbox(picture, self.settings.image_size) for picture in pictures]

    def _reference(self, size: str) -> _Reference:
        """What the size's backends are compared with."""
        if size not in self._references:
            self._references[size] = self._new_reference(size)
        return self._references[size]

    def _new_reference(self, size: str) -> _Reference:
        subject = self.subject(size)
        work = count(size, subject.weights.classes, self.settings.image_size)
        pictures = min(parity_pictures(work), len(self.dataset))
        pairs = self._letterboxed(max(self.settings.batch, pictures))
        images = stack([image for image, _ in pairs])
        eager = backends()["eager"]
        case = self.case(size, eager)
        output = _outputs(eager.prepare(subject, case), images)
        agreement.require_reference(output, case.label)
        return _Reference(
            subject=subject,
            pictures=pictures,
            images=images,
            geometries=tuple(geometry for _, geometry in pairs),
            output=output,
        )

    def _agree(self, backend: Backend, case: Case, infer: "Infer", reference: _Reference, pictures: int) -> Parity:
        """How far a case agrees with eager, at its own batch. Raises ParityError where that is not enough."""
        number = min(max(case.batch, min(pictures, reference.pictures)), len(reference.images))
        output = _outputs(infer, reference.images[:number], case.batch)
        agreed = agreement.parity(reference.output[:number], output, reference.geometries[:number])
        agreement.require(agreed, backend, case)
        return agreed


def _outputs(infer: "Infer", images: "Images", batch: int = 1) -> "NDArray[np.float32]":
    """The output of every image, inferred in calls of `batch`; the last call is filled up from the first again."""
    import numpy as np

    filled = images[np.arange(-(-len(images) // batch) * batch) % len(images)]
    calls = (infer(filled[start : start + batch]) for start in range(0, len(filled), batch))
    return np.concatenate(list(calls))[: len(images)]
