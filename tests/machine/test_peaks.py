"""Rates from time stamps of a fake clock, sizes, choices; the real kernels run, but no time is asserted."""

import ctypes
import itertools
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo_perf.errors import BackendUnavailable, UsageError
from yolo_perf.machine import amx, peaks
from yolo_perf.machine.forms import forms_for
from yolo_perf.machine.kernels import host_isa
from yolo_perf.machine.peaks import measure_peaks, triad_elements
from yolo_perf.machine.team import Meet, Team
from yolo_perf.machine.timeline import Timeline, best_burst, best_rate, iterations_for, rate, whole_rate
from yolo_perf.records import Machine


def line(*spans: tuple[float, float], work: float = 10.0) -> Timeline:
    return Timeline(spans=spans, work=work)


def test_rate() -> None:
    assert rate(100.0, 4.0) == 25.0
    for seconds in (0.0, -1.0):
        with pytest.raises(ValueError, match="clock"):
            rate(100.0, seconds)


def test_iterations_for() -> None:
    assert iterations_for(0.5, 1000, 0.25) == 2000
    assert iterations_for(1e-9, 1000, 1.0) == 1
    with pytest.raises(ValueError, match="clock"):
        iterations_for(0.5, 1000, 0.0)


def test_whole_rate_runs_from_first_start_to_last_end() -> None:
    assert whole_rate([line((0, 1), (1, 2)), line((1, 2), (2, 4))]) == 40 / 4


def test_a_slow_chunk_is_left_out() -> None:
    """10 a second, but for a chunk that was interrupted and took three."""
    spans = ((0, 1), (1, 2), (2, 5), (5, 6), (6, 7))
    assert best_rate([line(*spans)], window=2) == pytest.approx(10.0)
    assert best_rate([line(*spans)], window=7) == pytest.approx(50 / 7)


def test_only_simultaneous_work_adds_up() -> None:
    """Two threads in turns on one core: each at best 10 a second, together 10 and not 20."""
    one = line((0, 1), (1, 3), (3, 4), (4, 6))
    other = line((0, 2), (2, 3), (3, 5), (5, 6))
    assert best_rate([one, other], window=1) == pytest.approx(15.0)
    turns = line((0, 1), (2, 3), (4, 5)), line((1, 2), (3, 4), (5, 6))
    assert best_rate(turns, window=1) == pytest.approx(10.0)


def test_two_cores_of_different_speed_add_up() -> None:
    fast = Timeline(spans=tuple((n / 2, (n + 1) / 2) for n in range(8)), work=20)
    slow = Timeline(spans=tuple((n, n + 1.0) for n in range(4)), work=10)
    assert best_rate([fast, slow], window=2) == pytest.approx(50.0)


def test_without_a_common_window_the_whole_counts() -> None:
    assert best_rate([line((0, 1)), line((10, 11))], window=0.5) == pytest.approx(20 / 11)
    assert best_rate([line((0, 1))], window=5) == pytest.approx(10.0)


def test_the_best_burst_of_all() -> None:
    """10 operations in 4, 2 and 5 s: the clock did not stand still in the second."""
    assert best_burst([line((0, 4), (9, 11)), line((20, 25))]) == 5.0


def test_the_last_window_is_looked_at() -> None:
    """Its start is a difference, which rounding must not push out of the time that is looked at."""
    durations, window = (1.4618466130087198, 7.2994209715645, 1.0), 1.4618466130087198
    ends = list(itertools.accumulate(durations))
    spans = tuple(zip([0.0, *ends], ends, strict=False))
    last = (1 + (window - 1.0) / 7.2994209715645) / window
    assert best_rate([line(*spans, work=1.0)], window) == pytest.approx(last)


@given(
    st.lists(st.floats(0.1, 10), min_size=1, max_size=20),
    st.floats(0.1, 30),
    st.floats(0.1, 100),
)
def test_one_thread_is_never_faster_than_its_fastest_chunk(
    durations: list[float], window: float, scale: float
) -> None:
    ends = list(itertools.accumulate(durations))
    spans = tuple(zip([0.0, *ends], ends, strict=False))
    best = best_rate([Timeline(spans=spans, work=1.0)], window)
    assert len(durations) / ends[-1] * (1 - 1e-9) <= best <= 1 / min(durations) * (1 + 1e-9)
    slower = tuple((start * scale, end * scale) for start, end in spans)
    assert best_rate([Timeline(spans=slower, work=1.0)], window * scale) == pytest.approx(best / scale)


