"""How well a case detects: average precision against labels, and agreement with eager, which needs none.

The protocol is YOLOv5's validation: confidence 0.001, class-aware suppression at IoU 0.6, every class of a box a
candidate, at most 300 boxes a picture, each picture in its own rectangle. The average precision is COCO's, by
pycocotools: 101 points, the mean over IoU 0.50 to 0.95 by 0.05, at most 100 boxes a picture.
"""

import contextlib
import hashlib
import io
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from yolo_perf import backends as engines
from yolo_perf import yolov5
from yolo_perf.analysis import parity
from yolo_perf.analysis.memory import require_memory
from yolo_perf.analysis.parity import Seen
from yolo_perf.backends.artefacts import kept
from yolo_perf.backends.registry import Backend, backends
from yolo_perf.machine.versions import version
from yolo_perf.pace import STEP, Steps
from yolo_perf.pipeline import boxes, images, labels, letterbox
from yolo_perf.pipeline.boxes import Detections
from yolo_perf.pipeline.labels import Labels, read_labels
from yolo_perf.records import Accuracy, Case, Count, Protocol, Share

if TYPE_CHECKING:
    from yolo_perf.analysis.bench import Bench
    from yolo_perf.backends.registry import Infer
    from yolo_perf.pipeline.letterbox import Letterbox

log = logging.getLogger(__name__)

Precisions = tuple[float | None, float | None]
"""mAP50 and mAP50-95; None where no box is labelled."""
CONFIDENCE, IOU, MAX_DETECTIONS = 0.001, 0.6, 300
SQNR_PICTURES = 16
"""Outputs are 7 MB a picture: of so many eager's are kept."""
PACKAGES = ("torch", "onnxruntime", "openvino", "cv2", "pycocotools", "numpy")
PROGRESS_STEP = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """The labelled boxes of one picture, in its pixels."""

    boxes: NDArray[np.float64]  # (n, 4): x1, y1, x2, y2
    classes: NDArray[np.int64]  # (n,)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scores:
    """What is kept of a case."""

    map50: Share | None
    map50_95: Share | None
    eager_map50_95: Share | None
    sqnr_db: float
    box_agreement: Share
    compared_boxes: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class _Output:
    """What one engine made of all pictures."""

    seen: list[Seen]
    rows: list[NDArray[np.float32]]  # of the first SQNR_PICTURES
    candidates: list[Detections]
    truths: list[Truth]


class Judge:
    """Judges the backends of one size on a bench's pictures; what was judged before is read from the cache."""

    def __init__(self, bench: "Bench", size: str, pictures: int):
        self.bench = bench
        self.size = size
        self.subject = bench.subject(size)
        self.pictures = min(pictures, len(bench.dataset))
        self._outputs: dict[Protocol, _Output] = {}
        self._precisions: dict[Protocol, Precisions] = {}

    @cached_property
    def labels(self) -> Labels | None:
        """The labels of all pictures; None, and said so, where there are none. Raises DataError."""
        found = read_labels(self.bench.dataset, self.subject.weights.classes)
        if found is None:
            log.info("no labels for %s: agreement with eager only", self.bench.dataset.name)
        return found

    @cached_property
    def _data_key(self) -> dict[str, str]:
        digest = hashlib.sha256()
        for index in range(self.pictures):
            digest.update(self.bench.dataset.read(index))
        return {"pictures": digest.hexdigest(), "labels": self.labels.digest if self.labels else ""}

    def judge(self, backend: Backend, protocol: Protocol | None = None) -> Accuracy:
        """The accuracy of one backend, in its rectangular protocol where it can take any shape.

        Raises BackendUnavailable, DataError, NotEnoughMemory; ParityError where eager is no reference.
        """
        backend.check_available()
        chosen: Protocol = protocol or ("rectangular" if backend.any_shape else "square")
        case = self.bench.case(self.size, backend)
        scores = kept(
            f"accuracy-{case.label}",
            self._key(backend, case, chosen),
            _Scores,
            lambda: self._scores(backend, case, chosen),
        )
        return Accuracy(
            case=case,
            weights=self.subject.weights,
            data=self.bench.dataset.name,
            pictures=self.pictures,
            boxes=sum(len(each) for each in self.labels.rows[: self.pictures]) if self.labels else 0,
            protocol=chosen,
            map50=scores.map50,
            map50_95=scores.map50_95,
            sqnr_db=scores.sqnr_db,
            box_agreement=scores.box_agreement,
            eager_map50_95=scores.eager_map50_95,
            compared_boxes=scores.compared_boxes,
        )

    def _key(self, backend: Backend, case: Case, protocol: Protocol) -> dict[str, str]:
        """Everything that decides a case's boxes, the number of threads aside."""
        modules = (boxes, images, labels, letterbox, parity)
        files = [Path(str(module.__file__)) for module in modules]
        files += [Path(__file__), *_sources(engines), *_sources(yolov5)]
        return {
            **self._data_key,
            "backend": backend.name,
            "graph": backend.graph(self.subject, case).name if backend.graph else "",
            "weights": self.subject.weights.digest,
            "image_size": str(case.image_size),
            "protocol": protocol,
            "isa": " ".join(self.bench.machine.isa),
            "sources": hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest(),
            **{name: version(name) for name in PACKAGES},
        }

    def _scores(self, backend: Backend, case: Case, protocol: Protocol) -> _Scores:
        reference = self._reference(protocol)
        output = reference if backend.name == "eager" else self._run(backend, case, protocol)
        eager = self._reference_precisions(protocol)
        precisions = eager if output is reference else _precisions(output)
        expected, actual = (np.concatenate([rows.ravel() for rows in o.rows]) for o in (reference, output))
        width = 5 + self.subject.weights.classes
        expected, actual = expected.reshape(-1, width), actual.reshape(-1, width)
        return _Scores(
            map50=precisions[0],
            map50_95=precisions[1],
            eager_map50_95=eager[1],
            sqnr_db=parity.worst_sqnr_db(expected, actual),
            box_agreement=parity.agreement(reference.seen, output.seen),
            compared_boxes=sum(len(each.sure.scores) for each in (*reference.seen, *output.seen)),
        )

    def _reference(self, protocol: Protocol) -> _Output:
        """Eager's output, inferred once."""
        if protocol not in self._outputs:
            eager = backends()["eager"]
            case = self.bench.case(self.size, eager)
            output = self._run(eager, case, protocol)
            for rows in output.rows:
                parity.require_reference(rows[None], case.label)
            self._outputs[protocol] = output
        return self._outputs[protocol]

    def _reference_precisions(self, protocol: Protocol) -> Precisions:
        """Eager's average precisions, counted once: what a case loses is lost against these."""
        if protocol not in self._precisions:
            self._precisions[protocol] = _precisions(self._reference(protocol))
        return self._precisions[protocol]

    def _run(self, backend: Backend, case: Case, protocol: Protocol) -> _Output:
        require_memory(case)
        prepare = backend.any_shape if protocol == "rectangular" else backend.prepare
        assert prepare is not None  # noqa: S101 - judge chose the protocol by it
        infer = _at_batch(prepare(self.subject, case), 1 if protocol == "rectangular" else case.batch)
        shape: Callable[..., tuple[NDArray[np.float32], Letterbox]]
        shape = letterbox.rectangular if protocol == "rectangular" else letterbox.letterbox
        found = _Output(seen=[], rows=[], candidates=[], truths=[])
        steps = Steps(self.pictures)
        for index in range(self.pictures):
            image, geometry = shape(self.bench.dataset.load(index), case.image_size)
            rows = infer(image[None])[0]
            found.seen.append(parity.see(rows, geometry))
            if index < SQNR_PICTURES:
                found.rows.append(rows)
            if self.labels:
                found.candidates.append(_candidates(rows, geometry))
                found.truths.append(_truth(self.labels.rows[index], geometry))
            if (index + 1) % PROGRESS_STEP == 0:
                left = steps.left(index + 1).text
                log.info("%s: %d of %d pictures%s", case.label, index + 1, self.pictures, left, extra=STEP)
        return found


