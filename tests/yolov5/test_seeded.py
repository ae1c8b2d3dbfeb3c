import numpy as np
import pytest
import torch

from yolo_perf.pipeline.boxes import postprocess
from yolo_perf.pipeline.images import synthetic
from yolo_perf.pipeline.letterbox import letterbox
from yolo_perf.yolov5.checkpoint import digest_state
from yolo_perf.yolov5.model import build
from yolo_perf.yolov5.seeded import fill_seeded


def test_the_bits_are_pinned() -> None:
    """New bits are new weights: every recorded baseline would no longer be comparable."""
    model = build("n")
    fill_seeded(model)
    assert digest_state(model.state_dict())[:16] == "27db06023137e8be"


def test_any_class_count() -> None:
    model = build("n", classes=1)
    fill_seeded(model)
    assert model.fuse()(torch.zeros(1, 3, 32, 32)).isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize("size", ["n", "s", "m", "l", "x"])
def test_activations_live_and_boxes_are_about_as_many_as_official_weights_give(size: str) -> None:
    model = build(size)
    fill_seeded(model)
    powers: list[float] = []
    for layer in list(model.model)[:-1]:
        layer.register_forward_hook(lambda _m, _i, output: powers.append(output.square().mean().item()))
    model.fuse()
    dataset = synthetic(count=8)
    before, after = [], []
    for index in range(len(dataset)):
        image, geometry = letterbox(dataset.load(index), 640)
        with torch.inference_mode():
            output = model(torch.from_numpy(image)[None])[0].numpy()
        confidence = output[:, 4] * output[:, 5:].max(1)
        before.append(int((confidence > 0.25).sum()))
        after.append(len(postprocess(output, geometry).scores))
    assert 1e-2 < min(powers) < max(powers) < 1e3
    assert 5 <= np.median(before) <= 150  # official weights over COCO128: 29
    assert 1 <= np.median(after) <= 30  # official weights over COCO128: 3
