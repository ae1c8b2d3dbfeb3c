"""The blocks that YOLOv5 v6/v7 is made of, under upstream's attribute names.

Attribute names (`conv`, `bn`, `cv1`, `m`, ...) are the keys of every published checkpoint, so they are part of
the interface. All blocks take and return NCHW tensors.
"""

import torch
from torch import Tensor, nn

BATCH_NORM_EPS = 1e-3


class Conv2d(nn.Conv2d):
    """torch's convolution without its default random fill: weights come from a checkpoint or from `seeded`."""

    def reset_parameters(self) -> None:
        """Leave the memory as it is: filling 87 M parameters only to overwrite them costs seconds."""


class Conv(nn.Module):
    """Convolution, batch norm, SiLU. `fuse` folds the batch norm into the convolution."""

    def __init__(self, c_in: int, c_out: int, kernel: int = 1, stride: int = 1, padding: int | None = None):
        super().__init__()
        padding = kernel // 2 if padding is None else padding
        self.conv: nn.Conv2d = Conv2d(c_in, c_out, kernel, stride, padding, bias=False)
        self.bn: nn.BatchNorm2d | nn.Identity = nn.BatchNorm2d(c_out, eps=BATCH_NORM_EPS, momentum=0.03)
        self.act = nn.SiLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(N, c_in, H, W) to (N, c_out, H/stride, W/stride)."""
        return self.act(self.bn(self.conv(x)))  # type: ignore[no-any-return]

    def fuse(self) -> None:
        """Fold the batch norm's scale and shift into the convolution's weight and a new bias."""
        if not isinstance(self.bn, nn.Identity):
            self.conv = nn.utils.fuse_conv_bn_eval(self.conv, self.bn)
            self.bn = nn.Identity()

    def drop_norm(self) -> None:
        """Take the fused structure without computing it: an uninitialised bias, no batch norm."""
        conv = self.conv
        size, stride, padding = conv.kernel_size[0], conv.stride[0], conv.padding[0]
        assert isinstance(padding, int)  # noqa: S101 - torch's stub allows a word there
        self.conv = Conv2d(conv.in_channels, conv.out_channels, size, stride, padding, bias=True)
        self.bn = nn.Identity()


class Bottleneck(nn.Module):
    """1x1 then 3x3 convolution, with a residual connection where `shortcut`."""

    def __init__(self, channels: int, shortcut: bool):
        super().__init__()
        self.cv1 = Conv(channels, channels, 1)
        self.cv2 = Conv(channels, channels, 3)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        y: Tensor = self.cv2(self.cv1(x))
        return x + y if self.shortcut else y


class C3(nn.Module):
    """Cross-stage partial block: half of the channels pass `depth` bottlenecks, the other half passes by."""

    def __init__(self, c_in: int, c_out: int, depth: int, shortcut: bool = True):
        super().__init__()
        hidden = c_out // 2
        self.cv1 = Conv(c_in, hidden)
        self.cv2 = Conv(c_in, hidden)
        self.cv3 = Conv(2 * hidden, c_out)
        self.m = nn.Sequential(*(Bottleneck(hidden, shortcut) for _ in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        """(N, c_in, H, W) to (N, c_out, H, W)."""
        return self.cv3(torch.cat((self.m(self.cv1(x)), self.cv2(x)), 1))  # type: ignore[no-any-return]


class SPPF(nn.Module):
    """Spatial pyramid pooling, the fast form: one max-pool applied three times, all four stages kept."""

    def __init__(self, c_in: int, c_out: int, kernel: int = 5):
        super().__init__()
        hidden = c_in // 2
        self.cv1 = Conv(c_in, hidden)
        self.cv2 = Conv(hidden * 4, c_out)
        self.m = nn.MaxPool2d(kernel, stride=1, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, c_in, H, W) to (N, c_out, H, W)."""
        x = self.cv1(x)
        once = self.m(x)
        twice = self.m(once)
        return self.cv2(torch.cat((x, once, twice, self.m(twice)), 1))  # type: ignore[no-any-return]


class Concat(nn.Module):
    """Concatenation of feature maps along channels."""

    def forward(self, xs: list[Tensor]) -> Tensor:
        """[(N, C_i, H, W), ...] to (N, sum C_i, H, W)."""
        return torch.cat(xs, 1)


class Detect(nn.Module):
    """The detection head: one 1x1 convolution a level, decoded into boxes in input pixels.

    A row of the output is (centre x, centre y, width, height, objectness, class scores...), scores after
    their sigmoid. `anchors` is the checkpoint's buffer: (levels, anchors, 2) in units of the level's stride.
    """

    def __init__(
        self,
        classes: int,
        channels: tuple[int, ...],
        strides: tuple[int, ...],
        anchors_px: tuple[tuple[int, ...], ...],
    ):
        super().__init__()
        self.strides = strides
        self.anchors_per_level = len(anchors_px[0]) // 2
        self.row_length = classes + 5
        self.m = nn.ModuleList(Conv2d(c, self.row_length * self.anchors_per_level, 1) for c in channels)
        pixels = torch.tensor(anchors_px, dtype=torch.float32).view(len(strides), -1, 2)
        self.anchors: Tensor
        self.register_buffer("anchors", pixels / torch.tensor(strides, dtype=torch.float32).view(-1, 1, 1))

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Feature maps [(N, C_i, H_i, W_i), ...] to (N, sum of anchors x H_i x W_i, 5 + classes)."""
        return self.decode([conv(x) for conv, x in zip(self.m, levels, strict=True)])

    def decode(self, raw: list[Tensor]) -> Tensor:
        """The convolutions' maps [(N, anchors x (5 + classes), H_i, W_i), ...] to rows as of `forward`."""
        return torch.cat([self._decode(level, each) for level, each in enumerate(raw)], 1)

    def _decode(self, level: int, raw: Tensor) -> Tensor:
        """One level's raw map to rows. Every size but the batch is a constant of the traced graph."""
        height, width = int(raw.shape[2]), int(raw.shape[3])
        shape = (-1, self.anchors_per_level, self.row_length, height, width)
        scores = raw.view(shape).permute(0, 1, 3, 4, 2).sigmoid()
        grid, anchors = self._grid(level, height, width, raw)
        stride = float(self.strides[level])
        centre, size, rest = torch.split(scores, [2, 2, self.row_length - 4], 4)
        centre = centre * (2 * stride) + (grid - 0.5) * stride
        size = (size * 2) ** 2 * anchors
        rows = self.anchors_per_level * height * width
        return torch.cat((centre, size, rest), 4).reshape(-1, rows, self.row_length)

    def _grid(self, level: int, height: int, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Cell indices (1, 1, H, W, 2) and anchors in pixels (1, A, 1, 1, 2)."""
        y, x = torch.meshgrid(
            torch.arange(height, device=like.device, dtype=like.dtype),
            torch.arange(width, device=like.device, dtype=like.dtype),
            indexing="ij",
        )
        anchors = self.anchors[level] * self.strides[level]
        return torch.stack((x, y), 2)[None, None], anchors.to(like.dtype).view(1, -1, 1, 1, 2)
