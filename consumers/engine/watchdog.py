"""Ends a worker that is stuck: work is due on its own partitions, everything around it answers, and nothing moves.

Crash-only: the process ends and is started again, which is the one recovery that needs no knowledge of the bug. An outage is
no reason: with Kafka or the database away nothing can move, and a restart would lose the answers that wait to be saved.
A loop that does not even run cannot watch itself: see consumers/loop_guard.py.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from time import monotonic

from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from consumers.engine.state import EngineState
from consumers.errors import StoreUnavailableError
from consumers.ports import Source, Store
from topics.positions import Position

log = logging.getLogger(__name__)

ASK_SECONDS = 5.0
"""For each question, to Kafka and to Postgres."""
LOOKS = 10
"""Looks in the time after which a worker counts as stuck."""


class StuckError(Exception):
    """The worker does not move although it could; the text says since when and with how much in hand."""


class Stillness:
    """How long a count has not changed. Pure; the clock is an argument."""

    __slots__ = ("_count", "_since")

    def __init__(self, *, now: float) -> None:
        self._count = -1
        self._since = now

    def seconds(self, count: int, *, now: float) -> float:
        """Return how long the count has been what it is."""
        if count != self._count:
            self._count = count
            self._since = now
        return now - self._since


def due_records(positions: Mapping[TopicPartition, Position], held: Mapping[TopicPartition, int]) -> int:
    """Count the records that could be worked on: between what is committable here and each log's end. Pure."""
    return sum(max(0, position.end - held.get(at, position.end)) for at, position in positions.items())


class Watchdog:
    """Looks a few times within `stuck_seconds`, and asks around once nothing moved for that long."""

    def __init__(
        self,
        state: EngineState,
        source: Source,
        store: Store,
        *,
        stuck_seconds: float,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._state = state
        self._source = source
        self._store = store
        self._stuck_seconds = stuck_seconds
        self._clock = clock
        self._still = Stillness(now=clock())

    async def run(self) -> None:
        """Watch until cancelled.

        Raises:
            StuckError: the process should end.

        """
        while True:
            await asyncio.sleep(self._stuck_seconds / LOOKS)
            still = self._still.seconds(self._state.progress, now=self._clock())
            if still >= self._stuck_seconds and (due := await self._due()):
                raise StuckError(
                    f"{due} records are due, Kafka and PostgreSQL answer, and nothing was read or settled for {still:.0f} s"
                )

    async def _due(self) -> int:
        """Count the records that are due here; 0 where Kafka or the database does not answer."""
        partitions = self._state.windows.partitions()
        if not partitions:
            return 0
        try:
            async with asyncio.timeout(ASK_SECONDS):
                positions = await self._source.positions(partitions)
            async with asyncio.timeout(ASK_SECONDS):
                await self._store.ping()
        except (KafkaError, OSError, StoreUnavailableError) as error:  # TimeoutError is an OSError
            log.warning("nothing moves, and an outage may be why: %s", error or type(error).__name__)
            return 0
        committable = self._state.windows.committable()
        return due_records(positions, {at: offset for at, (offset, _) in committable.items()})
