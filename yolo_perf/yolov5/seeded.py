"""Weights without a checkpoint: deterministic, as robust to rounding as trained ones, and with boxes to suppress.

Every kernel is a shared part plus one of its own, both drawn uniformly from generators seeded by its name. The
shared part knows 8 channels only and is repeated over all the others, so that channels come in families that tell
about the same. A trained network's do too, and it is why rounding does it little harm: what the family tells adds
up over the channels that the next layer reads, their rounding errors average out. Kernels drawn one by one have
signal and noise grow alike, and every layer's rounding then stays until the end: see docs/seeded.md.

Each kernel is then scaled by a fitted power of 2^(1/4) from `seeded_scales`, so that its output over pictures has
a root mean square of 3. A merely variance-preserving draw drifts by orders of magnitude over the 123 convolutions
of x, whose residual sums it cannot foresee. The fitted figures are constants, and all else is one operation an
element, so no machine's summation order can reach the bits.

Objectness is scaled so that confidences over a picture are distributed about as official weights give them.
Without that a randomly filled model finds nothing, and postprocessing would be timed on no work. For the same
reason the first bottleneck of each of the last blocks has 3x3 kernels that are odd about their centre, and little
passes by it: features then answer to local contrast, and no single busy picture gets all of the boxes.
"""

import math
import zlib

import torch
from torch import Tensor

from yolo_perf.yolov5.blocks import Conv, Detect
from yolo_perf.yolov5.model import ANCHORS_PX, YoloV5
from yolo_perf.yolov5.seeded_scales import SCALES, Objectness, Scales
from yolo_perf.yolov5.sizes import STRIDES

FAMILIES = 8
"""Kinds of channels; channel i is of kind i modulo 8, of which every layer's width is a multiple."""
OWN_SHARE = 0.2
"""Of a kernel's power, what is its own. Without any, all channels of a family would round alike."""
LAST_BLOCKS = ("model.17", "model.20", "model.23")
"""Whose output the head sees. Their bottlenecks answer to differences between neighbours alone."""
BYPASS_GAIN = 0.2
"""Of what passes by those bottlenecks: a bright or busy picture would else get all of the boxes."""
STEPS = 2**23 - 1
"""Of a draw, on either side of 0: single precision holds them all."""
TOP_CLASS_SCORE = 0.8
"""Score of the likeliest class where its weights say nothing: objectness then carries the confidence."""
CLASS_BIAS_STEP = 0.75
"""Between one class and the next likely one, in logits: wide enough that noise seldom changes the winner."""
CLASS_GAIN = 0.03
BOX_GAIN = 0.05


def fill_seeded(model: YoloV5) -> None:
    """Fill an unfused model on the CPU in place. The same torch version gives the same bits."""
    scales = SCALES[model.size]
    convolutions = [(name, module) for name, module in model.named_modules() if isinstance(module, Conv)]
    with torch.inference_mode():
        for (name, conv), exponent in zip(convolutions, scales.convolutions, strict=True):
            fill_convolution(conv, name, exponent)
        fill_head(model.head, scales)


def fill_convolution(conv: Conv, name: str, exponent: int) -> None:
    """Draw one convolution of gain 2^(exponent/4) over its fan-in, with a neutral batch norm."""
    weight = conv.conv.weight
    draw_families(weight, f"{name}.conv.weight", 2.0 ** (exponent / 4) / math.sqrt(weight[0].numel()), FAMILIES)
    if name.startswith(LAST_BLOCKS):
        if name.endswith(".m.0.cv2"):
            weight.sub_(weight.flip(2, 3))  # odd about its centre: a flat surface gives nothing
        elif name.endswith("cv3"):
            weight[:, weight.shape[1] // 2 :] *= BYPASS_GAIN
    batch_norm = conv.bn
    assert isinstance(batch_norm, torch.nn.BatchNorm2d)  # noqa: S101 - an unfused model is asked for
    batch_norm.reset_parameters()


def fill_head(head: Detect, scales: Scales) -> None:
    """Draw the three 1x1 convolutions of the head: few classes, rare objects, and clusters of boxes.

    A real object is found by several anchors and cells at once. So the anchors of a level share their
    objectness, and their boxes are about of one size: (2 sigmoid(bias))^2 x anchor is the largest anchor's.
    """
    classes = head.row_length - 5
    for level, (conv, objectness) in enumerate(zip(head.m, scales.objectness, strict=True)):
        assert isinstance(conv, torch.nn.Conv2d) and conv.bias is not None  # noqa: S101 - narrows types
        draw_head(conv.weight, f"model.24.m.{level}.weight", head.anchors_per_level)
        conv.weight.mul_(objectness.feature_gain)
        gain, bias = _row(classes, objectness)
        conv.weight.mul_(gain.repeat(head.anchors_per_level).view(-1, 1, 1, 1))
        rows = bias.repeat(head.anchors_per_level, 1)
        for side in (0, 1):  # by `math`, as torch's logit differs by CPU
            lengths = ANCHORS_PX[level][side::2]
            halves = [math.sqrt(max(lengths) / length) / 2 for length in lengths]
            rows[:, 2 + side] = torch.tensor([math.log(half / (1 - half)) for half in halves])
        conv.bias.copy_(rows.flatten())
    strides = torch.tensor(STRIDES, dtype=torch.float32)
    head.anchors.copy_(torch.tensor(ANCHORS_PX, dtype=torch.float32).view(3, -1, 2) / strides.view(-1, 1, 1))


def draw_head(weight: Tensor, name: str, anchors: int) -> None:
    """Draw one level's kernel at unit gain over its inputs, one objectness for all of its anchors."""
    draw_families(weight, name, 1 / math.sqrt(weight.shape[1]), len(weight))
    rows = weight.view(anchors, -1, weight.shape[1])
    rows[1:, 4] = rows[0, 4]


def draw_families(weight: Tensor, name: str, deviation: float, outputs: int) -> None:
    """Fill a kernel (O, I, k, k): own[o, i] + shared[o modulo `outputs`, i modulo FAMILIES], of that deviation."""
    inputs = min(FAMILIES, weight.shape[1])
    draw(weight, name, math.sqrt(OWN_SHARE) * deviation)
    shared = weight.new_empty(outputs, 1, inputs, *weight.shape[2:])
    draw(shared, f"{name}, shared", math.sqrt(1 - OWN_SHARE) * deviation)
    weight.view(-1, outputs, weight.shape[1] // inputs, inputs, *weight.shape[2:]).add_(shared)


def draw(tensor: Tensor, name: str, deviation: float) -> None:
    """Fill with uniform numbers of mean 0 and the given standard deviation, from a generator of that name.

    Whole numbers, then one multiplication: torch's `uniform_` gives other bits where its build for the CPU at hand
    fuses a multiplication and an addition.
    """
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    tensor.random_(-STEPS, STEPS + 1, generator=generator).mul_(math.sqrt(3) * deviation / STEPS)


def _row(classes: int, objectness: Objectness) -> tuple[Tensor, Tensor]:
    """Gain and bias of the 5 + classes logits of one anchor."""
    gain = torch.full((5 + classes,), BOX_GAIN)
    gain[4], gain[5:] = objectness.gain, CLASS_GAIN
    bias = torch.zeros(5 + classes)
    bias[4] = objectness.bias
    order = torch.empty(classes)
    draw(order, "class order", 1.0)
    top = math.log(TOP_CLASS_SCORE / (1 - TOP_CLASS_SCORE))
    bias[5:] = top - CLASS_BIAS_STEP * order.argsort().argsort()
    return gain, bias
