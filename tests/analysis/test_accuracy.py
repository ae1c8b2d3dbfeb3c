"""Average precision by hand, and the judge on a small real model."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

import yolo_perf.analysis.accuracy as module
from tests.factories import machine, peaks
from yolo_perf.analysis.accuracy import Judge, Truth, average_precisions
from yolo_perf.analysis.bench import Bench
from yolo_perf.backends.registry import Backend, Subject, backends
from yolo_perf.errors import BackendUnavailable, ParityError
from yolo_perf.pipeline.boxes import Detections
from yolo_perf.pipeline.images import open_dataset, synthetic
from yolo_perf.pipeline.letterbox import rectangular
from yolo_perf.records import Case
from yolo_perf.settings import Settings
from yolo_perf.verdict.accuracy import standing

if TYPE_CHECKING:
    from yolo_perf.backends.registry import Images, Infer

BOX = (10.0, 10.0, 50.0, 50.0)


def truth(*boxes: tuple[float, ...], label: int = 0) -> Truth:
    return Truth(boxes=np.array(boxes, np.float64).reshape(-1, 4), classes=np.full(len(boxes), label))


def found(*boxes: tuple[float, ...], scores: tuple[float, ...] = (0.9,), label: int = 0) -> Detections:
    return Detections(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.array(scores[: len(boxes)], np.float32),
        classes=np.full(len(boxes), label),
    )


def test_every_box_found_is_a_precision_of_1() -> None:
    assert average_precisions([found(BOX)], [truth(BOX)]) == pytest.approx((1, 1))


def test_a_box_that_overlaps_by_three_quarters_counts_at_the_lower_thresholds() -> None:
    # IoU 0.75: found at 0.50, 0.55 ... 0.75, which are six of ten thresholds.
    aside = (10.0, 10.0, 50.0, 40.0)
    assert average_precisions([found(aside)], [truth(BOX)]) == pytest.approx((1, 0.6))


def test_half_of_the_boxes_found_is_half_of_the_recall() -> None:
    # Precision is 1 up to a recall of 0.5, which is 51 of 101 points.
    other = (100.0, 100.0, 150.0, 150.0)
    assert average_precisions([found(BOX)], [truth(BOX, other)]) == pytest.approx((51 / 101, 51 / 101))


def test_a_wrong_box_that_is_surer_halves_the_precision() -> None:
    wrong = (200.0, 200.0, 250.0, 250.0)
    both = found(wrong, BOX, scores=(0.9, 0.8))
    assert average_precisions([both], [truth(BOX)]) == pytest.approx((0.5, 0.5))


def test_classes_count_alike_and_those_without_labels_not_at_all() -> None:
    pictures = [found(BOX), found(label=1), found(BOX, label=7)]
    assert average_precisions(pictures, [truth(BOX), truth(BOX, label=1), truth()]) == pytest.approx((0.5, 0.5))


def test_nothing_found_or_nothing_to_find_is_0_and_no_crash(capsys: pytest.CaptureFixture[str]) -> None:
    assert average_precisions([found()], [truth(BOX)]) == (0, 0)
    assert average_precisions([found(BOX)], [truth()]) == (0, 0)
    assert average_precisions([found(BOX, label=3)], [truth(BOX)]) == (0, 0)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("height", "width", "shape"),
    [
        (480, 640, (512, 672)),
        (640, 480, (672, 512)),
        (640, 640, (672, 672)),
        (100, 640, (128, 672)),
        (1, 9, (96, 672)),
    ],
)
def test_the_rectangle_is_the_next_multiple_of_32_and_half_a_stride(
    height: int, width: int, shape: tuple[int, int]
) -> None:
    # By upstream's rule: ceil(shape x size / 32 + 0.5) x 32.
    planes, geometry = rectangular(np.zeros((height, width, 3), np.uint8), 640)
    assert planes.shape == (3, *shape)
    assert (geometry.height, geometry.width) == (height, width)
    assert geometry.scale_x == pytest.approx(640 / max(height, width), rel=0.01)


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Judge:
    monkeypatch.setenv("YOLO_PERF_CACHE", str(tmp_path))
    monkeypatch.setattr("yolo_perf.analysis.bench.identify", machine)
    monkeypatch.setattr("yolo_perf.analysis.bench.measure_peaks", lambda *_: peaks())
    return Judge(Bench(Settings(sizes=("n",), image_size=64, threads=1)), "n", 2)


def test_eager_agrees_with_itself_and_is_judged_once(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    eager = judge.judge(backends()["eager"])
    assert (eager.sqnr_db, eager.box_agreement) == (200, 1)
    assert (eager.map50, eager.map50_95, eager.boxes) == (None, None, 0)
    assert (eager.pictures, eager.protocol) == (2, "rectangular")

    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(Judge, "_run", never)
    assert judge.judge(backends()["eager"]) == eager


def labelled(bench: Bench, folder: Path, text: str) -> Judge:
    """A judge of two drawn pictures, each with this text as its labels."""
    (folder / "images").mkdir()
    (folder / "labels").mkdir()
    drawn = synthetic(2)
    for index in range(2):
        (folder / "images" / f"{index}.jpg").write_bytes(drawn.read(index))
        (folder / "labels" / f"{index}.txt").write_text(text)
    bench.__dict__["dataset"] = open_dataset(folder)
    return Judge(bench, "n", 2)


def halved(subject: Subject, case: Case) -> "Infer":
    """Eager with every box's likelihood halved twice: it surely finds less."""
    infer = backends()["eager"].prepare(subject, case)

    def call(images: "Images") -> "Images":
        rows = np.array(infer(images))
        rows[..., 4] *= 0.25
        return rows

    return call


