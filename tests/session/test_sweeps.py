"""Stages and throughput through the plugin, in pytest sessions of their own: a tiny image, a fake timer."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.factories import accuracy
from tests.session.project import Project
from yolo_perf.archive.saved_run import read_run
from yolo_perf.cli import cli
from yolo_perf.machine.identity import identify
from yolo_perf.records import STAGES

THROUGHPUT = """
def test_throughput(size, optimization, threads, batch, measure_throughput):
    measure_throughput(size, optimization, batch, threads)
"""
STAGES_TEST = """
def test_stages(size, optimization, measure_stages):
    measure_stages(size, optimization)
"""
ACCURACY_TEST = """
def test_accuracy(size, optimization, measure_accuracy):
    measure_accuracy(size, optimization)
"""
LAYERS_TEST = """
def test_layers(size, optimization, measure_layers):
    measure_layers(size, optimization)
"""
REFERENCE = Path(__file__).parents[2] / "baselines" / "reference" / "ryzen-7-6800hs.json"


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    found = Project(pytester, monkeypatch)
    (pytester.path / "benchmarks" / "test_throughput.py").write_text(THROUGHPUT)
    (pytester.path / "benchmarks" / "test_stages.py").write_text(STAGES_TEST)
    (pytester.path / "benchmarks" / "test_accuracy.py").write_text(ACCURACY_TEST)
    (pytester.path / "benchmarks" / "test_layers.py").write_text(LAYERS_TEST)
    references = pytester.path / "baselines" / "reference"
    references.mkdir(parents=True)
    (references / "laptop.json").write_bytes(REFERENCE.read_bytes())
    return found


@pytest.mark.slow
def test_a_sweep_goes_over_threads_and_batches_of_what_has_no_batch_of_its_own(project: Project) -> None:
    result = project.run(
        "--perf-batches=1,2",
        "--perf-thread-counts=2,1",
        "--benchmark-json=out.json",
        target="benchmarks/test_throughput.py",
    )
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["throughput*threads*batch*ms/image*images/s*", "n-eager*1*1*1000*1.0*100.0*"])
    path = project.pytester.path / "out.json"
    document = json.loads(path.read_text())
    plain = [point["case"] for point in document["yolo_perf"]["throughput"]]
    assert {(case["size"], case["backend"], case["image_size"]) for case in plain} == {("n", "eager", 64)}
    assert sorted((case["threads"], case["batch"]) for case in plain) == [(1, 1), (1, 2), (2, 1), (2, 2)]
    points = read_run(path).throughput
    assert all(point.round_seconds == (1.0,) * 3 for point in points)
    assert {point.case.batch: point.images_per_s for point in points} == {1: 1, 2: 2}
    for benchmark, case in zip(document["benchmarks"], plain, strict=True):
        info = benchmark["extra_info"]
        assert (info["threads"], info["batch"]) == (case["threads"], case["batch"])
        assert (info["latency_s"], info["images_per_s"]) == (1 / case["batch"], case["batch"])
    names = {benchmark["name"] for benchmark in document["benchmarks"]}
    assert len(names) == 4
    assert all("n-eager" in name for name in names)


@pytest.mark.slow
def test_stages_of_every_round_are_kept(project: Project) -> None:
    result = project.run("--benchmark-json=out.json", target="benchmarks/test_stages.py")
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["optimisation*stage*median ms*p90 ms*share %", "eager*load*", "batched x4*load*"])
    path = project.pytester.path / "out.json"
    for benchmark in json.loads(path.read_text())["benchmarks"]:
        info = benchmark["extra_info"]
        assert tuple(info["stages"]) == (*STAGES, "total")
        assert sum(info["stages"][stage]["share"] for stage in STAGES) == pytest.approx(1)
        assert info["stages"]["total"]["share"] == 1
        assert info["data"] == "synthetic"
    runs = read_run(path).stages
    assert [(run.case.label, run.case.batch, len(run.times)) for run in runs] == [
        ("n-eager", 1, 3),
        ("n-batched", 4, 3),
    ]
    assert all(run.complete for run in runs)


MEMORY_TEST = """
def test_memory(size, optimization, measure_memory):
    measure_memory(size, optimization)
