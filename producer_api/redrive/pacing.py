"""How fast an operation goes: evenly, without a burst. Pure; the clock is an argument."""

from dataclasses import dataclass
from typing import Final

BATCH: Final = 500
"""Dead letters that a transaction takes; what a stop waits for."""
BATCH_SECONDS: Final = 1.0


@dataclass(slots=True)
class Pace:
    """Slots of time at `per_second`; None is no limit. A slot that was missed is lost, never made up for."""

    per_second: float | None
    next_at: float = 0.0

    def wait_seconds(self, now: float) -> float:
        """Take the next slot; return how long to wait for it."""
        if self.per_second is None:
            return 0.0
        at = max(now, self.next_at)
        self.next_at = at + 1 / self.per_second
        return at - now

    @property
    def batch(self) -> int:
        """How many to take at once: what a second has room for, so that a stop is soon done."""
        if self.per_second is None:
            return BATCH
        return max(1, min(BATCH, int(self.per_second * BATCH_SECONDS)))
