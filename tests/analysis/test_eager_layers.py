from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.clocks import Clock
from yolo_perf.analysis.eager_layers import ModuleTimer, by_leaf

LEAVES = frozenset({"block.first", "block.again", "block.(own)", "last"})


class Busy(nn.Module):
    """Lasts so long at each call."""

    def __init__(self, clock: Clock, lasts: float):
        super().__init__()
        self.clock, self.lasts = clock, lasts

    def forward(self, x: Tensor) -> Tensor:
        self.clock.now += self.lasts
        return x


class Block(nn.Module):
    """Calls `first` once and `again` three times, and is busy itself for 16 s."""

    def __init__(self, clock: Clock):
        super().__init__()
        self.clock = clock
        self.first = Busy(clock, 1.0)
        self.again = Busy(clock, 2.0)

    def forward(self, x: Tensor) -> Tensor:
        self.clock.now += 4.0
        x = self.again(self.first(x))
        self.clock.now += 12.0
        return self.again(self.again(x))  # type: ignore[no-any-return]


class Tree(nn.Module):
    """A block, a layer after it, a layer that never runs; 64 s of its own."""

    def __init__(self, clock: Clock):
        super().__init__()
        self.clock = clock
        self.block = Block(clock)
        self.last = Busy(clock, 32.0)
        self.idle = Busy(clock, 1000.0)

    def forward(self, x: Tensor) -> Tensor:
        self.clock.now += 64.0
        return self.last(self.block(x))  # type: ignore[no-any-return]


def hooks(model: nn.Module) -> list[Any]:
    return [hook for module in model.modules() for hook in (*module._forward_hooks.values(), *_before(module))]


def _before(module: nn.Module) -> list[Any]:
    return list(module._forward_pre_hooks.values())


def timed(model: nn.Module, timer: ModuleTimer) -> dict[str, float]:
    with timer.installed():
        model(torch.zeros(1))
    return timer.take()


def test_each_module_has_its_own_seconds_without_those_inside() -> None:
    clock = Clock()
    model = Tree(clock)
    assert timed(model, ModuleTimer(model, clock)) == {
        "": 64.0,
        "block": 16.0,
        "block.first": 1.0,
        "block.again": 6.0,  # three calls of 2 s
        "last": 32.0,
    }


@pytest.mark.parametrize("tick", [0.0, 0.25])
def test_own_seconds_add_up_to_the_whole_pass(tick: float) -> None:
    """Six calls, so twelve looks; what looking takes is in someone's seconds, but for the first look."""
    clock = Clock(tick)
    model = Tree(clock)
    started = clock.now
    own = timed(model, ModuleTimer(model, clock))
    assert clock.now - started == 64 + 16 + 1 + 6 + 32 + 14 * tick
    assert sum(own.values()) == clock.now - started - tick


def test_every_take_tells_of_the_passes_since_the_last() -> None:
    clock = Clock()
    model = Tree(clock)
    timer = ModuleTimer(model, clock)
    first = timed(model, timer)
    assert timer.take() == {}
    assert timed(model, timer) == first
    with timer.installed():
        model(torch.zeros(1))
        model(torch.zeros(1))
    assert timer.take() == {name: 2 * seconds for name, seconds in first.items()}


def test_a_pass_without_the_hooks_is_not_timed() -> None:
    clock = Clock(tick=1.0)
    model = Tree(clock)
    timer = ModuleTimer(model, clock)
    with timer.installed():
        pass
    before = clock.now
    model(torch.zeros(1))
    assert clock.now - before == 64 + 16 + 1 + 6 + 32  # nobody looked
    assert timer.take() == {}


def test_a_module_of_two_names_is_hooked_once() -> None:
    clock = Clock()
    shared = Busy(clock, 1.0)
    model = nn.Sequential(shared, shared)
    assert timed(model, ModuleTimer(model, clock)) == {"": 0.0, "0": 2.0}


def test_the_hooks_are_gone_afterwards_and_other_hooks_are_left_alone() -> None:
    clock = Clock()
    model = Tree(clock)
    seen: list[str] = []
    model.last.register_forward_pre_hook(lambda module, inputs: seen.append("before"))
    model.last.register_forward_hook(lambda module, inputs, output: seen.append("after"))
    others = hooks(model)
    timer = ModuleTimer(model, clock)
    with timer.installed():
        assert len(hooks(model)) == len(others) + 2 * len(list(model.modules()))
        model(torch.zeros(1))
    assert hooks(model) == others
    assert len(others) == 2
    model(torch.zeros(1))
    assert seen == ["before", "after"] * 2


def test_the_hooks_are_gone_after_an_interrupted_pass_too() -> None:
    clock = Clock()
    model = Tree(clock)
    timer = ModuleTimer(model, clock)

    def interrupt(module: nn.Module, inputs: Any) -> None:
        raise KeyboardInterrupt

    handle = model.last.register_forward_pre_hook(interrupt)
    with pytest.raises(KeyboardInterrupt), timer.installed():
        model(torch.zeros(1))
    handle.remove()
    assert hooks(model) == []


def test_seconds_by_leaf_and_what_lies_between() -> None:
    own = {"": 64.0, "block": 16.0, "block.first": 1.0, "block.again": 6.0, "last": 32.0}
    seconds, between = by_leaf(own, LEAVES)
    assert seconds == {"block.(own)": 16.0, "block.first": 1.0, "block.again": 6.0, "last": 32.0}
    assert between == 64.0


def test_a_module_that_is_no_leaf_only_calls_others() -> None:
    """A block without operators of its own has no "(own)" leaf: its seconds are dispatch."""
    seconds, between = by_leaf({"": 1.0, "block": 2.0, "block.first": 4.0}, frozenset({"block.first"}))
    assert seconds == {"block.first": 4.0}
    assert between == 3.0


def test_leaves_and_between_partition_the_pass() -> None:
    clock = Clock(tick=0.125)
    model = Tree(clock)
    own = timed(model, ModuleTimer(model, clock))
    seconds, between = by_leaf(own, LEAVES)
    assert sum(seconds.values()) + between == sum(own.values())
    assert set(seconds) == LEAVES
