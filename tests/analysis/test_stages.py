import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.clocks import Clock
from tests.factories import machine, measurement, peaks, unchecked
from tests.pipeline.pictures import encode
from yolo_perf.analysis.bench import Bench
from yolo_perf.analysis.stages import Pipeline, measure_stages, stage_figures
from yolo_perf.backends.registry import Backend, Subject
from yolo_perf.errors import BackendUnavailable, DataError, UsageError
from yolo_perf.pipeline.images import Dataset
from yolo_perf.records import STAGES, HostUse, StageRun, StageTimes
from yolo_perf.settings import Settings

STEP = 50
"""Grey levels between one picture and the next, so that inference can tell which it was given."""
WARM_UP = 2
"""Calls of a warm-up."""


def times(load: float, preprocess: float, inference: float, postprocess: float) -> StageTimes:
    return StageTimes(load_s=load, preprocess_s=preprocess, inference_s=inference, postprocess_s=postprocess)


def stage_run(*found: StageTimes, planned: int | None = None) -> StageRun:
    return StageRun(
        case=measurement().case,
        weights=measurement().weights,
        data="by hand",
        pictures=16,
        cold=False,
        times=found,
        planned=len(found) if planned is None else planned,
    )


def picture(index: int) -> bytes:
    return encode(Image.new("L", (32, 32), STEP * index), "PNG")


def drawn(number: int) -> Dataset:
    return Dataset(name="grey", encoded=tuple(picture(index) for index in range(number)))


def filed(folder: Path, number: int) -> Dataset:
    paths = tuple(folder / f"{index}.png" for index in range(number))
    for index, path in enumerate(paths):
        path.write_bytes(picture(index))
    return Dataset(name="files", paths=paths)


