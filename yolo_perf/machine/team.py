"""Threads that measure together, each on a core of its own where the system allows that."""

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
Meet = Callable[[], object]
"""Waits until every thread of the team has come here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """So many threads, and the CPUs that they may be pinned to: one for each physical core."""

    threads: int
    cpus: tuple[int, ...]

    @property
    def pinned(self) -> bool:
        """Whether each thread gets a core of its own."""
        return sys.platform == "linux" and self.threads <= len(self.cpus)

    def __str__(self) -> str:
        many = f"{self.threads} thread{'' if self.threads == 1 else 's'}"
        return f"{many}, {'one a core' if self.pinned else 'not pinned'}"

    def run(self, work: Callable[[Meet], T]) -> list[T]:
        """Results of `work(meet)`, one a thread. Where one fails the others are released, and it is raised.

        The threads, and with them their affinity, end here.
        """
        barrier = threading.Barrier(self.threads)

        def place_and_work(number: int) -> T:
            try:
                self._place(number)
                return work(barrier.wait)
            except BaseException:
                barrier.abort()  # the others must not wait for a thread that is gone
                raise

        with ThreadPoolExecutor(self.threads) as pool:
            futures = [pool.submit(place_and_work, number) for number in range(self.threads)]
        errors = [error for future in futures if (error := future.exception()) is not None]
        # The cause comes before those whom it made give up.
        for error in sorted(errors, key=lambda each: isinstance(each, threading.BrokenBarrierError)):
            raise error
        return [future.result() for future in futures]

    def _place(self, number: int) -> None:
        if sys.platform == "linux" and self.pinned:
            os.sched_setaffinity(0, {self.cpus[number]})  # 0 is the calling thread, not the process
