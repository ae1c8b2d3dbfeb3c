"""The four stages of one picture, each timed by itself."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yolo_perf.pipeline.boxes import Detections, postprocess
from yolo_perf.pipeline.images import Dataset
from yolo_perf.pipeline.letterbox import letterbox

Infer = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTimes:
    """Seconds of each stage of one picture."""

    load_s: float
    preprocess_s: float
    inference_s: float
    postprocess_s: float

    @property
    def total_s(self) -> float:
        """Seconds of all stages."""
        return self.load_s + self.preprocess_s + self.inference_s + self.postprocess_s


def run_image(
    dataset: Dataset, index: int, infer: Infer, image_size: int, clock: Callable[[], float] = time.perf_counter
) -> tuple[Detections, StageTimes]:
    """Load, preprocess, infer and postprocess one picture of a dataset. Raises DataError."""
    begin = clock()
    picture = dataset.load(index)
    loaded = clock()
    image, geometry = letterbox(picture, image_size)
    prepared = clock()
    rows = infer(image[None])[0]
    inferred = clock()
    found = postprocess(rows, geometry)
    end = clock()
    times = StageTimes(
        load_s=loaded - begin,
        preprocess_s=prepared - loaded,
        inference_s=inferred - prepared,
        postprocess_s=end - inferred,
    )
    return found, times
