"""The commands through the console script's door: a tiny image, known roofs, no traceback."""

import csv
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from tests.calling import call_command
from tests.factories import UNLABELLED, UNTRAINED, accuracy, machine, peaks
from yolo_perf.errors import ParityError, UsageError
from yolo_perf.pairing.contest import known_best
from yolo_perf.records import Case, Machine, Peaks

Run = Callable[..., tuple[int, str, str]]
BASELINES = str(Path(__file__).parents[2] / "baselines")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Calls the command line; its exit code, output and errors."""

    def known_machine(**_: bool) -> Machine:
        return machine()

    def known_peaks(*_: object) -> Peaks:
        return peaks()

    # Commands import these when they run; the other modules did so when they were loaded.
    for place in ("machine.identity", "analysis.bench"):
        monkeypatch.setattr(f"yolo_perf.{place}.identify", known_machine)
    for place in ("machine.peaks", "analysis.bench", "analysis.roofs"):
        monkeypatch.setattr(f"yolo_perf.{place}.measure_peaks", known_peaks)
    monkeypatch.setenv("KINETO_LOG_LEVEL", "6")  # `profile` would set it for good
    monkeypatch.delenv("YOLO_PERF_DATA", raising=False)

    def call(*arguments: str) -> tuple[int, str, str]:
        return call_command(monkeypatch, capsys, *arguments)

    return call


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("layers", "q"), "Unknown model size 'q'. Choose from: n, s, m, l, x."),
        (("layers", "n", "--filter", "model.99*"), "No layer matches 'model.99*'."),
        (("layers", "n", "--filter", ""), "No layer matches ''."),
        (("layers", "n", "--backend", "warp"), "Unknown optimisation 'warp'. Choose from: eager, "),
        (("layers", "n", "--json", "--csv"), "--json and --csv: choose one."),
        (("layers", "n", "--output", "/no/such/folder/file"), "Cannot write /no/such/folder/file."),
        (("layers", "n", "--output", "/"), "Cannot write /."),
        (("layers", "n", "--rounds", "0"), "The number of rounds must be a whole number"),
        (("layers", "n", "--batch", "257"), "The batch must be a whole number from 1 to 256, got '257'."),
        (("profile", "n"), "Missing option '--with'"),
        (("profile", "n", "--with", "torch", "--with", "cprofile"), "One profiler at a time"),
        (("profile", "n", "--with", "magic"), "Unknown profiler 'magic'. Choose from: cprofile, torch, "),
        (("profile", "n", "--with", "torch", "--backend", "onnx"), "does not see into onnx."),
        (("profile", "n", "--with", "onnxruntime", "--backend", "eager"), "ONNX Runtime does not run eager."),
        (("profile", "n", "--with", "cprofile", "--shapes"), "--shapes: only PyTorch's profiler"),
        (("profile", "n", "--with", "torch", "--top", "0"), "The number of rows must be a whole number"),
        (("profile", "n", "--with", "torch", "--save", "/no/such/folder/file"), "Cannot write /no/such"),
        (("stages", "n", "--pictures", "9999", "--optimizations", "eager"), "pictures in synthetic, not 9999."),
        (("stages", "n", "--pictures", "0"), "The number of pictures must be a whole number"),
        (("stages", "n", "--optimizations", "eager,warp"), "Unknown optimisation 'warp'."),
        (("memory", "n", "--optimizations", "warp"), "Unknown optimisation 'warp'."),
        (("compare",), "Missing argument"),
        (("accuracy", "n", "--pictures", "0"), "The number of pictures must be a whole number"),
        (("accuracy", "n", "--optimizations", "warp"), "Unknown optimisation 'warp'."),
        (("audit", "q"), "Unknown model size 'q'."),
        (("best", "--optimizations", "warp"), "Unknown optimisation 'warp'."),
        (("best", "--max-map-drop", "2"), "The drop of mAP50-95 must be a number from 0 to 1, got '2'."),
        (("best", "--max-memory", "lots"), "The memory must be a size as in 500M or 2G, got 'lots'."),
        (("best", "--sets", "0"), "The number of sets must be a whole number"),
    ],
)
def test_a_usage_error_is_one_message_and_exit_code_2(run: Run, arguments: tuple[str, ...], message: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert message in err


def test_layers_as_csv_have_one_row_a_block_and_seconds(run: Run) -> None:
    code, out, _ = run("layers", "n", "--image-size", "64", "--rounds", "2", "--csv")
    rows = list(csv.DictReader(StringIO(out)))
    assert code == 0
    assert [row["layer"] for row in rows] == [f"model.{index}" for index in range(25)]
    leaves = [row for row in rows if row["leaf"] == "True"]
    assert [row["kind"] for row in leaves] == ["upsample_nearest2d", "cat"] * 2 + ["cat"] * 2
    assert all(float(row["seconds"]) > 0 for row in rows)
    assert all(0 < float(row["share"]) < 1 for row in rows)
    assert sum(float(row["flop_share"]) for row in rows) == pytest.approx(1)


def test_the_leaves_of_a_filter_go_to_a_file(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "layers.csv"
    options = ("--image-size", "64", "--rounds", "2", "--csv", "--output", str(path))
    code, out, _ = run("layers", "n", "--filter", "model.0.*", *options)
    assert (code, out) == (0, "")
    rows = list(csv.DictReader(StringIO(path.read_text())))
    assert {row["leaf"] for row in rows} == {"True"}
    assert rows[0]["layer"] == "model.0.conv"
    assert float(rows[0]["seconds"]) > 0
    assert all(row["layer"].startswith("model.0.") for row in rows)


def test_an_interrupted_command_exits_with_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("yolo_perf.analysis.layers.profile_layers", interrupted)
    code, out, err = run("layers", "n", "--image-size", "64")
    assert (code, out, err.strip()) == (130, "", "Interrupted.")


def test_a_case_that_does_not_fit_is_not_tried(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_child(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr("yolo_perf.analysis.memory.free_bytes", lambda: 2**20)
    monkeypatch.setattr("yolo_perf.analysis.memory.subprocess.run", no_child)
    options = ("--batch", "256", "--image-size", "64", "--optimizations", "eager")
    code, out, err = run("memory", "n", *options)
    assert (code, out) == (1, "")
    assert "Error: n-eager-b256-64px-t2 may take " in err
    assert "0.0 GiB are free. Choose a smaller batch, image or model." in err


def test_a_published_machine_beside_itself(run: Run) -> None:
    names = ("ryzen-7-6800hs", "ryzen-7-6800hs")
    code, out, _ = run("compare", *names, "--baselines", BASELINES, "--json")
    assert code == 0
    first, second = json.loads(out)
    assert first == second
    assert (first["name"], first["published"], first["flops_per_s"]) == ("Ryzen 7 6800HS", True, 820e9)
    assert len(first["cases"]) == 10
    assert first["cases"][0] == {
        "machine": "Ryzen 7 6800HS",
        "published": True,
        "size": "n",
        "optimization": "eager",
        "best_is": "",
        "latency_s": 0.03214,
        "images_per_s": 31.11,
        "utilization": 0.1696,
        "efficiency": pytest.approx(0.298, abs=0.0005),
    }
    code, out, _ = run("compare", *names, "--baselines", BASELINES)
    assert code == 0
    assert [line.split()[-1] for line in out.splitlines() if line.startswith(tuple("nsmlx"))] == ["1.00"] * 10
    assert all(len(line) <= 80 for line in out.splitlines())


def test_a_name_that_nothing_has_lists_what_there_is(run: Run) -> None:
    code, out, err = run("compare", "nothing", "--baselines", BASELINES)
    assert (code, out) == (1, "")
    assert err.startswith(f"Error: No saved run 'nothing'. Give a file, or one of those in {BASELINES}: ryzen-7-")


def test_one_name_needs_a_baseline_of_this_machine(run: Run, tmp_path: Path) -> None:
    path = f"{BASELINES}/reference/ryzen-7-6800hs.json"
    code, out, err = run("compare", path, "--baselines", str(tmp_path))
    assert (code, out) == (1, "")
    assert "Error: No baseline for this machine (AMD EPYC, 2 cores)" in err
    assert "Record one (pytest benchmarks/ --perf-save), or name two saved runs." in err


def test_a_damaged_file_is_named(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text("{")
    code, out, err = run("compare", str(path), str(path))
    assert (code, out) == (1, "")
    assert err.startswith(f"Error: {path} is damaged or not a saved run")


def test_accuracy_without_labels_is_agreement(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("YOLO_PERF_CACHE", str(tmp_path))
    command = ("accuracy", "n", "--image-size", "64", "--pictures", "2", "--optimizations", "eager")
    code, out, _ = run(*command)
    assert code == 0
    assert "no labels, so no average precision" in out
    code, out, _ = run(*command, "--json")
    (row,) = json.loads(out)
    assert (row["case"], row["box_agreement"], row["map50"], row["pictures"]) == ("n-eager-b1-64px-t2", 1, None, 2)
    code, out, _ = run(*command, "--csv")
    assert next(csv.DictReader(StringIO(out)))["sqnr_db"] == "200.0"


def test_the_best_is_named_and_kept(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("YOLO_PERF_CACHE", str(tmp_path))

    def raced(cases: list[Case], *_: object, sets: int, **__: object) -> dict[str, tuple[float, ...]]:
        return {case.backend: (0.1,) * sets for case in cases}

    monkeypatch.setattr("yolo_perf.pairing.contest.race", raced)
    code, out, _ = run("best", "--image-size", "64", "--optimizations", "eager", "--sets", "2")
    assert code == 0
    assert "Best: eager itself. Nothing that has boxes that agree with eager's is faster." in " ".join(out.split())
    assert "Accuracy is unknown here: no box is labelled." in out
    assert [path.name for path in tmp_path.glob("best-*-n.json")]
    code, out, _ = run("best", "--image-size", "64", "--optimizations", "eager", "--json")
    assert json.loads(out)[0]["best"] == "eager"


@pytest.fixture
def contest(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """`yolo-perf best` where each optimisation has the accuracy given; what was timed, and what came of it."""
    monkeypatch.setenv("YOLO_PERF_CACHE", str(tmp_path))

    def hold(found: dict[str, dict[str, Any]], *options: str) -> tuple[list[str], int, str, str]:
        timed: list[str] = []

        def raced(cases: list[Case], *_: object, sets: int, **__: object) -> dict[str, tuple[float, ...]]:
            timed.extend(case.backend for case in cases)
            return {case.backend: (0.1 if case.backend == "eager" else 0.05,) * sets for case in cases}

        monkeypatch.setattr("yolo_perf.pairing.contest.race", raced)
        monkeypatch.setattr("yolo_perf.analysis.bench.Bench.prepare", lambda *_, **__: None)
        monkeypatch.setattr(
            "yolo_perf.analysis.accuracy.Judge.judge",
            lambda _, backend, *__: accuracy(backend.name, **found[backend.name]),
        )
        names = ",".join(found)
        code, out, err = run("best", "--image-size", "64", "--optimizations", names, "--sets", "1", *options)
        return timed, code, " ".join(out.split()), err

    return hold


def test_without_evidence_what_does_not_agree_is_not_timed(contest: Callable[..., Any]) -> None:
    found = {
        "eager": UNTRAINED,
        "onnx": {**UNTRAINED, "box_agreement": 0.997},
        "onnx-static-int8": {**UNTRAINED, "box_agreement": 0.0},
    }
    timed, code, out, _ = contest(found)
    assert (timed, code) == (["eager", "onnx"], 0)
    assert "Best: onnx, 2.00 times as fast as eager" in out
    assert (
        "99.7 % of its boxes and eager's agree (at least 99 %). Accuracy is unknown here: eager itself has mAP"
        in out
    )
    assert (
        "Skipped: n-onnx-static-int8 is not timed: 0.0 % of its boxes and eager's agree over 128 pictures" in out
    )
    (document,) = json.loads(contest(found, "--json")[2])
    assert (document["best"], document["front"]) == ("onnx", ["eager", "onnx"])
    assert document["accuracy_unknown"].startswith("eager itself has mAP50-95 0.000")
    assert [row["map50_95_lost"] for row in document["rows"]] == [None, None]


def test_where_nothing_can_be_told_nothing_is_timed(contest: Callable[..., Any]) -> None:
    blind = {**UNLABELLED, "compared_boxes": 0}
    timed, code, out, _ = contest({"eager": blind, "onnx": blind})
    assert (timed, code) == ([], 1)
    assert "yolov5n: nothing is recommended, and nothing was timed." in out
    with pytest.raises(UsageError, match="found none to recommend"):
        known_best(machine(), "n")


def test_with_evidence_a_loss_is_timed_and_shown(contest: Callable[..., Any]) -> None:
    timed, code, out, _ = contest({"eager": {}, "onnx-static-int8": {"map50_95": 0.3, "box_agreement": 0.4}})
    assert (timed, code) == (["eager", "onnx-static-int8"], 0)
    assert "loses 0.067" in out
    assert "Best: eager itself. Nothing that has mAP50-95 within 0.01 of eager's is faster." in out


def test_without_eager_there_is_no_contest(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("YOLO_PERF_CACHE", str(tmp_path))

    def broken(*_: object, **__: object) -> None:
        raise ParityError("n-eager does not agree with eager")

    monkeypatch.setattr("yolo_perf.analysis.bench.Bench.prepare", broken)
    code, out, err = run("best", "--image-size", "64", "--optimizations", "eager,onnx")
    assert (code, out) == (1, "")
    assert "Error: n-eager does not agree with eager" in err
