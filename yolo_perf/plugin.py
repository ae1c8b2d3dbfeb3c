"""The door for pytest: options in, fixtures, verdict, table, exit status out.

Loads nothing heavy: torch, onnxruntime, OpenCV, llvmlite and numpy are imported by the first benchmark that
is measured. pytest-benchmark does the timing and owns the JSON; this plugin adds what it does not know.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from yolo_perf.errors import BackendUnavailable, YoloPerfError
from yolo_perf.options import add_options
from yolo_perf.progress import progress
from yolo_perf.session import FIXTURE, PerfSession

if TYPE_CHECKING:
    from yolo_perf.analysis.bench import Bench
    from yolo_perf.analysis.timing import Plan
    from yolo_perf.records import Measurement

MeasureInference = Callable[[str, str], "Measurement"]
"""Measures one size under one optimisation in the running test."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options: see `options`."""
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Check the settings; hand the chosen baseline to pytest-benchmark before it looks for one itself."""
    try:
        state = PerfSession(config)
    except YoloPerfError as error:
        raise pytest.UsageError(str(error)) from error
    config.pluginmanager.register(state, "yolo-perf-session")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Sizes x optimisations for every test that measures an inference, all optimisations of a size together."""
    if FIXTURE in metafunc.fixturenames and {"size", "optimization"} <= set(metafunc.fixturenames):
        state = _state(metafunc.config)
        pairs = [(size, name) for size in state.settings.sizes for name in state.optimizations]
        metafunc.parametrize(("size", "optimization"), pairs, ids=[f"{s}-{o}" for s, o in pairs])


@pytest.fixture
def measure_inference(request: pytest.FixtureRequest, benchmark: Any) -> Iterator[MeasureInference]:
    """Measure one case through pytest-benchmark: agreement first, then rounds, then figures in extra_info."""
    state = _state(request.config)
    nodeid: str = request.node.nodeid

    def measure(size: str, optimization: str) -> "Measurement":
        from yolo_perf.backends.registry import choose

        (backend,) = choose((optimization,))

        def time_rounds(target: Callable[[], object], plan: "Plan") -> tuple[float, ...]:
            try:
                benchmark.pedantic(target, rounds=plan.rounds, warmup_rounds=plan.warmup_rounds)
            except KeyboardInterrupt:
                benchmark.has_error = True  # else the host computes statistics of the rounds there are not
                raise
            # pytest-benchmark's own --benchmark-disable leaves no rounds behind.
            return tuple(benchmark.stats.stats.data) if benchmark.stats else ()

        try:
            measurement = state.bench.measure(size, backend, nodeid, time_rounds)
        except BackendUnavailable as error:
            raise pytest.skip.Exception(str(error)) from None
        except YoloPerfError as error:
            benchmark._mode = "failed before timing"  # else the host warns of an unused fixture on top
            raise pytest.fail.Exception(str(error), pytrace=False) from None
        if measurement.round_seconds:
            benchmark.extra_info.update(state.record(measurement))
        return measurement

    with progress(request.config):
        yield measure


@pytest.fixture
def perf_bench(request: pytest.FixtureRequest) -> Iterator["Bench"]:
    """This session's bench: machine, roofs, pictures and models, for benchmarks of one's own."""
    state = _state(request.config)
    with progress(request.config):
        yield state.bench


def _state(config: pytest.Config) -> "PerfSession":
    state = config.pluginmanager.get_plugin("yolo-perf-session")
    assert isinstance(state, PerfSession)  # noqa: S101 - registered in pytest_configure
    return state