def test_triad_arrays_outgrow_the_caches(machine: Machine) -> None:
    per_thread = triad_elements(machine, threads=2)
    assert per_thread % 32 == 0
    assert per_thread * 2 * 8 == 4 * machine.caches["L3"]
    assert triad_elements(machine, threads=2, last_level_instances=2) == 2 * per_thread


def test_triad_memory_is_capped(machine: Machine) -> None:
    huge = replace(machine, caches={"L3": 2**30})
    assert triad_elements(huge, threads=3) * 24 * 3 <= 2**30
    poor = replace(huge, memory_bytes=2**28)
    assert triad_elements(poor, threads=1) * 24 <= 2**25
    unknown = replace(machine, caches={})
    assert 95e6 < triad_elements(unknown, threads=1) * 24 <= 96 * 2**20
    assert triad_elements(replace(machine, memory_bytes=1), threads=1) == 32


def test_team_runs_every_thread_and_stops_together() -> None:
    def work(meet: Meet) -> int:
        meet()
        return threading.get_ident()

    assert len(set(Team(threads=3, cpus=()).run(work))) == 3


def test_a_failing_thread_releases_the_others() -> None:
    first = threading.Lock()

    def work(meet: Meet) -> None:
        if first.acquire(blocking=False):
            raise RuntimeError("no memory here")
        meet()

    with pytest.raises(RuntimeError, match="no memory here"):
        Team(threads=3, cpus=()).run(work)


def test_team_says_where_it_runs() -> None:
    assert str(Team(threads=1, cpus=())) == "1 thread, not pinned"
    assert str(Team(threads=3, cpus=(0, 1))) == "3 threads, not pinned"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"CHUNKS": 2, "ROUNDS": 2, "_PROBE_ITERATIONS": 100, "_SMALLEST_TRIAD": 2**16}.items():
        monkeypatch.setattr(peaks, name, value)


def ticking(step: float) -> Callable[[], float]:
    ticks = itertools.count()
    return lambda: next(ticks) * step


def this_one(machine: Machine) -> Machine:
    from yolo_perf.machine.identity import identify

    real = identify(with_torch=False)
    return replace(machine, isa=real.isa, architecture=real.architecture, caches={"L2": 2**10})


@pytest.mark.usefixtures("small")
def test_rates_by_a_fake_clock(machine: Machine) -> None:
    """Every call takes a second: 100 iterations a probe, so one iteration is asked for in 0.5 ms.

    Chunks are longer than the window, and back to back there is a second between two.
    """
    here = this_one(machine)
    found = measure_peaks(here, 1, clock=ticking(1.0))
    forms = forms_for(set(here.isa) & set(host_isa()))
    widest = {form.dtype: 0 for form in forms}
    for form in forms:
        widest[form.dtype] = max(widest[form.dtype], form.work_per_iteration)
    assert found.flops_per_s == pytest.approx(widest)
    assert found.bytes_per_s == pytest.approx(triad_elements(here, 1) * 24)
    assert found.threads == 1
    assert "STREAM triad with" in found.method
    assert found.clock_hz_measured == pytest.approx(64)  # one turn of the chain, and FMA is not in its second


@pytest.mark.usefixtures("small")
def test_the_theoretical_peak_is_at_the_measured_clock(machine: Machine) -> None:
    """On two cores of 64 FLOP a cycle, or of 32 where AVX-512 is hidden; what is reported is no matter."""
    xeon = replace(this_one(machine), vendor="GenuineIntel", family=6, model=0xCF, clock_hz_max=9e9)
    if "fma" not in xeon.isa:
        pytest.skip("this CPU is not an x86 with FMA")
    found = measure_peaks(xeon, 2, clock=ticking(1.0))
    per_cycle = 64 if "avx512f" in xeon.isa else 32
    assert found.clock_hz_measured is not None
    assert found.theoretical_flops_per_s == pytest.approx(found.clock_hz_measured * per_cycle * 2)