def _precisions(output: _Output) -> Precisions:
    """The average precisions of an output; none where no box is labelled."""
    if not any(len(truth.classes) for truth in output.truths):
        return None, None
    return average_precisions(output.candidates, output.truths)


def average_precisions(found: Sequence[Detections], truths: Sequence[Truth]) -> tuple[float, float]:
    """COCO's mAP50 and mAP50-95 of the boxes found on each picture, over the classes that are there.

    0 where nothing is there to be found.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    classes = sorted({int(each) for truth in truths for each in truth.classes})
    if not classes:
        return 0.0, 0.0
    annotations = [
        {"image_id": image, "category_id": int(label), "bbox": _corner_and_sides(box), "area": _area(box)}
        for image, truth in enumerate(truths)
        for box, label in zip(truth.boxes, truth.classes, strict=True)
    ]
    results = [
        [image, *_corner_and_sides(box), float(score), int(label)]
        for image, each in enumerate(found)
        for box, score, label in zip(each.boxes, each.scores, each.classes, strict=True)
    ]
    if not results:
        return 0.0, 0.0
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress and its table
        coco = COCO()
        coco.dataset = {
            "images": [{"id": image} for image in range(len(truths))],
            "categories": [{"id": label} for label in classes],
            "annotations": [{**a, "id": index, "iscrowd": 0} for index, a in enumerate(annotations, 1)],
        }
        coco.createIndex()
        known = np.array([result for result in results if result[-1] in set(classes)] or results, np.float64)
        evaluation = COCOeval(coco, coco.loadRes(known), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    map50_95, map50 = (float(each) for each in evaluation.stats[:2])
    return max(0.0, map50), max(0.0, map50_95)


def _candidates(rows: NDArray[np.float32], geometry: "Letterbox") -> Detections:
    return boxes.postprocess(
        rows, geometry, confidence=CONFIDENCE, iou=IOU, max_detections=MAX_DETECTIONS, multi_label=True
    )


def _truth(rows: NDArray[np.float64], geometry: "Letterbox") -> Truth:
    """A picture's labels in its pixels."""
    sides = np.array((geometry.width, geometry.height) * 2, np.float64)
    centre, half = rows[:, 1:3], rows[:, 3:5] / 2
    return Truth(
        boxes=np.concatenate((centre - half, centre + half), 1) * sides, classes=rows[:, 0].astype(np.int64)
    )


def _corner_and_sides(box: NDArray[np.float64] | NDArray[np.float32]) -> list[float]:
    """COCO's (x, y, width, height)."""
    x1, y1, x2, y2 = (float(each) for each in box)
    return [x1, y1, x2 - x1, y2 - y1]


def _area(box: NDArray[np.float64]) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


def _at_batch(infer: "Infer", batch: int) -> "Infer":
    """One picture at a time through an engine that is built for a batch: it is repeated."""
    if batch == 1:
        return infer
    return lambda image: infer(np.repeat(image, batch, axis=0))[:1]


def _sources(package: object) -> list[Path]:
    return sorted(Path(str(package.__file__)).parent.glob("*.py"))  # type: ignore[attr-defined]
