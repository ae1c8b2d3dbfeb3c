"""A clock for tests."""


class Clock:
    """Moves only when told to, and by a tick at every look."""

    def __init__(self, tick: float = 0.0):
        self.now, self.tick = 100.0, tick

    def __call__(self) -> float:
        self.now += self.tick
        return self.now
