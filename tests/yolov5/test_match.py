"""A checkpoint's tensors against an architecture."""

import pytest
import torch
from torch import Tensor

from tests.yolov5.test_checkpoint import STATE
from yolo_perf.errors import CheckpointError
from yolo_perf.yolov5.checkpoint import guess_classes, match_state

EXPECTED = {name: tuple(tensor.shape) for name, tensor in STATE.items()}


@pytest.mark.parametrize("prefix", ["", "module.", "model.", "module.model.", "model.model."])
def test_match_strips_prefixes(prefix: str) -> None:
    matched = match_state({prefix + name: tensor for name, tensor in STATE.items()}, EXPECTED, "a.pt")
    assert list(matched) == list(EXPECTED)
    assert matched["model.0.conv.weight"] is STATE["model.0.conv.weight"]


def test_match_keeps_a_prefix_that_not_all_have() -> None:
    state = {"module." + name: tensor for name, tensor in STATE.items()} | {"other": torch.ones(1)}
    with pytest.raises(CheckpointError, match=r"missing: model\.0\.conv\.weight"):
        match_state(state, EXPECTED, "a.pt")


def test_match_ignores_what_only_some_ages_store() -> None:
    extra = {"model.24.anchor_grid": torch.ones(3), "model.24.stride": torch.ones(3)}
    without = {name: t for name, t in STATE.items() if not name.endswith("num_batches_tracked")}
    assert list(match_state({**without, **extra}, EXPECTED, "a.pt")) == list(without)


def test_match_names_every_kind_of_difference() -> None:
    state = {
        "model.0.conv.weight": torch.ones(2, 3, 6, 6),
        **{f"model.{i}.cv9.weight": torch.ones(1) for i in range(5)},
    }
    with pytest.raises(CheckpointError) as caught:
        match_state(state, EXPECTED, "a.pt")
    assert str(caught.value) == (
        "a.pt is not of the architecture asked for. Tensors 1 missing: model.24.m.0.weight; "
        "5 unexpected: model.0.cv9.weight, model.1.cv9.weight, model.2.cv9.weight and 2 more; "
        "1 of another shape: model.0.conv.weight (2, 3, 6, 6) instead of (2, 3, 2, 2). "
        "Check that the size and the class count are the file's."
    )


@pytest.mark.parametrize(("rows", "classes"), [(255, 80), (18, 1), (21, 2)])
def test_classes_from_the_head(rows: int, classes: int) -> None:
    assert guess_classes({"model.24.m.0.weight": torch.empty(rows, 8, 1, 1)}) == classes


@pytest.mark.parametrize("rows", [0, 3, 15, 254, 256])
def test_rows_that_are_no_class_count(rows: int) -> None:
    with pytest.raises(CheckpointError, match=f"has {rows} rows"):
        guess_classes({"model.24.m.0.weight": torch.empty(rows, 8, 1, 1)}, "a.pt")


@pytest.mark.parametrize("state", [{}, {"model.0.conv.weight": torch.ones(1)}])
def test_classes_without_a_head(state: dict[str, Tensor]) -> None:
    with pytest.raises(CheckpointError, match=r"no model\.24\.m\.0\.weight"):
        guess_classes(state)
