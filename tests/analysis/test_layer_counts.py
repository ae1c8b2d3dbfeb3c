from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from yolo_perf.analysis.roofline import roof_seconds
from yolo_perf.analysis.work import OWN, LayerCount, count, layer_counts
from yolo_perf.errors import UsageError
from yolo_perf.records import Peaks, Work
from yolo_perf.yolov5.model import build

SILU = LayerCount(  # by hand: 16 channels of 16x16
    name="model.0.act",
    operators={"silu_": 1},
    macs=0,
    flops={"silu_": 4 * 4096},
    bytes=0,
    pointwise_bytes=2 * 4 * 4096,
    weight_bytes=0,
)


@pytest.fixture
def traced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The sizes that were traced, in an empty cache folder; a trace finds two layers at no cost."""
    found: list[str] = []

    def trace(size: str, classes: int) -> tuple[LayerCount, ...]:
        found.append(size)
        return (SILU, replace(SILU, name="model.1.act", uncounted={"aten::odd": 1}))

    monkeypatch.setattr("yolo_perf.analysis.work._trace", trace)
    monkeypatch.setenv("YOLO_PERF_CACHE", str(tmp_path))
    layer_counts.cache_clear()
    yield found
    layer_counts.cache_clear()


def layer(name: str, size: str = "n") -> LayerCount:
    (found,) = (each for each in layer_counts(size) if each.name == name)
    return found


def macs_below(block: str, size: str) -> int:
    return sum(each.macs for each in layer_counts(size) if each.name.startswith(f"{block}."))


def test_names_are_unique_and_in_the_order_of_the_definition() -> None:
    names = [each.name for each in layer_counts("n")]
    assert len(set(names)) == len(names) == 141
    assert names[:6] == [
        "model.0.conv",
        "model.0.act",
        "model.1.conv",
        "model.1.act",
        f"model.2.{OWN}",
        "model.2.cv1.conv",
    ]
    assert names[-4:] == [f"model.24.{OWN}", "model.24.m.0", "model.24.m.1", "model.24.m.2"]
    numbers = [int(name.split(".")[1]) for name in names]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(25))


@pytest.mark.parametrize(("image_size", "area"), [(32, 1), (640, 400)])
def test_the_layers_sum_to_the_whole(image_size: int, area: int) -> None:
    layers = layer_counts("n")
    whole = count("n", image_size=image_size)
    assert whole.macs == area * sum(each.macs for each in layers)
    assert whole.other_flops == area * sum(sum(each.flops.values()) for each in layers)
    assert whole.weight_bytes == sum(each.weight_bytes for each in layers) == 4 * 1_867_405
    assert whole.activation_bytes == area * sum(each.bytes for each in layers)
    apart = [each.work(image_size) for each in layers]
    assert sum(work.macs for work in apart) == whole.macs
    moved_more = sum(work.activation_bytes for work in apart) - whole.activation_bytes
    assert moved_more == area * sum(each.pointwise_bytes for each in layers) > 0


@pytest.mark.parametrize(
    ("size", "utilization", "block", "share", "product"),
    [
        ("n", 16.96, "model.6", "11.14", "1.89"),
        ("n", 16.96, "model.6.m", "8.80", "1.49"),
        ("n", 16.96, "model.4", "8.21", "1.39"),
        ("s", 30.50, "model.6", "12.12", "3.70"),
        ("s", 30.50, "model.6.m", "9.57", "2.92"),
        ("s", 30.50, "model.4", "8.93", "2.72"),
    ],
)
def test_published_layer_utilizations_are_shares_of_macs_times_the_models(
    size: str, utilization: float, block: str, share: str, product: str
) -> None:
    """The published analysis scales the model's utilisation by each block's share of multiply-accumulates."""
    fraction = macs_below(block, size) / sum(each.macs for each in layer_counts(size))
    assert f"{100 * fraction:.2f}" == share
    assert f"{utilization * fraction:.2f}" == product


def test_every_convolution_agrees_with_torchs_own_counter() -> None:
    """Torch counts convolutions alone, two a multiply-accumulate; upsampling (11 and 15) is not among them."""
    model = build("n", device="meta", fused=True)
    counter = FlopCounterMode(display=False)
    with counter, torch.inference_mode(False), torch.no_grad():
        model(torch.empty(1, 3, 32, 32, device="meta"))
    by_module = {
        name.partition(".")[2]: sum(counts.values()) for name, counts in counter.get_flop_counts().items()
    }
    compared = 0
    for each in layer_counts("n"):
        if "_convolution" in each.operators:
            assert 2 * each.macs == by_module[each.name], each.name
            compared += 1
    assert compared == 60
    for block in ("model.2", "model.6.m", "model.24"):
        assert 2 * macs_below(block, "n") == by_module[block]


def test_a_convolution_by_hand() -> None:
    """6x6, stride 2, 3 to 16 channels: 32x32 becomes 16x16."""
    outputs = 16 * 16 * 16
    assert layer("model.0.conv") == LayerCount(
        name="model.0.conv",
        operators={"_convolution": 1},
        macs=outputs * 3 * 6 * 6,
        flops={},
        bytes=4 * (3 * 32 * 32 + outputs),
        pointwise_bytes=0,
        weight_bytes=4 * (16 * 3 * 6 * 6 + 16),
    )


def test_an_activation_by_hand() -> None:
    """SiLU in place: exp, add, divide, multiply; by itself it reads and writes every element."""
    assert layer("model.0.act") == SILU


def test_a_pool_that_is_called_three_times_by_hand() -> None:
    """5x5 over 128 channels of one pixel: 24 comparisons an element."""
    pool = layer("model.9.m")
    assert pool.operators == {"max_pool2d": 3}
    assert (pool.macs, pool.flops) == (0, {"max_pool2d": 3 * 24 * 128})
    assert (pool.bytes, pool.pointwise_bytes) == (3 * 4 * 2 * 128, 0)


def test_upsampling_concatenation_and_a_residual_sum_by_hand() -> None:
    upsampled, joined, summed = layer("model.11"), layer("model.12"), layer(f"model.2.m.0.{OWN}")
    assert (upsampled.macs, upsampled.bytes) == (128 * 2 * 2, 4 * (128 + 128 * 2 * 2))
    assert (joined.macs, joined.flops, joined.bytes) == (0, {}, 2 * 4 * 256 * 2 * 2)
    elements = 16 * 8 * 8
    assert summed.flops == {"add": elements}
    assert (summed.bytes, summed.pointwise_bytes) == (4 * elements, 2 * 4 * elements)  # 3 x 4 bytes by itself


def test_work_by_itself_and_folded() -> None:
    alone, folded = SILU.work(64), SILU.work(64, folded=True)
    assert alone == Work(macs=0, other_flops=4 * 16384, weight_bytes=0, activation_bytes=4 * 32768)
    assert folded == Work(macs=0, other_flops=4 * 16384, weight_bytes=0, activation_bytes=0)


def test_work_follows_area_and_number_format_but_weights_only_the_format() -> None:
    convolution = layer("model.0.conv")
    small, large, narrow = (convolution.work(32), convolution.work(320), convolution.work(320, "int8"))
    assert (large.macs, large.activation_bytes) == (100 * small.macs, 100 * small.activation_bytes)
    assert large.weight_bytes == small.weight_bytes == 4 * narrow.weight_bytes
    assert large.activation_bytes == 4 * narrow.activation_bytes
    assert large.flops == narrow.flops
    assert convolution.work(32, "bf16").activation_bytes * 2 == small.activation_bytes


def test_what_has_no_rule_is_named_in_its_layers_work() -> None:
    odd = LayerCount(
        name="odd",
        operators={},
        macs=1,
        flops={},
        bytes=4,
        pointwise_bytes=0,
        weight_bytes=0,
        uncounted={"aten::b": 2, "aten::a": 1},
    )
    assert odd.work(32).uncounted == ("aten::a", "aten::b")


def test_mistakes_are_the_users() -> None:
    with pytest.raises(UsageError, match="Unknown model size 'q'"):
        layer_counts("q")
    with pytest.raises(UsageError, match="33 is not a positive multiple"):
        SILU.work(33)


def test_layers_are_counted_once_and_then_read_from_the_file(traced: list[str], tmp_path: Path) -> None:
    first = layer_counts("n")
    assert layer_counts("n") is first  # a process reads it once
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes().replace(b'"model.0.act"', b'"from the file"'))
    layer_counts.cache_clear()
    assert layer_counts("n") == (replace(SILU, name="from the file"), first[1])
    assert traced == ["n"]


def test_each_size_and_number_of_classes_has_a_file_of_its_own(traced: list[str], tmp_path: Path) -> None:
    for size, classes in (("n", 80), ("n", 1), ("s", 80), ("n", 80)):
        layer_counts(size, classes)
    assert traced == ["n", "n", "s"]
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("what", ["source_digest", "version"])
def test_changed_sources_or_versions_are_another_file(
    traced: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    layer_counts("n")
    monkeypatch.setattr(f"yolo_perf.analysis.work.{what}", lambda _: "changed")
    layer_counts.cache_clear()
    layer_counts("n")
    assert traced == ["n", "n"]
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    "damage", [b"[", b"\xff\xfe", b"null", b'[{"name":"model.0.act"}]', b'[{"name":"\xff', b""]
)
def test_a_damaged_file_is_built_anew(traced: list[str], tmp_path: Path, damage: bytes) -> None:
    first = layer_counts("n")
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage)
    layer_counts.cache_clear()
    assert layer_counts("n") == first
    assert traced == ["n", "n"]
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == whole


def test_the_head_of_one_class_by_hand() -> None:
    """3 x (1 + 5) outputs from 64, 128 and 256 channels at 16, 4 and 1 cells; all else is the same."""
    eighty, one = layer_counts("n"), layer_counts("n", 1)
    assert eighty[:-4] == one[:-4]
    assert [each.macs for each in one[-3:]] == [64 * 18 * 16, 128 * 18 * 4, 256 * 18 * 1]
    assert [each.weight_bytes for each in one[-3:]] == [4 * 18 * (inputs + 1) for inputs in (64, 128, 256)]


def test_the_least_time_is_that_of_the_lower_roof() -> None:
    peaks = Peaks(flops_per_s={"fp32": 100.0, "int8": 400.0}, bytes_per_s=10.0, threads=1, method="by hand")
    heavy = Work(macs=500, other_flops=0, weight_bytes=10, activation_bytes=10)
    light = Work(macs=50, other_flops=0, weight_bytes=10, activation_bytes=10)
    assert roof_seconds(heavy, peaks) == 10.0  # 1000 FLOP; 20 bytes would take 2 s
    assert roof_seconds(light, peaks) == 2.0  # 100 FLOP would take 1 s
    assert roof_seconds(heavy, peaks, "int8") == 2.5
    ridge = Work(macs=100, other_flops=0, weight_bytes=10, activation_bytes=10)
    assert roof_seconds(ridge, peaks) == 2.0
