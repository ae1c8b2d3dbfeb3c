"""YOLOv5 v6/v7, P5, in five sizes, written from its published structure.

The module tree and its names are upstream's (`model.0.conv.weight` ... `model.24.m.2.bias`), so that official
and custom checkpoints load strictly. Structure: Jocher et al., YOLOv5 v6.0 release, `yolov5{n,s,m,l,x}.yaml`.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from yolo_perf.yolov5.blocks import C3, SPPF, Concat, Conv, Detect
from yolo_perf.yolov5.sizes import SIZES, STRIDES, Scale, check_size

ANCHORS_PX = (
    (10, 13, 16, 30, 33, 23),
    (30, 61, 62, 45, 59, 119),
    (116, 90, 156, 198, 373, 326),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSpec:
    """One row of the published table: where the input comes from, the block, its output channels and repeats."""

    source: int | tuple[int, ...]
    block: str
    channels: int = 0
    kernel: int = 1
    stride: int = 1
    padding: int | None = None
    repeats: int = 1
    shortcut: bool = True


def _conv(channels: int, kernel: int = 1, stride: int = 1, padding: int | None = None) -> LayerSpec:
    return LayerSpec(source=-1, block="Conv", channels=channels, kernel=kernel, stride=stride, padding=padding)


def _c3(channels: int, repeats: int, shortcut: bool = True) -> LayerSpec:
    return LayerSpec(source=-1, block="C3", channels=channels, repeats=repeats, shortcut=shortcut)


def _concat(*source: int) -> LayerSpec:
    return LayerSpec(source=source, block="Concat")


_UPSAMPLE = LayerSpec(source=-1, block="Upsample")

LAYERS: tuple[LayerSpec, ...] = (
    _conv(64, 6, 2, 2),
    _conv(128, 3, 2),
    _c3(128, 3),
    _conv(256, 3, 2),
    _c3(256, 6),
    _conv(512, 3, 2),
    _c3(512, 9),
    _conv(1024, 3, 2),
    _c3(1024, 3),
    LayerSpec(source=-1, block="SPPF", channels=1024),
    _conv(512),
    _UPSAMPLE,
    _concat(-1, 6),
    _c3(512, 3, shortcut=False),
    _conv(256),
    _UPSAMPLE,
    _concat(-1, 4),
    _c3(256, 3, shortcut=False),
    _conv(256, 3, 2),
    _concat(-1, 14),
    _c3(512, 3, shortcut=False),
    _conv(512, 3, 2),
    _concat(-1, 10),
    _c3(1024, 3, shortcut=False),
    LayerSpec(source=(17, 20, 23), block="Detect"),
)

_KEPT = frozenset(
    source for spec in LAYERS if isinstance(spec.source, tuple) for source in spec.source if source >= 0
)
"""Layers whose output a later one reads; the others' memory is free again as soon as the next has run."""


class YoloV5(nn.Module):
    """YOLOv5 of one size. Input (N, 3, H, W), H and W multiples of 32, RGB in 0..1; output as `Detect`'s."""

    def __init__(self, size: str, classes: int = 80):
        super().__init__()
        self.size = check_size(size)
        self.classes = classes
        self.model = nn.Sequential(*_build(SIZES[size], classes))

    @property
    def head(self) -> Detect:
        """The detection head, the last layer."""
        head = self.model[-1]
        assert isinstance(head, Detect)  # noqa: S101 - narrows the type; LAYERS ends in it
        return head

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, rows, 5 + classes): 25,200 rows at 640x640."""
        kept: dict[int, Tensor] = {}
        for index, (spec, layer) in enumerate(zip(LAYERS, self.model, strict=True)):
            if isinstance(spec.source, int):
                x = layer(x)
            else:
                x = layer([x if source == -1 else kept[source] for source in spec.source])
            if index in _KEPT:
                kept[index] = x
        return x

    def fuse(self) -> "YoloV5":
        """Fold every batch norm into its convolution, in place; returns the model itself, in eval mode."""
        self.eval()
        for module in self.modules():
            if isinstance(module, Conv):
                module.fuse()
        return self


def build(size: str, classes: int = 80, *, device: str = "cpu", fused: bool = False) -> YoloV5:
    """An uninitialised model in eval mode; `fused`, of the structure that `YoloV5.fuse` leaves.

    On device "meta" it has shapes and no memory; on the CPU, none either until something touches it.
    """
    with torch.device(device):
        model = YoloV5(size, classes)
        if fused:
            for module in model.modules():
                if isinstance(module, Conv):
                    module.drop_norm()
    return model.eval().requires_grad_(False)


def _build(scale: Scale, classes: int) -> list[nn.Module]:
    """The layers of LAYERS at one scale."""
    layers: list[nn.Module] = []
    widths: list[int] = []
    for spec in LAYERS:
        sources = (spec.source,) if isinstance(spec.source, int) else spec.source
        c_in = [widths[s] if widths else 3 for s in sources]
        c_out = math.ceil(spec.channels * scale.width / 8) * 8
        repeats = max(round(spec.repeats * scale.depth), 1)
        match spec.block:
            case "Conv":
                layers.append(Conv(c_in[0], c_out, spec.kernel, spec.stride, spec.padding))
            case "C3":
                layers.append(C3(c_in[0], c_out, repeats, spec.shortcut))
            case "SPPF":
                layers.append(SPPF(c_in[0], c_out))
            case "Upsample":
                layers.append(nn.Upsample(scale_factor=2, mode="nearest"))
                c_out = c_in[0]
            case "Concat":
                layers.append(Concat())
                c_out = sum(c_in)
            case "Detect":
                layers.append(Detect(classes, tuple(c_in), STRIDES, ANCHORS_PX))
        widths.append(c_out)
    return layers