class Engine:
    """Finds nothing, remembers the pictures of every call, and is interrupted at one of them."""

    def __init__(self, interrupted_at: int = 0):
        self.seen: list[list[int]] = []
        self._interrupted_at = interrupted_at

    def __call__(self, images: Any) -> Any:
        self.seen.append([round(float(image[0, 16, 16]) * 255) // STEP for image in images])
        if len(self.seen) == self._interrupted_at:
            raise KeyboardInterrupt
        return np.zeros((len(images), 63, 85), np.float32)

    @property
    def timed(self) -> list[list[int]]:
        return self.seen[WARM_UP:]


def backend(engine: Engine, *, batched: bool = False, requires: tuple[str, ...] = ()) -> Backend:
    return Backend(
        name="stub",
        summary="finds nothing",
        prepare=lambda *_: engine,
        batched=batched,
        min_sqnr_db=0,
        min_box_agreement=0,
        max_map_drop=0.0,
        requires=requires,
    )


Opened = Callable[..., Bench]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Opens a bench over a data set, with a model that is nothing but its name."""
    monkeypatch.setattr("yolo_perf.analysis.bench.measure_peaks", lambda *_: peaks())
    monkeypatch.setattr("yolo_perf.analysis.bench.identify", machine)
    monkeypatch.setattr(Bench, "prepare", unchecked)
    subject = Subject(
        load=lambda: pytest.fail("loaded"),
        weights=measurement().weights,
        calibration_name="",
        calibration=lambda: iter(()),
    )
    monkeypatch.setattr("yolo_perf.analysis.bench.prepare_subject", lambda *_: subject)

    def bench(dataset: Dataset, **settings: Any) -> Bench:
        found = Bench(Settings(sizes=("n",), image_size=32, threads=1, **settings), Clock(tick=1))
        found.__dict__["dataset"] = dataset
        return found

    return bench


def test_figures_by_hand() -> None:
    found = stage_figures(stage_run(times(1, 2, 3, 4), times(3, 2, 5, 0), times(2, 2, 10, 6)))
    assert [found[stage]["median_s"] for stage in (*STAGES, "total")] == [2, 2, 5, 4, 10]
    # Inclusive, of three: 0.8 of the way from the second to the third.
    assert found["load"]["p90_s"] == pytest.approx(2.8)
    assert found["inference"]["p90_s"] == pytest.approx(9.0)
    assert found["total"]["p90_s"] == pytest.approx(18.0)
    assert [found[stage]["share"] for stage in STAGES] == pytest.approx([6 / 40, 6 / 40, 18 / 40, 10 / 40])


def test_shares_of_the_stages_sum_to_one() -> None:
    found = stage_figures(stage_run(times(0.1, 0.7, 0.013, 1e-6), times(0.3, 0.2, 5.1, 2e-5)))
    assert sum(found[stage]["share"] for stage in STAGES) == pytest.approx(1)
    assert found["total"]["share"] == pytest.approx(1)


def test_one_picture_is_its_own_median_and_percentile() -> None:
    found = stage_figures(stage_run(times(1, 2, 3, 4)))
    assert found["inference"] == {"median_s": 3, "p90_s": 3, "share": pytest.approx(0.3)}


def test_batches_take_pictures_around_the_data_set(opened: Opened) -> None:
    engine = Engine()
    pipeline = Pipeline(opened(drawn(3), batch=2), "n", backend(engine, batched=True))
    pipeline.warm_up()
    for _ in range(3):
        pipeline.step()
    assert engine.seen[:WARM_UP] == [[0, 1], [2, 0]]
    assert engine.timed == [[0, 1], [2, 0], [1, 2]]  # from the first again after the warm-up
    assert pipeline.steps == 3


def test_times_of_a_batch_are_a_pictures_share(opened: Opened) -> None:
    pipeline = Pipeline(opened(drawn(3), batch=4), "n", backend(Engine(), batched=True))
    assert pipeline.warm_up() == 4.0  # every stage lasts a second of this clock, whatever the batch
    pipeline.step()
    assert pipeline.result(1, HostUse()).times == (times(0.25, 0.25, 0.25, 0.25),)


def test_untimed_steps_are_left_out_of_the_result(opened: Opened) -> None:
    pipeline = Pipeline(opened(drawn(3)), "n", backend(Engine()))
    pipeline.warm_up()
    for _ in range(3):
        pipeline.step()
    found = pipeline.result(2, HostUse(page_faults=8), untimed=1)
    assert len(found.times) == 2
    assert found.complete
    assert found.host.page_faults == 8


@pytest.mark.parametrize(("budget_s", "number", "planned"), [(3, 16, 10), (48, 16, 12), (1000, 16, 16), (3, 4, 4)])
def test_the_budget_decides_on_the_pictures(opened: Opened, budget_s: float, number: int, planned: int) -> None:
    """A picture takes four seconds of this clock; ten are taken at least, and the whole set at most."""
    engine = Engine()
    found = measure_stages(opened(drawn(number), budget_s=budget_s), "n", backend(engine))
    assert (found.planned, len(found.times), len(engine.timed)) == (planned, planned, planned)
    assert (found.complete, found.pictures, found.data, found.cold) == (True, number, "grey", False)
    assert found.weights == measurement().weights


def test_as_many_pictures_as_are_asked_for(opened: Opened) -> None:
    engine = Engine()
    found = measure_stages(opened(drawn(5), batch=2), "n", backend(engine, batched=True), pictures=4)
    assert engine.timed == [[0, 1], [2, 3]]
    assert (found.planned, found.case.batch) == (2, 2)


def test_a_data_set_smaller_than_a_batch_makes_one(opened: Opened) -> None:
    engine = Engine()
    measure_stages(opened(drawn(2), batch=4), "n", backend(engine, batched=True))
    assert engine.timed == [[0, 1, 0, 1]]


def test_an_interruption_keeps_what_is_there_and_marks_it(opened: Opened) -> None:
    engine = Engine(interrupted_at=WARM_UP + 3)
    found = measure_stages(opened(drawn(5)), "n", backend(engine), pictures=5)
    assert (len(found.times), found.planned, found.complete) == (2, 5, False)


@pytest.mark.parametrize("call", [1, WARM_UP, WARM_UP + 1])
def test_an_interruption_before_the_first_picture_stays_one(opened: Opened, call: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        measure_stages(opened(drawn(5)), "n", backend(Engine(interrupted_at=call)))


def test_more_pictures_than_there_are_is_a_mistake(opened: Opened) -> None:
    engine = Engine()
    with pytest.raises(UsageError, match="There are 3 pictures in grey, not 4"):
        measure_stages(opened(drawn(3)), "n", backend(engine), pictures=4)
    assert not engine.seen


def test_drawn_pictures_cannot_be_read_cold(opened: Opened) -> None:
    with pytest.raises(DataError, match="name a folder of pictures, or leave --cold out"):
        measure_stages(opened(drawn(3)), "n", backend(Engine()), cold=True)


def test_a_missing_engine_is_told_before_anything_runs(opened: Opened) -> None:
    engine = Engine()
    with pytest.raises(BackendUnavailable, match="pip install no_such_engine"):
        measure_stages(opened(drawn(3)), "n", backend(engine, requires=("no_such_engine",)))
    assert not engine.seen


def test_cold_pictures_are_forgotten_just_before_they_are_read(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten: list[int] = []
    monkeypatch.setattr(Dataset, "forget", lambda _, index: forgotten.append(index))
    bench = opened(filed(tmp_path, 3), batch=2)
    found = measure_stages(bench, "n", backend(Engine(), batched=True), pictures=2, cold=True)
    assert forgotten == [0, 1, 2, 0, 0, 1]
    assert found.cold


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="this system cannot forget files")
def test_a_forgotten_file_is_put_out_of_the_cache_and_stays_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = filed(tmp_path, 2)
    dataset.forget(1)
    assert dataset.read(1) == picture(1)
    advised: list[tuple[int, ...]] = []
    monkeypatch.setattr(os, "posix_fadvise", lambda _, *advice: advised.append(advice))
    dataset.forget(1)
    assert advised == [(0, 0, os.POSIX_FADV_DONTNEED)]


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="this system cannot forget files")
def test_a_vanished_file_cannot_be_forgotten(tmp_path: Path) -> None:
    dataset = filed(tmp_path, 1)
    dataset.paths[0].unlink()
    with pytest.raises(DataError, match=r"Cannot open .*0\.png: No such file"):
        dataset.forget(0)


def test_a_system_that_cannot_forget_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "posix_fadvise", raising=False)
    with pytest.raises(DataError, match="posix_fadvise"):
        filed(tmp_path, 1).forget(0)
