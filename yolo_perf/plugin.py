"""The door for pytest: options in, fixtures, verdict, table, exit status out.

Loads nothing heavy: torch, onnxruntime, OpenCV, llvmlite and numpy are imported by the first benchmark that
is measured. pytest-benchmark does the timing and owns the JSON; this plugin adds what it does not know.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from yolo_perf import settings as parse
from yolo_perf.errors import BackendUnavailable, YoloPerfError
from yolo_perf.session import FIXTURE, PerfSession

if TYPE_CHECKING:
    from yolo_perf.analysis.bench import Bench
    from yolo_perf.analysis.timing import Plan
    from yolo_perf.records import Measurement

MeasureInference = Callable[[str, str], "Measurement"]
"""Measures one size under one optimisation in the running test."""

_SETTINGS = (
    ("sizes", "n,s,m,l,x", "model sizes to measure"),
    ("optimizations", "", "optimisations to measure (default: all)"),
    ("batch", str(parse.BATCH), "images a call where an optimisation batches"),
    ("threads", "", "threads of every engine (default: one a physical core that this process may use)"),
    ("image-size", str(parse.IMAGE_SIZE), "side of the square input in pixels, a multiple of 32"),
    ("data", "", "folder with pictures and weights (default: $YOLO_PERF_DATA, else drawn pictures)"),
    ("rounds", "", "timed rounds of each case (default: as many as the budget holds, 3 to 50)"),
    ("budget", str(parse.BUDGET_S), "seconds of timed rounds of each case"),
    ("latency-margin", f"{parse.LATENCY_MARGIN * 100:.0f}", "latency may grow by this many per cent"),
    ("utilization-margin", f"{parse.UTILIZATION_MARGIN * 100:.0f}", "and utilisation shrink by as much"),
    ("baselines", "baselines", "folder of saved baselines"),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Every setting as --perf-<word> and as an ini value perf_<word>."""
    group = parser.getgroup("yolo-perf", "YOLOv5 CPU performance")
    for word, default, text in _SETTINGS:
        name = word.replace("-", "_")
        parser.addini(f"perf_{name}", text, default=default)
        shown = f" [{default}]" if default else ""
        group.addoption(f"--perf-{word}", metavar=word.upper(), default=None, help=text + shown)
    group.addoption("--perf-save", action="store_true", help="record this session as the machine's new baseline")
    group.addoption(
        "--perf-slow-down",
        metavar="CASE=FACTOR",
        default="",
        help="slow cases down on purpose, as in n-onnx=2, to see the gate catch it",
    )


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

    with state.progress():
        yield measure


@pytest.fixture
def perf_bench(request: pytest.FixtureRequest) -> Iterator["Bench"]:
    """This session's bench: machine, roofs, pictures and models, for benchmarks of one's own."""
    state = _state(request.config)
    with state.progress():
        yield state.bench


def _state(config: pytest.Config) -> "PerfSession":
    state = config.pluginmanager.get_plugin("yolo-perf-session")
    assert isinstance(state, PerfSession)  # noqa: S101 - registered in pytest_configure
    return state
