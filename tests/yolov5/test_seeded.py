import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from yolo_perf.analysis.parity import parity
from yolo_perf.backends.registry import backends
from yolo_perf.backends.subject import prepare_subject
from yolo_perf.pipeline.boxes import postprocess
from yolo_perf.pipeline.images import synthetic
from yolo_perf.pipeline.letterbox import letterbox
from yolo_perf.records import Case
from yolo_perf.yolov5.checkpoint import digest_state
from yolo_perf.yolov5.model import build
from yolo_perf.yolov5.seeded import fill_seeded

PINNED = "03968e6f43b440e3"


def test_the_bits_are_pinned() -> None:
    """New bits are new weights: every recorded baseline would no longer be comparable."""
    model = build("n")
    fill_seeded(model)
    assert digest_state(model.state_dict())[:16] == PINNED


DIGEST = """
from yolo_perf.yolov5.checkpoint import digest_state
from yolo_perf.yolov5.model import build
from yolo_perf.yolov5.seeded import fill_seeded

model = build("n")
fill_seeded(model)
print(digest_state(model.state_dict())[:16])
"""


@pytest.mark.parametrize("other", [{"ATEN_CPU_CAPABILITY": "default"}, {"MKL_CBWR": "COMPATIBLE"}], ids=str)
def test_another_cpu_has_the_same_bits(other: dict[str, str]) -> None:
    """As PyTorch's plain kernels and MKL's path for any CPU give them: `uniform_` and `logit` differ there."""
    done = subprocess.run(
        [sys.executable, "-c", DIGEST], env={**os.environ, **other}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == PINNED


def test_any_class_count() -> None:
    model = build("n", classes=1)
    fill_seeded(model)
    assert model.fuse()(torch.zeros(1, 3, 32, 32)).isfinite().all()


def test_channels_come_in_families() -> None:
    """What channels tell that are 8 apart is much alike, and not the same."""
    model = build("n")
    fill_seeded(model)
    kernels = model.state_dict()["model.3.conv.weight"]  # (64, 32, 3, 3), 0.8 of their power shared
    for one, other, least, most in ((0, 8, 0.7, 0.9), (0, 1, -0.3, 0.3)):
        correlation = torch.corrcoef(kernels[[one, other]].flatten(1))[0, 1]
        assert least < correlation < most


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


@pytest.mark.slow
@pytest.mark.parametrize("name", ["eager-bf16", "onnx-static-int8"])
@pytest.mark.parametrize("size", ["n", "s", "m", "l", "x"])
def test_rounding_does_as_little_harm_as_to_official_weights(
    size: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BF16 rounds alike on every CPU, only slowly without the instruction: it is tried on all of them."""
    monkeypatch.setenv("YOLO_PERF_CACHE", str(tmp_path))
    least_db, least_agreement = {"eager-bf16": (28, 0.95), "onnx-static-int8": (14, 0.85)}[name]
    dataset = synthetic()
    subject = prepare_subject(size, None, dataset, 640)
    cases = {each: Case(size=size, backend=each, batch=1, image_size=640, threads=1) for each in ("eager", name)}
    engines = [backends()[each].prepare(subject, case) for each, case in cases.items()]
    pairs = [letterbox(dataset.load(index), 640) for index in range(4)]
    expected, output = (np.concatenate([infer(image[None]) for image, _ in pairs]) for infer in engines)
    found = parity(expected, output, [geometry for _, geometry in pairs])
    assert found.sqnr_db >= least_db
    assert found.box_agreement >= least_agreement
