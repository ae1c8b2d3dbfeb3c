"""Times of a PyTorch model's layers, by hooks around every module's forward."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING, Any

from yolo_perf.analysis.timing import Clock
from yolo_perf.analysis.work import OWN

if TYPE_CHECKING:
    from torch import nn


class ModuleTimer:
    """Collects the looks at the clock of one forward pass, and turns them into each module's own seconds."""

    def __init__(self, model: "nn.Module", clock: Clock = time.perf_counter):
        self.model = model
        self._modules = list(model.named_modules())
        self._clock = clock
        self._looks: list[tuple[int, float]] = []  # (index, when) on entry; (~index, when) on leaving

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Hooks on every module while it lasts; other hooks are left alone."""
        handles = []
        looks, clock = self._looks, self._clock
        for index, (_, module) in enumerate(self._modules):

            def enter(module: "nn.Module", inputs: Any, index: int = index) -> None:
                looks.append((index, clock()))

            def leave(module: "nn.Module", inputs: Any, output: Any, index: int = index) -> None:
                looks.append((~index, clock()))

            handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def take(self) -> dict[str, float]:
        """Own seconds of every module that ran since the last call, without those of the modules inside it.

        They add up to the whole pass. A module that ran several times has the sum.
        """
        own: dict[str, float] = {}
        stack: list[tuple[int, float, float]] = []  # index, entered, seconds of the modules inside
        for look, when in self._looks:
            if look >= 0:
                stack.append((look, when, 0.0))
                continue
            index, entered, inside = stack.pop()
            name = self._modules[index][0]
            own[name] = own.get(name, 0.0) + when - entered - inside
            if stack:
                outer = stack[-1]
                stack[-1] = (outer[0], outer[1], outer[2] + when - entered)
        self._looks.clear()
        return own


def hook_cost(calls: int = 2000) -> float:
    """Seconds that the two hooks add to one call of a module: an empty module with them, and without."""
    from torch import nn

    timer = ModuleTimer(nn.Identity())
    module = timer.model

    def seconds() -> float:
        started = time.perf_counter()
        for _ in range(calls):
            module(None)
        return time.perf_counter() - started

    found = []
    for _ in range(5):
        bare = seconds()
        with timer.installed():
            found.append(seconds() - bare)
        timer.take()
    return max(0.0, median(found)) / calls


def by_leaf(own: dict[str, float], leaves: frozenset[str]) -> tuple[dict[str, float], float]:
    """Own seconds of modules as seconds of leaves, and what is left: modules that only call others."""
    seconds: dict[str, float] = {}
    between = 0.0
    for module, spent in own.items():
        leaf = module if module in leaves else f"{module}.{OWN}"
        if leaf in leaves:
            seconds[leaf] = seconds.get(leaf, 0.0) + spent
        else:
            between += spent
    return seconds, between
