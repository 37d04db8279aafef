"""How a worker's slots spend their time. Pure; the clock is an argument. Mutated by whoever takes or frees a slot.

Time-weighted, so that utilisation is true between two scrapes as well: calling + idle = slots x time, always.
"""


class SlotTime:
    """Slot-seconds by state since the start: `calling` with a call running, `idle` without."""

    __slots__ = ("_calling", "_now", "_slots", "calling_seconds", "idle_seconds")

    def __init__(self, *, slots: int, now: float) -> None:
        self._slots = slots
        self._now = now
        self._calling = 0
        self.calling_seconds = 0.0
        self.idle_seconds = 0.0

    def advance(self, now: float) -> None:
        """Account for the time until now. Idempotent."""
        passed = now - self._now
        self.calling_seconds += passed * self._calling
        self.idle_seconds += passed * (self._slots - self._calling)
        self._now = now

    def take(self, now: float) -> None:
        """Note that a slot was taken."""
        self.advance(now)
        self._calling += 1

    def free(self, now: float) -> None:
        """Note that a slot was freed."""
        self.advance(now)
        self._calling -= 1
