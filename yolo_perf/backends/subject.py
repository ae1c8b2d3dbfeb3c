"""Build the subject of a size: weights from the data folder where they are, else seeded ones."""

import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from yolo_perf.backends.registry import Subject
from yolo_perf.pipeline.images import Dataset
from yolo_perf.pipeline.letterbox import letterbox
from yolo_perf.records import SEEDED, Weights

if TYPE_CHECKING:
    from yolo_perf.backends.registry import Images
    from yolo_perf.yolov5.model import YoloV5

log = logging.getLogger(__name__)

CALIBRATION_PICTURES, SEEDED_CALIBRATION_PICTURES = 16, 4
"""Seeded weights have no accuracy to lose by narrow scales, and quantising x takes a minute longer with 16."""


def prepare_subject(size: str, data: Path | None, dataset: Dataset, image_size: int) -> Subject:
    """The fused model of one size with its weights, and the pictures to calibrate a quantisation on.

    Weights are `weights/yolov5{size}.pt` (or the file of that name itself) in the data folder. Raises
    CheckpointError where that file is not of this size's architecture.
    """
    model, weights = load_weights(size, find_checkpoint(size, data))
    pictures = SEEDED_CALIBRATION_PICTURES if weights.seeded else CALIBRATION_PICTURES
    return Subject(
        load=lambda: model,
        weights=weights,
        calibration_name=_digest(dataset, image_size, pictures),
        calibration=lambda: _calibration(dataset, image_size, pictures),
    )


def find_checkpoint(size: str, data: Path | None) -> Path | None:
    """The checkpoint of a size in a data folder, or None."""
    if data is None:
        return None
    for path in (data / "weights" / f"yolov5{size}.pt", data / f"yolov5{size}.pt"):
        if path.exists() or path.is_symlink():  # a dangling link is a mistake to hear of, not seeded weights
            return path
    return None


def load_weights(size: str, checkpoint: Path | None) -> tuple["YoloV5", Weights]:
    """A fused model with the checkpoint's weights, or with seeded ones where there is no checkpoint."""
    from yolo_perf.yolov5.checkpoint import digest_state, guess_classes, match_state, read_checkpoint
    from yolo_perf.yolov5.model import build
    from yolo_perf.yolov5.seeded import fill_seeded

    if checkpoint is None:
        model = build(size)
        fill_seeded(model)
        source, digest = SEEDED, digest_state(model.state_dict())
    else:
        log.info("reading %s", checkpoint)
        found = read_checkpoint(checkpoint)
        model = build(size, guess_classes(found.state, found.source))
        expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        # `strict=False` only for `num_batches_tracked`, which is a training counter: match_state is strict.
        model.load_state_dict(match_state(found.state, expected, found.source), strict=False)
        source, digest = found.source, found.digest
    model.fuse()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return model, Weights(source=source, digest=digest, parameters=parameters, classes=model.classes)


def _calibration(dataset: Dataset, image_size: int, pictures: int) -> "Iterator[Images]":
    """Letterboxed pictures, (1, 3, S, S) each."""
    if len(dataset) < pictures:
        log.warning(
            "calibrating on the %d pictures that there are, where %d are wanted: scales may be too narrow",
            len(dataset),
            pictures,
        )
    for index in range(min(pictures, len(dataset))):
        yield letterbox(dataset.load(index), image_size)[0][None]


def _digest(dataset: Dataset, image_size: int, pictures: int) -> str:
    """A name for the calibration's content: equal names, equal pixels."""
    digest = hashlib.sha256(str(image_size).encode())
    for index in range(min(pictures, len(dataset))):
        digest.update(dataset.read(index))
    return digest.hexdigest()[:16]
