"""The way of one image through its four stages, each timed."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yolo_perf.pipeline.boxes import Detections, postprocess
from yolo_perf.pipeline.images import Dataset
from yolo_perf.pipeline.letterbox import letterbox, stack

Infer = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(N, 3, height, width) RGB in 0..1 to (N, rows, 5 + classes)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTimes:
    """Seconds that one image spent in each stage."""

    load_s: float
    preprocess_s: float
    inference_s: float
    postprocess_s: float

    @property
    def total_s(self) -> float:
        """Seconds of all stages."""
        return self.load_s + self.preprocess_s + self.inference_s + self.postprocess_s

    @property
    def shares(self) -> dict[str, float]:
        """Fraction of the total by stage, in order: load, preprocess, inference, postprocess.

        All 0 where no time passed at all, on a clock too coarse for the work.
        """
        total = self.total_s or 1.0
        return {
            "load": self.load_s / total,
            "preprocess": self.preprocess_s / total,
            "inference": self.inference_s / total,
            "postprocess": self.postprocess_s / total,
        }


def run_image(
    dataset: Dataset,
    index: int,
    infer: Infer,
    image_size: int,
    *,
    confidence: float = 0.25,
    iou: float = 0.45,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Detections, StageTimes]:
    """Detections in one picture, in its own pixels, and the seconds of each stage on the way.

    Raises DataError where the picture cannot be loaded, ValueError where `infer` gives no output of
    (1, rows, 5 + classes).
    """
    start = clock()
    image = dataset.load(index)
    loaded = clock()
    tensor, geometry = letterbox(image, image_size)
    batch = stack([tensor])
    prepared = clock()
    output = infer(batch)
    inferred = clock()
    if output.ndim != 3 or len(output) != 1:
        raise ValueError(f"need an output of (1, rows, 5 + classes), got {output.shape}")
    detections = postprocess(output[0], geometry, confidence=confidence, iou=iou)
    done = clock()
    times = StageTimes(
        load_s=loaded - start,
        preprocess_s=prepared - loaded,
        inference_s=inferred - prepared,
        postprocess_s=done - inferred,
    )
    return detections, times