@pytest.mark.usefixtures("judge")
def test_eagers_own_precision_and_the_boxes_compared_stand_with_every_case(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    bench = Bench(Settings(sizes=("n",), image_size=640, threads=1))  # at 64 nothing is found
    mine = labelled(bench, folder, "0 0.5 0.5 0.5 0.5\n")
    rates = iter([(0.5, 0.4), (0.3, 0.2)])
    monkeypatch.setattr(module, "average_precisions", lambda *_: next(rates))
    other = replace(backends()["onnx"], prepare=halved, any_shape=halved)
    found = mine.judge(other)  # eager itself was not asked for
    assert (found.eager_map50_95, found.map50_95, found.boxes) == (0.4, 0.2, 2)
    eager = mine.judge(backends()["eager"])
    assert (eager.eager_map50_95, eager.map50_95) == (0.4, 0.4)
    assert eager.compared_boxes is not None
    assert eager.compared_boxes > 0
    assert eager.compared_boxes % 2 == 0  # its own, twice


def test_labels_without_a_box_are_no_precision(judge: Judge, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    found = labelled(judge.bench, folder, "\n").judge(backends()["eager"])
    assert (found.map50, found.map50_95, found.eager_map50_95, found.boxes) == (None, None, None, 0)
    assert standing(found).unknown == "no box is labelled"


def test_nothing_is_judged_by_an_eager_that_gives_nan(judge: Judge) -> None:
    torch.nn.init.constant_(judge.subject.model.head.m[1].get_parameter("weight"), float("nan"))
    with pytest.raises(ParityError, match=r"n-eager.* itself is not finite"):
        judge.judge(backends()["batched"])


def test_what_takes_one_shape_alone_is_judged_in_squares_at_its_batch(judge: Judge) -> None:
    seen: list[tuple[int, ...]] = []
    eager = backends()["eager"]

    def prepare(subject: Subject, case: Case) -> "Infer":
        infer = eager.prepare(subject, case)

        def call(images: "Images") -> "Images":
            seen.append(images.shape)
            return infer(images)

        return call

    fixed = Backend(
        name="batched",
        summary="",
        prepare=prepare,
        batched=True,
        min_sqnr_db=0,
        min_box_agreement=0,
        max_map_drop=0,
    )
    found = judge.judge(fixed)
    assert found.protocol == "square"
    assert found.box_agreement == 1
    assert set(seen) == {(4, 3, 64, 64)}


def test_a_backend_that_cannot_run_here_is_not_judged(judge: Judge) -> None:
    missing = Backend(
        name="warp",
        summary="",
        prepare=lambda *_: lambda images: images,
        min_sqnr_db=0,
        min_box_agreement=0,
        max_map_drop=0,
        isa=frozenset({"warp9"}),
    )
    with pytest.raises(BackendUnavailable, match="warp needs a CPU with warp9; this one has"):
        judge.judge(missing)


def test_the_formula_is_named() -> None:
    assert module.__doc__ is not None
    assert "pycocotools" in module.__doc__
