"""The door for pytest: options in, fixtures, verdict, table, exit status out.

Loads nothing heavy: torch, onnxruntime, OpenCV, llvmlite and numpy are imported by the first benchmark that
is measured. pytest-benchmark does the timing and owns the JSON; this plugin adds what it does not know.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from yolo_perf.backends.registry import find
from yolo_perf.errors import BackendUnavailable, UsageError, YoloPerfError
from yolo_perf.guest import FIXTURES, SWEEP
from yolo_perf.options import add_options
from yolo_perf.progress import progress
from yolo_perf.session.hooks import AGAINST, Hooks, spread
from yolo_perf.session.state import SPREAD, PerfSession

if TYPE_CHECKING:
    from yolo_perf.analysis.bench import Bench
    from yolo_perf.analysis.rounds import Plan
    from yolo_perf.records import Accuracy, LayerProfile, Measurement, Memory, StageRun, Timed

TAKEN = (
    "Another plugin took the fixture `benchmark` from pytest-benchmark, as pytest-codspeed does with --codspeed: "
    "nothing can be measured. Run these benchmarks without it."
)

MeasureInference = Callable[[str, str], "Measurement"]
"""Measures one size under one optimisation in the running test."""
MeasureStages = Callable[[str, str], "StageRun"]
MeasureThroughput = Callable[[str, str, int, int], "Timed"]
MeasureAccuracy = Callable[[str, str], "Accuracy"]
MeasureMemory = Callable[[str, str], "Memory"]
MeasureLayers = Callable[[str, str], "LayerProfile"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options: see `options`."""
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Check the settings; hand the chosen baseline to pytest-benchmark before it looks for one itself."""
    try:
        state = PerfSession(config)
        hooks = Hooks(state)
        if config.option.perf_against:
            from yolo_perf.session.against import Against, is_side

            if not is_side():
                config.pluginmanager.register(Against(state), AGAINST)
    except YoloPerfError as error:
        raise pytest.UsageError(str(error)) from error
    config.pluginmanager.register(hooks, "yolo-perf-session")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Sizes x optimisations for every test that measures them, all optimisations of a size together."""
    state, names = _state(metafunc.config), set(metafunc.fixturenames)
    if not names & set(FIXTURES) or not {"size", "optimization"} <= names:
        return
    pairs = state.choice.pairs_of(names)
    metafunc.parametrize(("size", "optimization"), pairs, ids=[f"{s}-{o}" for s, o in pairs])
    if SWEEP in names:
        metafunc.parametrize("threads", state.choice.thread_counts, ids="t{}".format)
        metafunc.parametrize("batch", state.settings.batches, ids="b{}".format)


class _Rounds:
    """Pytest-benchmark as the stopwatch of one test."""

    def __init__(self, benchmark: Any, state: "PerfSession"):
        self._benchmark = benchmark
        self._state = state

    def __call__(self, target: Callable[[], object], plan: "Plan") -> tuple[float, ...]:
        """Seconds of every timed round."""
        benchmark = self._benchmark
        try:
            benchmark.pedantic(target, rounds=plan.rounds, warmup_rounds=plan.warmup_rounds)
        except KeyboardInterrupt:
            benchmark.has_error = True  # else the host computes statistics of the rounds there are not
            raise
        # pytest-benchmark's own --benchmark-disable leaves no rounds behind.
        return tuple(benchmark.stats.stats.data) if benchmark.stats else ()

    @contextmanager
    def mistakes(self) -> Iterator[None]:
        """What cannot run here is a skip, and a user's mistake a failure without a traceback."""
        try:
            with _outcomes(self._state):
                if not type(self._benchmark).__module__.startswith("pytest_benchmark"):
                    raise UsageError(TAKEN)
                yield
        except pytest.fail.Exception:
            self._benchmark._mode = "failed before timing"  # else the host warns of an unused fixture on top
            raise


@pytest.fixture
def measure_inference(request: pytest.FixtureRequest, benchmark: Any) -> Iterator[MeasureInference]:
    """Measure one case through pytest-benchmark: agreement first, then rounds, then figures in extra_info."""
    state = _state(request.config)
    rounds = _Rounds(benchmark, state)
    nodeid: str = request.node.nodeid

    def measure(size: str, optimization: str) -> "Measurement":
        with rounds.mistakes():
            measurement = state.bench.measure(size, find(optimization), nodeid, rounds)
        if measurement.round_seconds:
            benchmark.extra_info.update(state.record(measurement))
        return measurement

    with progress(request.config):
        yield measure


