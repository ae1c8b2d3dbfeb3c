"""Fit the constants of `yolo_perf/yolov5/seeded_scales.py` to real and to drawn pictures, in place.

    YOLO_PERF_DATA=FOLDER python tools/fit_seeded.py

Ends with each size's SQNR by layer, by `seeded_curves.py`, whose chart docs/seeded.md shows.

Run again only when `seeded.py` changes what it draws: new constants are new weights, and every baseline that
was recorded with the old ones is no longer comparable.
"""

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from yolo_perf.pipeline.images import open_dataset, synthetic
from yolo_perf.pipeline.letterbox import letterbox
from yolo_perf.yolov5 import seeded, seeded_scales
from yolo_perf.yolov5.blocks import Conv
from yolo_perf.yolov5.model import LAYERS, YoloV5, build
from yolo_perf.yolov5.sizes import SIZES

ROOT_MEAN_SQUARE = 3.0  # of a convolution's output: large enough for SiLU to act as a rectifier, see below
ABOVE_0_25 = (4, 8, 17)  # boxes by level of the picture in the middle; of official n together 29
ABOVE_0_001 = (450, 350, 160)
PICTURES = 8  # of each kind
MIDDLE = 0.7
"""The picture that gets those boxes, of all in order: a photograph in the middle, and a drawn one near the top."""

MODULE = Path(seeded_scales.__file__)
MARK = "SCALES: dict[str, Scales] = {\n"


def main() -> None:
    """Fit every size, then write the module's table anew."""
    datasets = open_dataset(Path(os.environ["YOLO_PERF_DATA"])), synthetic()
    pictures = [
        torch.from_numpy(letterbox(dataset.load(i * len(dataset) // PICTURES), 640)[0]).view(1, 3, 640, 640)
        for i in range(PICTURES)
        for dataset in datasets
    ]
    head, mark, _ = MODULE.read_text(encoding="utf-8").partition(MARK)
    rows = []
    for size in SIZES:
        model = build(size)
        with torch.inference_mode():
            exponents = fit_convolutions(model, torch.cat(pictures[:8]))
            levels = fit_objectness(model, pictures)
        objectness = ", ".join(f"Objectness({gain}, {scale}, {bias})" for gain, scale, bias in levels)
        rows.append(f'    "{size}": Scales(convolutions={exponents}, objectness=({objectness},)),\n')
        print(f"fitted {size}: {levels}", flush=True)
    MODULE.write_text(f"{head}{mark}{''.join(rows)}}}\n", encoding="utf-8")
    # In a fresh process, which reads the new constants.
    subprocess.run((sys.executable, Path(__file__).with_name("seeded_curves.py")), check=True)


def fit_convolutions(model: YoloV5, x: Tensor) -> tuple[int, ...]:
    """Fill the convolutions in the order of execution, each scaled by what reaches it; their exponents.

    SiLU of a small input is nearly quadratic, so weak signals would fade from layer to layer and strong ones
    grow; at a root mean square of 3 it is nearly homogeneous, and contrast passes as it is.
    """
    exponents: dict[str, int] = {}

    def fit(name: str, conv: Conv) -> None:
        def forward(x: Tensor) -> Tensor:
            seeded.fill_convolution(conv, name, 0)
            power = conv.conv(x).square().mean().item()
            exponents[name] = round(-4 * math.log2(math.sqrt(power) / ROOT_MEAN_SQUARE))
            seeded.fill_convolution(conv, name, exponents[name])
            return Conv.forward(conv, x)

        conv.forward = forward  # type: ignore[method-assign]

    convolutions = [(name, module) for name, module in model.named_modules() if isinstance(module, Conv)]
    for name, conv in convolutions:
        fit(name, conv)
    for _ in features(model, [x]):
        pass
    for _, conv in convolutions:
        del conv.forward
    return tuple(exponents[name] for name, _ in convolutions)


def features(model: YoloV5, pictures: list[Tensor]) -> Iterator[list[Tensor]]:
    """The head's three inputs, picture by picture."""
    head = LAYERS[-1].source
    assert isinstance(head, tuple)
    for picture in pictures:
        x = picture
        outputs: list[Tensor] = []
        for spec, layer in zip(LAYERS[:-1], list(model.model)[:-1], strict=True):
            source = spec.source
            x = layer(x) if isinstance(source, int) else layer([x if s == -1 else outputs[s] for s in source])
            outputs.append(x)
        yield [outputs[index] for index in head]


def fit_objectness(model: YoloV5, pictures: list[Tensor]) -> list[tuple[float, float, float]]:
    """Feature gain, objectness gain and bias of each level, from the quantiles of its logits."""
    model.fuse()
    logits: list[list[Tensor]] = [[], [], []]
    for maps in features(model, pictures):
        for level, x in enumerate(maps):
            convolution = model.head.m[level]
            assert isinstance(convolution, nn.Conv2d)
            weight = torch.empty_like(convolution.weight)
            seeded.draw_head(weight, f"model.24.m.{level}.weight", model.head.anchors_per_level)
            raw = torch.nn.functional.conv2d(x, weight).reshape(3, model.head.row_length, -1)
            logits[level].append(raw[:, 4].flatten().clone())
    return [
        min((_line(parts, level, sign) for sign in (1, -1)), key=lambda line: abs(line[1]))
        for level, parts in enumerate(logits)
    ]


def _line(parts: list[Tensor], level: int, sign: int) -> tuple[float, float, float]:
    """The line through the two quantiles that should have the confidences 0.25 and 0.001 in the middle picture.

    Of the logits themselves or turned around: where the rarer values lie farther out, less gain will do, and less
    of the noise comes along.
    """
    feature_gain = 1 / torch.cat(parts).std().item()
    ordered = [np.sort(sign * feature_gain * part.numpy())[::-1] for part in parts]
    high, low = (_logit(confidence / seeded.TOP_CLASS_SCORE) for confidence in (0.25, 0.001))
    rare, usual = (np.quantile([o[above[level]] for o in ordered], MIDDLE) for above in (ABOVE_0_25, ABOVE_0_001))
    gain = float((high - low) / (rare - usual))
    return round(feature_gain, 3), round(sign * gain, 3), round(high - gain * float(rare), 3)


def _logit(p: float) -> float:
    return math.log(p / (1 - p))


if __name__ == "__main__":
    main()
