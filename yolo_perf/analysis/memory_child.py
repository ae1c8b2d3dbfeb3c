"""The process that shows what one case holds: `python -m yolo_perf.analysis.memory_child`, an order on stdin."""

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from yolo_perf.analysis.memory import Held, Order
from yolo_perf.backends.registry import Subject, backends
from yolo_perf.errors import YoloPerfError
from yolo_perf.machine.allocator import settle
from yolo_perf.machine.memory import peak_rss_bytes, reset_peak_rss, rss_bytes

if TYPE_CHECKING:
    from yolo_perf.yolov5.model import YoloV5

CALLS = 3


def hold(order: Order) -> Held:
    """Run the case a few times. Its pictures' content is of no matter here, so they are grey."""
    import numpy as np

    settle(order.allocator)
    backend, case = backends()[order.case.backend], order.case
    importlib.import_module(backend.engine)  # which belongs to the base

    base = rss_bytes()
    images = np.full((case.batch, 3, case.image_size, case.image_size), 0.5, np.float32)
    infer = backend.prepare(_subject(order), case)
    loaded = rss_bytes()
    reset_peak_rss()
    for _ in range(CALLS):
        infer(images)
    return Held(base=base, loaded=loaded, peak=peak_rss_bytes() or rss_bytes())


def _subject(order: Order) -> Subject:
    """The order's subject; its model comes into memory only where the backend asks for it."""
    from yolo_perf.backends.subject import find_checkpoint, load_weights

    def load() -> "YoloV5":
        return load_weights(
            order.case.size, find_checkpoint(order.case.size, Path(order.data) if order.data else None)
        )[0]

    return Subject(
        load=load, weights=order.weights, calibration_name=order.calibration_name, calibration=lambda: iter(())
    )


if __name__ == "__main__":
    try:
        answer = hold(msgspec.json.decode(sys.stdin.buffer.read(), type=Order))
    except YoloPerfError as error:
        sys.exit(str(error))
    sys.stdout.buffer.write(msgspec.json.encode(answer))
