"""The four stages of pictures, each timed by itself."""

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from yolo_perf.pipeline.boxes import Detections, postprocess
from yolo_perf.pipeline.images import Dataset
from yolo_perf.pipeline.letterbox import letterbox, stack
from yolo_perf.records import StageTimes

Infer = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def run_pictures(
    dataset: Dataset,
    indices: Sequence[int],
    infer: Infer,
    image_size: int,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[list[Detections], StageTimes]:
    """Load, preprocess, infer and postprocess pictures of a dataset as one batch; seconds a picture.

    Raises DataError.
    """
    begin = clock()
    pictures = [dataset.load(index) for index in indices]
    loaded = clock()
    prepared = [letterbox(picture, image_size) for picture in pictures]
    images = stack([image for image, _ in prepared])
    ready = clock()
    rows = infer(images)
    inferred = clock()
    found = [postprocess(each, geometry) for each, (_, geometry) in zip(rows, prepared, strict=True)]
    end = clock()
    number = len(indices)
    return found, StageTimes(
        load_s=(loaded - begin) / number,
        preprocess_s=(ready - loaded) / number,
        inference_s=(inferred - ready) / number,
        postprocess_s=(end - inferred) / number,
        boxes=sum(len(each.scores) for each in found),
    )
