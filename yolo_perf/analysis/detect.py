"""Detections drawn on pictures: to see that what is timed is a detector."""

from collections.abc import Callable
from pathlib import Path

from yolo_perf import files
from yolo_perf.backends.registry import Subject, backends
from yolo_perf.backends.subject import find_checkpoint, load_weights
from yolo_perf.errors import DataError
from yolo_perf.machine.identity import identify
from yolo_perf.pipeline.boxes import postprocess
from yolo_perf.pipeline.classes import COCO_CLASSES
from yolo_perf.pipeline.draw import draw
from yolo_perf.pipeline.images import load_image
from yolo_perf.pipeline.letterbox import letterbox
from yolo_perf.records import Case


def draw_detections(
    images: tuple[Path, ...],
    *,
    size: str,
    out: Path,
    data: Path | None,
    image_size: int,
    say: Callable[[str], None],
) -> bool:
    """Write each picture with its boxes into `out`; whether the weights were a checkpoint's.

    Raises DataError for a picture that cannot be read or a folder that cannot be written.
    """
    import cv2

    if data is not None and not data.is_dir():
        raise DataError(f"No such data folder: {data}. Give one that holds weights/, or leave it out.")
    model, weights = load_weights(size, find_checkpoint(size, data))
    eager = backends()["eager"]
    threads = identify(with_torch=False).usable_cores
    case = Case(size=size, backend="eager", batch=1, image_size=image_size, threads=threads)
    subject = Subject(load=lambda: model, weights=weights, calibration_name="", calibration=lambda: iter(()))
    infer = eager.prepare(subject, case)
    names = COCO_CLASSES if weights.classes == len(COCO_CLASSES) else ()
    targets = [out / f"{path.stem}.jpg" for path in images]
    _check_targets(images, targets)
    for path, target in zip(images, targets, strict=True):
        picture = load_image(path)
        image, geometry = letterbox(picture, image_size)
        found = postprocess(infer(image[None])[0], geometry)
        ok, encoded = cv2.imencode(".jpg", draw(picture, found, names))
        if not ok:
            raise DataError(f"OpenCV cannot write a picture of {path.name}'s size as JPEG.")
        try:
            out.mkdir(parents=True, exist_ok=True)
            files.write(target, encoded.tobytes())
        except OSError as error:
            raise DataError(f"Cannot write {target}: {error.strerror or error}.") from error
        say(f"{target}: {len(found.scores)} objects")
    return not weights.seeded


def _check_targets(images: tuple[Path, ...], targets: list[Path]) -> None:
    """Raise DataError where a picture would be written over: one of the user's, or one of ours."""
    inputs = {path.resolve() for path in images}
    for target in targets:
        if target.resolve() in inputs:
            raise DataError(f"{target} is one of the pictures themselves. Name another folder: --out FOLDER")
        if targets.count(target) > 1:
            raise DataError(f"Two pictures would both become {target}. Draw them into folders of their own.")
