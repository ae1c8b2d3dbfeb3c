"""The measured roofs: how many operations and bytes a second this machine reaches when nothing is in the way.

A matrix product is not a roof: libraries reach 80 to 90 % of what the pipes can do, and a convolution may
beat it. So the roof is a loop that does nothing else, on one thread a core, timed in chunks of about a
millisecond; the best few milliseconds that all threads did together count, since disturbance only ever slows.
Other programs on the same cores are scheduled in slices of several milliseconds: between them lies the roof.

The clock is that of this load: bursts of the chain (see `chain`), half as long as the chunks of FMA before them,
on all cores at once. CPUs lower their clock for wide vectors, and raise it again only some time after them.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean

from yolo_perf.errors import BackendUnavailable, UsageError
from yolo_perf.machine import amx, sysfs
from yolo_perf.machine.buffers import Arrays, Registers
from yolo_perf.machine.chain import Chain
from yolo_perf.machine.forms import Form, forms_for
from yolo_perf.machine.identity import core_cpus
from yolo_perf.machine.kernels import (
    TRIAD_BYTES,
    TRIAD_STEP,
    Compiled,
    Triad,
    compile_for_host,
    host_isa,
    triads_for,
)
from yolo_perf.machine.team import Meet, Team
from yolo_perf.machine.theory import theoretical_flops_per_s
from yolo_perf.machine.timeline import Timeline, best_burst, best_rate, iterations_for
from yolo_perf.records import Dtype, Machine, Peaks

Clock = Callable[[], float]
Chunk = Callable[[], None]
Lines = list[Timeline]  # one a round

ROUNDS = 5
CHUNKS = 100
CHUNK_SECONDS = 5e-4
CHUNK_SECONDS_PER_THREAD = 5e-5
"""With many threads chunks grow, or the threads would queue for the interpreter between them."""
WINDOW_CHUNKS = 4
CLOCK_BURSTS = 20
CLOCK_BURST_SHARE = 0.5  # of a chunk: short enough for the clock of the load before it, long beside a call's cost
TRIAD_CHUNK_BYTES = 24 * 2**20
TRIAD_PASSES = 6
TRIAD_WINDOW_SECONDS = 8e-3
"""Long enough to move several times what the caches could hold back."""
_PROBE_ITERATIONS = 20_000
_PROBES = 3
_MEMORY_CAP = 2**30
_SMALLEST_TRIAD = 96 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Roof:
    """The best rate of one kernel over all threads, per second."""

    label: str
    per_second: float


def measure_peaks(machine: Machine, threads: int | None = None, *, clock: Clock = time.perf_counter) -> Peaks:
    """Roofs of `machine`, the one this runs on, for `threads` threads (default: every usable core).

    Takes a second or two, compilation included. A dtype for which the CPU has no instruction of its own is
    absent. Raises UsageError for a thread count below one, BackendUnavailable where nothing can be measured.
    """
    count = machine.usable_cores if threads is None else threads
    if count < 1:
        raise UsageError(f"Peaks need at least one thread, not {count}.")
    isa, left_out = _usable(machine)
    forms, triads = forms_for(isa), triads_for(isa)
    if not any(form.dtype == "fp32" for form in forms):
        raise BackendUnavailable(
            f"No roofline kernel for {machine.cpu_model} ({machine.architecture}): "
            "SSE4.2 or ARM Advanced SIMD is needed."
        )
    team = Team(threads=count, cpus=core_cpus())
    bench = Bench(
        forms=forms,
        triads=triads,
        compiled=compile_for_host([*forms, *triads, Chain()]),
        elements=triad_elements(machine, count, sysfs.last_level_instances(sysfs.ROOT)),
        chunk_seconds=max(CHUNK_SECONDS, CHUNK_SECONDS_PER_THREAD * count),
        clock=clock,
    )
    computed, memory, clock_hz = bench.roofs(team)
    return Peaks(
        flops_per_s={dtype: roof.per_second for dtype, roof in computed.items()},
        bytes_per_s=memory.per_second,
        threads=count,
        method="; ".join([*method_parts(computed, memory, str(team)), *left_out]),
        theoretical_flops_per_s=theoretical_flops_per_s(machine, count, clock_hz),
        clock_hz_measured=clock_hz,
    )


def _usable(machine: Machine) -> tuple[set[str], list[str]]:
    """Extensions that may be run here, and what is left out, with the reason."""
    isa = set(machine.isa) & set(host_isa())
    if (tiles := isa & amx.AMX) and (refused := amx.refusal()):
        return isa - amx.AMX, [f"{', '.join(sorted(tiles))} left out: {refused}"]
    return isa, []


def triad_elements(machine: Machine, threads: int, last_level_instances: int = 1) -> int:
    """Elements in each of one thread's three arrays.

    Over all threads, every array is four times the last-level caches in all: McCalpin's rule for STREAM,
    within a gibibyte and an eighth of the memory. A multiple of `TRIAD_STEP`.
    """
    largest = max(machine.caches.values(), default=0)
    wanted = max(3 * 4 * largest * last_level_instances, _SMALLEST_TRIAD)
    total = min(wanted, _MEMORY_CAP, machine.memory_bytes // 8)
    return max(1, total // (TRIAD_BYTES * threads * TRIAD_STEP)) * TRIAD_STEP


def method_parts(computed: dict[Dtype, Roof], memory: Roof, team: str) -> list[str]:
    """How the roofs were measured, for the reader of a saved run."""
    kinds = [f"{dtype} {roof.label}" for dtype, roof in computed.items()]
    return [*kinds, f"STREAM triad with {memory.label}", team]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The kernels to be measured, and how long each is looked at."""

    forms: tuple[Form, ...]
    triads: tuple[Triad, ...]
    compiled: Compiled
    elements: int
    chunk_seconds: float
    clock: Clock

    def roofs(self, team: Team) -> tuple[dict[Dtype, Roof], Roof, float]:
        """The best form of each dtype, the better triad, and the clock in Hz: the mean of the cores' best bursts.

        The rounds go over all kernels, so that a disturbance of half a second does not fall on one of them.
        """
        by_thread = team.run(self._thread)
        lines = [list(of_kernel) for of_kernel in zip(*by_thread, strict=True)]
        computed: dict[Dtype, Roof] = {}
        for form, of_form in zip(self.forms, lines, strict=False):
            roof = _roof(form.label, of_form, WINDOW_CHUNKS * self.chunk_seconds)
            if form.dtype not in computed or roof.per_second > computed[form.dtype].per_second:
                computed[form.dtype] = roof
        memory = [
            _roof(triad.label, of_triad, TRIAD_WINDOW_SECONDS)
            for triad, of_triad in zip(self.triads, lines[len(self.forms) : -1], strict=True)
        ]
        clock_hz = fmean(best_burst(rounds) for rounds in lines[-1])
        return computed, max(memory, key=lambda roof: roof.per_second), clock_hz

    def _thread(self, meet: Meet) -> list[Lines]:
        """One thread's timelines: for each form, each triad and the chain, one a round."""
        arrays = Arrays(self.elements)
        registers, counter = [Registers(form) for form in self.forms], Registers(Chain())
        meet()
        computing = [self._chunk(form, own) for form, own in zip(self.forms, registers, strict=True)]
        load = next(chunk for form, (chunk, _) in zip(self.forms, computing, strict=True) if form.dtype == "fp32")
        chain, cycles = self._chunk(Chain(), counter)
        lines: list[Lines] = [[] for _ in (*self.forms, *self.triads, Chain())]
        for _ in range(ROUNDS):
            for (chunk, work), rounds in zip(computing, lines, strict=False):
                rounds.append(self._timeline(meet, [chunk] * CHUNKS, work))
            for triad, rounds in zip(self.triads, lines[len(self.forms) : -1], strict=True):
                chunks, work = self._pieces(triad, arrays)
                rounds.append(self._timeline(meet, chunks * TRIAD_PASSES, work))
            lines[-1].append(self._timeline(meet, [chain] * CLOCK_BURSTS, cycles, before=load))
        return lines

    def _timeline(
        self, meet: Meet, chunks: Sequence[Chunk], work: float, *, before: Chunk = lambda: None
    ) -> Timeline:
        """Time stamps of the chunks, begun together with the other threads; what is `before` each is not timed."""
        spans: list[tuple[float, float]] = []
        clock = self.clock
        meet()
        for chunk in chunks:
            before()
            start = clock()
            chunk()
            spans.append((start, clock()))
        return Timeline(spans=tuple(spans), work=work)

    def _chunk(self, form: Form | Chain, registers: Registers) -> tuple[Chunk, float]:
        """A call of about `chunk_seconds` on this thread's core and its FLOP, or a burst of the chain and cycles.

        Each thread finds its own length: cores of one machine need not be alike.
        """
        loop = self.compiled.loop(form)
        probes: list[float] = []
        for _ in range(_PROBES):
            start = self.clock()
            loop(_PROBE_ITERATIONS, registers.accumulators, registers.operands)
            probes.append(self.clock() - start)
        chain = isinstance(form, Chain)
        seconds = self.chunk_seconds * (CLOCK_BURST_SHARE if chain else 1)
        iterations = iterations_for(seconds, _PROBE_ITERATIONS, min(probes))
        chunk = partial(loop, iterations, registers.accumulators, registers.operands)
        return chunk, float(iterations * form.work_per_iteration)

    def _pieces(self, triad: Triad, arrays: Arrays) -> tuple[list[Chunk], float]:
        """Calls that together go over the arrays once, and the bytes of one call. A remainder is left out."""
        loop = self.compiled.triad(triad)
        step = min(self.elements, TRIAD_CHUNK_BYTES // (TRIAD_BYTES * TRIAD_STEP) * TRIAD_STEP)
        offsets = range(0, self.elements - step + 1, step)
        addresses = [tuple(address + 8 * offset for address in arrays.addresses) for offset in offsets]
        return [partial(loop, step, a, b, c, 3.0) for a, b, c in addresses], float(step * TRIAD_BYTES)


def _roof(label: str, by_thread: Sequence[Lines], window: float) -> Roof:
    """The best window of any round, over all threads."""
    rounds = zip(*by_thread, strict=True)
    return Roof(label=label, per_second=max(best_rate(lines, window) for lines in rounds))
