"""One process of `tools/independence.py`: measures cases as a session does, round by round when it is told to.

Orders come as lines of JSON on stdin, answers go to what stdout was.
"""

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from yolo_perf.analysis.bench import Bench
from yolo_perf.analysis.rounds import Plan
from yolo_perf.backends.registry import find
from yolo_perf.errors import YoloPerfError
from yolo_perf.pairing.worker import die_with, host
from yolo_perf.settings import Settings

Order = dict[str, Any]


class Child:
    """A bench, and the orders that it is asked."""

    def __init__(self, orders: TextIO, answers: TextIO):
        self._orders, self._answers = orders, answers
        self._bench: Bench | None = None

    def serve(self) -> None:
        """Answer orders until there are no more."""
        while order := self._next():
            try:
                getattr(self, f"do_{order['do']}")(order)
            except YoloPerfError as error:
                self._answer(unavailable=str(error))

    def do_open(self, order: Order) -> None:
        """A session's bench."""
        data = Path(order["data"]) if order["data"] else None
        settings = Settings(sizes=tuple(order["sizes"]), data=data, allocator=order["allocator"])
        self._bench = Bench(settings)
        self._answer(allocator=self._bench.allocator)

    def do_history(self, order: Order) -> None:
        """Measure a case as a session does, with a few rounds: what is left of it is the history of the next."""

        def rounds(target: Callable[[], object], plan: Plan) -> tuple[float, ...]:
            return tuple(self._round(target) for _ in range(plan.warmup_rounds + order["rounds"]))

        self._measure(order, rounds)
        self._answer()

    def do_case(self, order: Order) -> None:
        """Measure a case, each round when it is asked for, until another order comes."""

        def rounds(target: Callable[[], object], plan: Plan) -> tuple[float, ...]:
            for _ in range(plan.warmup_rounds):
                target()
            self._answer(seconds=self._round(target))
            seconds = []
            while self._next()["do"] == "round":
                before = host.read()
                seconds.append(self._round(target))
                self._answer(seconds=seconds[-1], faults=host.read().since(before).page_faults)
            return tuple(seconds) or (1.0,)

        self._measure(order, rounds)
        self._answer()

    def _measure(self, order: Order, rounds: Callable[[Callable[[], object], Plan], tuple[float, ...]]) -> None:
        assert self._bench is not None  # `open` came first
        self._bench.measure(order["size"], find(order["optimization"]), "", rounds)

    def _round(self, target: Callable[[], object]) -> float:
        started = time.perf_counter()
        target()
        return time.perf_counter() - started

    def _next(self) -> Order:
        line = self._orders.readline()
        found: Order = json.loads(line) if line else {}
        return found

    def _answer(self, **found: object) -> None:
        self._answers.write(json.dumps(found) + "\n")


def main() -> None:
    """Serve the process that started this one, and end with it."""
    die_with(int(sys.argv[1]))
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    gc.disable()
    Child(sys.stdin, answers).serve()


if __name__ == "__main__":
    main()
