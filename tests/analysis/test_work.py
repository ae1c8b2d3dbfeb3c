import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from yolo_perf.analysis.roofline import attainable_flops_per_s, bound
from yolo_perf.analysis.work import count
from yolo_perf.records import Peaks, Work
from yolo_perf.yolov5.model import build

# fvcore's figures at 640, and the elements that the two upsamplings write, which fvcore counts as one each.
MACS = {
    "n": (2_234_675_200, 614_400),
    "s": (8_218_009_600, 1_228_800),
    "m": (24_438_067_200, 1_843_200),
    "l": (54_499_328_000, 2_457_600),
    "x": (102_727_168_000, 3_072_000),
}


@pytest.mark.parametrize("size", MACS)
def test_macs_reproduce_the_published_table(size: str) -> None:
    assert count(size).macs == MACS[size][0]


@pytest.mark.parametrize("size", MACS)
def test_the_two_counters_are_reconciled(size: str) -> None:
    """Torch counts convolutions alone, two a multiply-accumulate."""
    model = build(size, device="meta", fused=True)
    with FlopCounterMode(display=False) as counter, torch.inference_mode(False), torch.no_grad():
        model(torch.empty(1, 3, 640, 640, device="meta"))
    macs, upsampled = MACS[size]
    assert counter.get_total_flops() == 2 * (macs - upsampled)


def test_counts_grow_with_the_area() -> None:
    small, large = count("n", image_size=64), count("n", image_size=640)
    assert large.macs == 100 * small.macs
    assert large.other_flops == 100 * small.other_flops
    assert large.activation_bytes == 100 * small.activation_bytes
    assert large.weight_bytes == small.weight_bytes == 4 * 1_867_405


def test_bytes_follow_the_number_format() -> None:
    floats, integers = count("n"), count("n", dtype="int8")
    assert integers.weight_bytes * 4 == floats.weight_bytes
    assert integers.activation_bytes * 4 == floats.activation_bytes
    assert integers.flops == floats.flops


def test_only_index_grids_go_uncounted_and_they_are_named() -> None:
    assert count("n").uncounted == ("aten::meshgrid",)


def test_other_flops_of_the_smallest_case_by_hand() -> None:
    """The head of one class at 32x32: 63 rows of 6, sigmoid 3 each; decoding 8 a row and the grid's shift."""
    eighty, one = count("n", 80, 32), count("n", 1, 32)
    assert eighty.other_flops - one.other_flops == 63 * 79 * 3


def test_bound_and_attainable() -> None:
    peaks = Peaks(flops_per_s={"fp32": 100.0}, bytes_per_s=10.0, threads=1, method="by hand")
    heavy = Work(macs=100, other_flops=0, weight_bytes=10, activation_bytes=10)  # 10 FLOP/B, the ridge itself
    light = Work(macs=50, other_flops=0, weight_bytes=10, activation_bytes=10)  # 5 FLOP/B
    assert (bound(heavy, peaks), bound(light, peaks)) == ("compute", "memory")
    assert attainable_flops_per_s(heavy, peaks) == 100.0
    assert attainable_flops_per_s(light, peaks) == 50.0


def test_work_adds_up() -> None:
    one = Work(macs=1, other_flops=2, weight_bytes=3, activation_bytes=4, uncounted=("b",))
    two = Work(macs=10, other_flops=20, weight_bytes=30, activation_bytes=40, uncounted=("a", "b"))
    both = one + two
    assert both.flops == one.flops + two.flops == 2 * 11 + 22
    assert both.compulsory_bytes == 77
    assert both.uncounted == ("a", "b")