@pytest.fixture
def measure_stages(request: pytest.FixtureRequest, benchmark: Any) -> Iterator[MeasureStages]:
    """Take pictures through all stages of one case; a round is one picture, or one batch."""
    state = _state(request.config)
    rounds = _Rounds(benchmark, state)

    def measure(size: str, optimization: str) -> "StageRun":
        from yolo_perf.analysis.stages import Pipeline, stage_figures
        from yolo_perf.analysis.timing import Watched

        bench = state.bench
        with rounds.mistakes():
            pipeline = Pipeline(bench, size, find(optimization))
            plan = bench.plan(pipeline.warm_up(), state.settings.analysis_budget_s)
            pipeline.read_ahead(plan.warmup_rounds + plan.rounds)
            step = Watched(pipeline.step, plan.warmup_rounds)
            rounds(step, plan)
        run = pipeline.result(plan.rounds, step.host(), untimed=plan.warmup_rounds)
        if run.times:
            state.results.keep(state.results.stages, run)
            benchmark.extra_info.update(stages=stage_figures(run), pictures=run.pictures, data=run.data)
        return run

    with progress(request.config):
        yield measure


@pytest.fixture
def measure_throughput(request: pytest.FixtureRequest, benchmark: Any) -> Iterator[MeasureThroughput]:
    """Time one batch on one number of threads."""
    state = _state(request.config)
    rounds = _Rounds(benchmark, state)

    def measure(size: str, optimization: str, batch: int, threads: int) -> "Timed":
        from yolo_perf.analysis.conditions import page_faults_per_image, switches_per_round

        with rounds.mistakes():
            case = state.bench.case(size, find(optimization), batch=batch, threads=threads)
            timed = state.bench.measure_throughput(case, rounds)
        if timed.round_seconds:
            state.results.keep(state.results.throughput, timed)
            benchmark.extra_info.update(
                latency_s=timed.latency_s,
                images_per_s=timed.images_per_s,
                batch=batch,
                threads=threads,
                page_faults_per_image=page_faults_per_image(timed),
                involuntary_switches_per_round=switches_per_round(timed),
            )
        return timed

    with progress(request.config):
        yield measure


@pytest.fixture
def measure_memory(request: pytest.FixtureRequest) -> Iterator[MeasureMemory]:
    """See what one case holds in a process of its own; nothing is timed."""
    state = _state(request.config)

    def measure(size: str, optimization: str) -> "Memory":
        from yolo_perf.analysis import memory

        _skip_if_off(request.config)
        bench, backend = state.bench, find(optimization)
        with _outcomes(state):
            case = bench.case(size, backend)
            found = memory.measure_memory(
                case, bench.subject(size), backend, state.settings.data, state.settings.allocator
            )
        state.results.keep(state.results.memory, found)
        return found

    with progress(request.config):
        yield measure


@pytest.fixture
def measure_accuracy(request: pytest.FixtureRequest) -> Iterator[MeasureAccuracy]:
    """Judge what one case detects; nothing is timed."""
    state = _state(request.config)

    def measure(size: str, optimization: str) -> "Accuracy":
        _skip_if_off(request.config)
        with _outcomes(state):
            found = state.judge(size).judge(find(optimization))
        state.results.keep(state.results.accuracy, found)
        return found

    with progress(request.config):
        yield measure


@pytest.fixture
def measure_layers(request: pytest.FixtureRequest) -> Iterator[MeasureLayers]:
    """Time every layer of one case, in turn with the same case without instruments."""
    state = _state(request.config)

    def measure(size: str, optimization: str) -> "LayerProfile":
        from yolo_perf.analysis.layers import profile_layers

        _skip_if_off(request.config)
        with _outcomes(state):
            found = profile_layers(
                state.bench, size, find(optimization), budget_s=state.settings.analysis_budget_s
            )
        if not found.complete:
            raise KeyboardInterrupt  # which the profile took for its end
        state.results.keep(state.results.layers, found)
        return found

    with progress(request.config):
        yield measure


@pytest.fixture
def perf_bench(request: pytest.FixtureRequest) -> Iterator["Bench"]:
    """This session's bench: machine, roofs, pictures and models, for benchmarks of one's own."""
    state = _state(request.config)
    with progress(request.config):
        yield state.bench


def _skip_if_off(config: pytest.Config) -> None:
    """Skip what is no benchmark of pytest-benchmark's own where those are switched off."""
    host = getattr(config, "_benchmarksession", None)
    if host is not None and (host.skip or host.disabled):
        raise pytest.skip.Exception("Benchmarks are switched off.")


@contextmanager
def _outcomes(state: "PerfSession") -> Iterator[None]:
    """Errors of ours as pytest's outcomes; no test passes that was to measure and cannot."""
    if spread():
        raise (pytest.fail.Exception(SPREAD, pytrace=False) if state.judges else pytest.skip.Exception(SPREAD))
    try:
        yield
    except BackendUnavailable as error:
        raise pytest.skip.Exception(str(error)) from None
    except YoloPerfError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


def _state(config: pytest.Config) -> "PerfSession":
    hooks = config.pluginmanager.get_plugin("yolo-perf-session")
    assert isinstance(hooks, Hooks)  # noqa: S101 - registered in pytest_configure
    return hooks.state
