"""How a worker's slots spend their time. Pure; the clock is an argument. Mutated by whoever takes or frees a slot.

Time-weighted, so that utilisation is true between two scrapes as well: calling + gated + idle = slots x time, always.
"""


class SlotTime:
    """Slot-seconds by state since the start.

    `calling` with a call running, `gated` free with a ready record and a closed gate between them, `idle` the others.
    """

    __slots__ = ("_calling", "_gated", "_now", "_slots", "calling_seconds", "gated_seconds", "idle_seconds")

    def __init__(self, *, slots: int, now: float) -> None:
        self._slots = slots
        self._now = now
        self._calling = 0
        self._gated = 0
        self.calling_seconds = 0.0
        self.gated_seconds = 0.0
        self.idle_seconds = 0.0

    def advance(self, now: float) -> None:
        """Account for the time until now. Idempotent."""
        passed = now - self._now
        self.calling_seconds += passed * self._calling
        gated = min(self._gated, self._slots - self._calling)
        self.gated_seconds += passed * gated
        self.idle_seconds += passed * (self._slots - self._calling - gated)
        self._now = now

    def gate(self, records: int, now: float) -> None:
        """Note how many ready records a closed gate keeps from their slots."""
        if records != self._gated:
            self.advance(now)
            self._gated = records

    def take(self, now: float) -> None:
        """Note that a slot was taken."""
        self.advance(now)
        self._calling += 1

    def free(self, now: float) -> None:
        """Note that a slot was freed."""
        self.advance(now)
        self._calling -= 1