@pytest.mark.usefixtures("small")
def test_the_mean_of_unlike_cores(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bursts of 64 cycles in 1 s on one core and in 4 s on the other: 64 and 16 Hz."""
    clocks: dict[int, Callable[[], float]] = {}

    def own() -> float:
        return clocks.setdefault(threading.get_ident(), ticking(4.0 if clocks else 1.0))()

    monkeypatch.setattr(peaks, "core_cpus", lambda: ())
    found = measure_peaks(this_one(machine), 2, clock=own)
    assert found.clock_hz_measured == pytest.approx((64 + 16) / 2)


@pytest.mark.usefixtures("small")
def test_all_usable_cores_are_the_default(machine: Machine) -> None:
    found = measure_peaks(this_one(machine), clock=ticking(1.0))
    assert found.threads == machine.usable_cores == 2
    assert set(found.flops_per_s) >= {"fp32"}


@pytest.mark.usefixtures("small")
def test_a_clock_that_stands_still_is_refused(machine: Machine) -> None:
    with pytest.raises(ValueError, match="clock"):
        measure_peaks(this_one(machine), 1, clock=lambda: 1.0)


def test_no_threads(machine: Machine) -> None:
    with pytest.raises(UsageError, match="at least one thread, not 0"):
        measure_peaks(machine, 0)


def test_no_kernel(machine: Machine) -> None:
    with pytest.raises(BackendUnavailable, match="AMD EPYC"):
        measure_peaks(replace(machine, isa=()))


@pytest.mark.usefixtures("small")
def test_a_machine_without_avx_gets_the_portable_kernel(machine: Machine) -> None:
    here = this_one(machine)
    if "sse4_2" not in here.isa:
        pytest.skip("this CPU is not an x86")
    found = measure_peaks(replace(here, isa=("sse4_2",)), 1, clock=ticking(1.0))
    assert "fp32 128-bit multiply and add" in found.method


@pytest.mark.usefixtures("small")
def test_a_claim_that_llvm_does_not_share_is_not_run(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """An instruction that the CPU lacks would end this process."""
    here = this_one(machine)
    monkeypatch.setattr(peaks, "host_isa", lambda: tuple({"sse4_2", "asimd"} & set(here.isa)))
    claims = replace(here, isa=(*here.isa, "avx512f", "avx512_vnni", "avx512_bf16", "i8mm", "bf16"))
    found = measure_peaks(claims, 1, clock=ticking(1.0))
    assert "fp32 128-bit" in found.method
    assert "bf16" not in found.flops_per_s


@pytest.mark.usefixtures("small")
def test_tiles_that_are_refused_are_left_out_and_said(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next best forms are measured in their place."""
    here = replace(this_one(machine), isa=("amx_bf16", "amx_int8", "amx_tile", "asimd", "sse4_2"))
    monkeypatch.setattr(peaks, "host_isa", lambda: here.isa if "sse4_2" in this_one(machine).isa else ("asimd",))
    monkeypatch.setattr(amx, "refusal", lambda: "the system does not give leave to use tiles (Invalid argument)")
    found = measure_peaks(here, 1, clock=ticking(1.0))
    assert "bf16" not in found.flops_per_s
    if "sse4_2" in this_one(machine).isa:
        assert found.method.endswith(
            "; amx_bf16, amx_int8, amx_tile left out: "
            "the system does not give leave to use tiles (Invalid argument)"
        )
        assert "int8 128-bit vpmaddubsw" in found.method


@pytest.mark.parametrize(("answer", "reason"), [(0, None), (-1, "the system does not give leave to use tiles")])
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux is asked for leave to use tiles")
def test_leave_to_use_tiles_is_asked_for(monkeypatch: pytest.MonkeyPatch, answer: int, reason: str | None) -> None:
    asked: list[tuple[int, ...]] = []

    def syscall(*numbers: int) -> int:
        asked.append(numbers)
        return answer

    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: SimpleNamespace(syscall=syscall))
    told = amx.refusal()
    assert (told is None) if reason is None else (told or "").startswith(reason)
    assert asked == [(158, 0x1023, 18)]


@pytest.mark.slow
def test_this_machine_has_a_plausible_clock(machine: Machine) -> None:
    """No time is asserted, but that cores of today run at no less than a tenth and no more than ten GHz."""
    found = measure_peaks(this_one(machine), 1)
    assert found.clock_hz_measured is not None
    assert 1e8 < found.clock_hz_measured < 1e10
