"""The queue as `/status` tells it: the group's lag, read at most once a second for all who ask.

State: `_known` is changed under the lock, by whoever asks first after it is old.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

from producer_api.settings import ApiSettings
from topics.connection import KafkaConnectionError
from topics.lag import GroupLag
from topics.lag_reader import LagError, LagReader

FRESH_SECONDS: Final = 1.0
READ_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading, or the sentence that says why there is none; `at` is this process's monotonic clock."""

    lag: GroupLag | None
    why_not: str | None
    at: float


class QueueLag:
    """Reads the lag on demand. Nothing connects before somebody asks."""

    def __init__(self, settings: ApiSettings) -> None:
        self._reader = LagReader(settings, timeout_seconds=READ_SECONDS)
        self._one_at_a_time = asyncio.Lock()
        self._known: Reading | None = None

    async def read(self) -> Reading:
        """Return a reading that is at most FRESH_SECONDS old; a failed one is kept as long, for those who queue up."""
        async with self._one_at_a_time:
            if self._known is None or time.monotonic() - self._known.at > FRESH_SECONDS:
                self._known = await self._take()
            return self._known

    async def stop(self) -> None:
        """Close the connection; safe in every state."""
        await self._reader.close()

    async def _take(self) -> Reading:
        started = time.monotonic()
        try:
            return Reading(await self._reader.read(), None, started)
        except (KafkaConnectionError, LagError) as error:
            return Reading(None, str(error), time.monotonic())
