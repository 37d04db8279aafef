"""When a part that ended by itself is started again, and when that makes no sense any more. Pure; the clock is an argument.

Every part is started again, Kafka and PostgreSQL included: the workers are crash-only (restart is their recovery path), the
others live through an outage of Kafka or the database, and ending the whole stack would turn one part's crash into the end
of every call in flight. What keeps crashing is not mended by starting it: then the stack ends and shows the log.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

CRASH_LIMIT: Final = 5
CRASH_WINDOW_SECONDS: Final = 60.0
FIRST_DELAY_SECONDS: Final = 0.5
LONGEST_DELAY_SECONDS: Final = 8.0


@dataclass(frozen=True, slots=True)
class StartAgain:
    """Start the part again after a pause."""

    delay_seconds: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The part crashed so often in so short a time that the stack ends."""

    crashes: int
    window_seconds: float


@dataclass(slots=True)
class Restarts:
    """The crashes of one part within the window, oldest first; mutated by the task that keeps the part."""

    crashes: deque[float] = field(default_factory=deque)

    def crashed(self, now_seconds: float) -> StartAgain | GiveUp:
        """Count one crash, and decide: a pause that doubles with each crash in the window, or the end at the fifth."""
        self.crashes.append(now_seconds)
        while self.crashes[0] <= now_seconds - CRASH_WINDOW_SECONDS:
            self.crashes.popleft()
        count = len(self.crashes)
        if count >= CRASH_LIMIT:
            return GiveUp(count, CRASH_WINDOW_SECONDS)
        return StartAgain(min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** (count - 1)))