"""
EVERY = ["n", "s", "m", "l", "x"]
MEASURED = [
    "eager",
    "batched",
    "onnx",
    "onnx-dynamic-int8",
    "onnx-static-int8",
    "eager-channels-last",
    "eager-bf16",
]


def collected(project: Project, *options: str) -> dict[str, set[str]]:
    """What each test would measure: the brackets of its ids."""
    result = project.run("--collect-only", "-q", *options)
    assert result.ret == pytest.ExitCode.OK
    found: dict[str, set[str]] = {}
    for test, ids in re.findall(r"::test_(\w+)\[(.+)\]", result.stdout.str()):
        found.setdefault(test, set()).add(ids)
    return found


def test_by_default_one_size_and_two_optimisations_are_looked_into(project: Project) -> None:
    (project.pytester.path / "benchmarks" / "test_memory.py").write_text(MEMORY_TEST)
    project.pytester.makeini("[pytest]\nperf_image_size = 64\nperf_thread_counts = 1 2\n")
    two = {"n-eager", "n-onnx"}
    swept = {f"{case}-t{threads}-b{batch}" for case in two for threads in (1, 2) for batch in (1, 4)}
    found = collected(project)
    assert found["inference"] >= {f"{size}-{name}" for size in EVERY for name in MEASURED}
    assert found["accuracy"] == {case for case in found["inference"] if case.startswith("n-")}
    assert (found["stages"], found["memory"], found["layers"]) == (two, two, two)
    assert {frozenset(each.split("-")) for each in found["throughput"]} == {
        frozenset(each.split("-")) for each in swept
    }
    full = collected(project, "--perf-full")
    assert full["inference"] == full["stages"] == full["memory"] == found["inference"]
    assert full["accuracy"] == found["accuracy"]
    assert len(full["layers"]) == sum(not case.startswith("n-openvino") for case in found["accuracy"]) - 1
    assert len(full["throughput"]) == 8 * (len(found["accuracy"]) - 1)
    assert len(collected(project, "--perf-full", "--perf-batches=1")["throughput"]) == len(full["throughput"]) / 4


def test_what_is_named_is_what_is_looked_into(project: Project) -> None:
    project.pytester.makeini("[pytest]\nperf_image_size = 64\nperf_thread_counts = 1\nperf_batches = 1\n")
    found = collected(project, "--perf-sizes=s,m", "--perf-optimizations=eager,eager-bf16")
    assert found["accuracy"] == found["stages"] == found["layers"] == {"s-eager", "s-eager-bf16"}
    assert len(found["inference"]) == 4
    assert len(found["throughput"]) == 2
    found = collected(project, "--perf-stages-sizes=m,s", "--perf-analysis-optimizations=onnx,batched")
    assert found["stages"] == {"s-onnx", "m-onnx", "s-batched", "m-batched"}
    assert found["layers"] == {"n-onnx"}


def test_an_unknown_machine_to_stand_beside_names_the_references(project: Project) -> None:
    result = project.run("--perf-beside=nothing")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: No saved run 'nothing'. Give a file, or one of those in *: laptop, *-6800hs."]
    )


def test_stages_alone_are_nothing_to_save(project: Project) -> None:
    result = project.run("--perf-save", target="benchmarks/test_stages.py")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: Nothing to compare or save here: no test uses measure_inference."])
    assert [path.name for path in project.baselines] == ["laptop.json"]


@pytest.mark.slow
def test_what_is_detected_is_kept_beside_what_was_timed(project: Project) -> None:
    timing = "benchmarks/test_inference.py"
    result = project.run(timing, "--perf-accuracy-pictures=1", "--perf-save", target="benchmarks/test_accuracy.py")
    assert result.ret == pytest.ExitCode.OK
    last = ".pytest_cache/d/yolo-perf/last-run.json"
    result.stdout.fnmatch_lines(
        [
            "optimisation*boxes %*bound",
            "*batched x4*",
            "Also measured; the tables: -v, or",
            f"  yolo-perf report {last} --tables",
            "  accuracy    eager, batched of n; 1 pictures",
            "Saved as this machine's baseline: *",
        ]
    )
    result.stdout.no_fnmatch_line("accuracy*mAP50*")
    shown = CliRunner().invoke(cli, ["report", last, "--tables"])
    assert shown.exit_code == 0
    for each in ("optimisation .*bound", "accuracy .* mAP50 ", "n-eager .* 200.0 +100.0"):
        assert re.search(each, shown.output), each
    result = project.run(timing, "--perf-accuracy-pictures=1", "-v", target="benchmarks/test_accuracy.py")
    result.stdout.fnmatch_lines(["optimisation*boxes %*bound", "accuracy*mAP50*", "n-eager*200.0*100.0*"])
    result.stdout.no_fnmatch_line("Also measured*")
    result = project.run(timing, "--perf-accuracy-pictures=1", "-q", target="benchmarks/test_accuracy.py")
    result.stdout.fnmatch_lines(["optimisation*boxes %*bound"])
    result.stdout.no_fnmatch_line("Also measured*")
    result.stdout.no_fnmatch_line("accuracy*mAP50*")
    (path,) = (each for each in project.baselines if each.name != "laptop.json")
    rows = read_run(path).accuracy
    assert [(row.case.label, row.pictures, row.map50) for row in rows] == [
        ("n-eager", 1, None),
        ("n-batched", 1, None),
    ]


@pytest.mark.slow
def test_what_a_full_session_saved_is_not_missing_where_less_is_looked_into(project: Project) -> None:
    targets = ("benchmarks/test_inference.py", "benchmarks/test_accuracy.py")
    options = ("--perf-accuracy-pictures=1", "--perf-thread-counts=1")
    saved = project.run(*targets, *options, "--perf-full", "--perf-save", target="benchmarks/test_stages.py")
    assert saved.ret == pytest.ExitCode.OK
    less = ("--perf-analysis-optimizations=eager", "--benchmark-compare")
    result = project.run(*targets, *options, *less, target="benchmarks/test_stages.py")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["  stages      n-eager", "Compared with *: 2 unchanged."])


def test_the_layers_of_what_tells_them_are_kept(project: Project) -> None:
    arguments = ("--perf-optimizations=eager,batched,compile", "--perf-rounds=4", "--benchmark-json=out.json")
    result = project.run(*arguments, target="benchmarks/test_layers.py")
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["layers of*ms/image*lost ms*most of it in*", "n-eager*model.*"])
    last = project.pytester.path / ".pytest_cache" / "d" / "yolo-perf" / "last-run.json"
    (profile,) = read_run(last).layers
    assert (profile.case.label, profile.case.image_size, profile.complete) == ("n-eager", 64, True)
    assert any(layer.name == "model.0.conv" and layer.seconds for layer in profile.leaves)
    result = project.run("--perf-layers-sizes=s", "--collect-only", target="benchmarks/test_layers.py")
    result.assert_outcomes(skipped=0)
    assert "test_layers[n" not in result.stdout.str()


def test_only_the_best_is_measured_where_it_is_known(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from yolo_perf.pairing import contest

    monkeypatch.setenv("YOLO_PERF_CACHE", str(project.pytester.path / "cache"))  # what is best is kept there
    result = project.run("--perf-optimizations=best", target="benchmarks/test_inference.py")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *No best optimisation of yolov5n is known*yolo-perf best --sizes n"])
    judged = accuracy("eager")
    found = contest.Contest(
        created="2026-01-01T00:00:00+00:00",
        size="n",
        limits=contest.Limits(max_map_drop=0.01),
        reference=judged,
        contenders=(contest.Contender(case=judged.case, set_seconds=(0.1,), accuracy=judged),),
    )
    contest.remember(found, identify(with_torch=False))
    result = project.run(
        "--perf-optimizations=best", "--collect-only", "-q", target="benchmarks/test_inference.py"
    )
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["benchmarks/test_inference.py::test_inference[[]n-eager[]]", "", "1 test collected*"]
    )
