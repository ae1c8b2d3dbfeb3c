import pytest
import torch

from yolo_perf.errors import UsageError
from yolo_perf.yolov5.model import build
from yolo_perf.yolov5.seeded import fill_seeded
from yolo_perf.yolov5.sizes import SIZES, check_image_size

PARAMETERS = {
    "n": (1_872_157, 1_867_405),
    "s": (7_235_389, 7_225_885),
    "m": (21_190_557, 21_172_173),
    "l": (46_563_709, 46_533_693),
    "x": (86_749_405, 86_705_005),
}


@pytest.mark.parametrize("size", SIZES)
def test_parameters_before_and_after_fusing(size: str) -> None:
    model = build(size)
    before = sum(p.numel() for p in model.parameters())
    after = sum(p.numel() for p in model.fuse().parameters())
    assert (before, after) == PARAMETERS[size]


def test_published_parameter_names() -> None:
    names = list(build("n").state_dict())
    assert names[0] == "model.0.conv.weight"
    assert names[-1] == "model.24.m.2.bias"
    assert "model.24.anchors" in names
    assert "model.9.cv2.bn.running_mean" in names
    assert len(names) == 349


@pytest.mark.parametrize(("height", "width", "rows"), [(640, 640, 25200), (64, 96, 378), (32, 32, 63)])
def test_output_shape(height: int, width: int, rows: int) -> None:
    model = build("n", classes=3, device="meta")
    assert model(torch.empty(2, 3, height, width, device="meta")).shape == (2, rows, 8)


def test_fusing_leaves_the_output() -> None:
    model = build("n")
    fill_seeded(model)
    # A batch norm that does something, so that folding it wrongly would show.
    with torch.inference_mode():
        state = model.state_dict()
        state["model.0.bn.running_mean"].add_(0.3)
        state["model.0.bn.running_var"].mul_(1.7)
        x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
        before = model(x)
        torch.testing.assert_close(model.fuse()(x), before, rtol=1e-3, atol=1e-3)


def test_boxes_are_decoded_from_known_logits() -> None:
    """All logits zero: every box sits in the middle of its cell with its anchor's size."""
    model = build("n", classes=1)
    fill_seeded(model)
    with torch.inference_mode():
        for conv in model.head.m:
            for tensor in conv.parameters():
                tensor.zero_()
        output = model(torch.zeros(1, 3, 64, 96))[0]
    first, second_cell = output[0].tolist(), output[1].tolist()
    assert first == pytest.approx([4, 4, 10, 13, 0.5, 0.5])
    assert second_cell == pytest.approx([12, 4, 10, 13, 0.5, 0.5])
    assert output[12].tolist() == pytest.approx([4, 12, 10, 13, 0.5, 0.5])  # 96 / 8 = 12 cells a row
    assert output[-1].tolist() == pytest.approx([80, 48, 373, 326, 0.5, 0.5])


@pytest.mark.parametrize("wrong", [0, -32, 31, 641])
def test_image_size_must_be_a_multiple_of_32(wrong: int) -> None:
    with pytest.raises(UsageError, match="multiple of 32; try"):
        check_image_size(wrong)


def test_unknown_size() -> None:
    with pytest.raises(UsageError, match=r"'q'.*n, s, m, l, x"):
        build("q")
