"""Deletes outcomes and dead letters that are older than they are to be kept, in small steps, in one API process at a time.

An outcome goes only when no log holds a copy of its record any more: the row is what keeps that copy from being called for.
So a sweep deletes what was settled before the oldest record of any log was appended, as it was seen one look earlier: who
has read a record (a replay) looks for its row long before the next look.

1. A replay reads a record that is the last of its segment.
2. Kafka deletes the segment, and the oldest record of the logs is a day younger at once.
3. A sweep that used that knowledge now would delete the record's row, and the replay would find none and call again.

A table is swept page by page, not by an index: no insert pays for it, and no step holds locks for long.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import asyncpg
from aiokafka.errors import KafkaError
from prometheus_client import Counter

from producer_api.outcomes import AWAY, CONNECT_SECONDS, SQL
from producer_api.settings import ApiSettings
from topics.oldest import oldest_record_ms

LOOK_SECONDS: Final = 600.0
"""Between two looks at the logs; a sweep follows each but the first."""
MARGIN: Final = timedelta(hours=1)
"""How far the clocks of brokers and database may differ."""
PAGES: Final = 32
"""Of 8 KiB, a step: some 1,000 rows at the most."""
REST_FACTOR: Final = 4
"""A step is followed by a rest of so many times its duration: a fifth of one database process at the most."""
STEP_SECONDS: Final = 30.0
LOCK: Final = "SELECT pg_try_advisory_lock(hashtext('tokenflow retention'))"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Table:
    """What is swept. `days`: how long its rows are kept; `guards`: they keep copies in the logs from being called for."""

    name: str
    days: float
    guards: bool


@dataclass(slots=True)
class Retention:
    """The task of one process; another that has the lock keeps this one idle. `run` until cancelled."""

    settings: ApiSettings
    pruned: Counter
    look_seconds: float = LOOK_SECONDS
    margin: timedelta = MARGIN
    oldest: Callable[[], Awaitable[int]] | None = None
    _seen_before: datetime | None = field(default=None, init=False)

    @property
    def tables(self) -> list[Table]:
        """Dead letters first: an outcome goes only when its dead letter is gone."""
        tables = (
            Table("dead_letters", self.settings.dead_letters_retention_days, guards=False),
            Table("outcomes", self.settings.outcomes_retention_days, guards=True),
        )
        return [table for table in tables if table.days]

    async def run(self) -> None:
        """Look and sweep until cancelled; returns at once where everything is kept for ever."""
        if not self.tables:
            return
        while True:
            try:
                await self._hold_and_sweep()
            except AWAY as error:
                log.warning("retention waits for the database: %r", error)
            self._seen_before = None
            await asyncio.sleep(self.look_seconds)

    async def _hold_and_sweep(self) -> None:
        """Sweep after each look for as long as this process has the lock; return at once where another has it."""
        connection = await asyncpg.connect(
            self.settings.database_url.get_secret_value(),
            timeout=CONNECT_SECONDS,
            command_timeout=STEP_SECONDS,
            server_settings={"application_name": "tokenflow-retention"},
        )
        try:
            if not await connection.fetchval(LOCK):
                return
            while True:
                await self._look_and_sweep(connection)
                await asyncio.sleep(self.look_seconds)
        finally:
            connection.terminate()

    async def _look_and_sweep(self, connection: Any) -> None:
        try:
            oldest_ms = await (self.oldest or self._oldest)()
        except (KafkaError, OSError) as error:
            log.warning("retention deletes nothing, for nobody tells how far the logs go back: %r", error)
            self._seen_before = None
            return
        before, self._seen_before = self._seen_before, datetime.fromtimestamp(oldest_ms / 1000, UTC)
        if before is not None:
            for table in self.tables:
                await self._sweep(connection, table, settled_before=min(before, self._seen_before) - self.margin)

    async def _oldest(self) -> int:
        return await oldest_record_ms(self.settings)

    async def _sweep(self, connection: Any, table: Table, *, settled_before: datetime) -> None:
        pages = await connection.fetchval(_read("count_pages"), table.name)
        prune, how_old = _read(f"prune_{table.name}"), [table.days, *([settled_before] if table.guards else [])]
        deleted, clock = 0, asyncio.get_running_loop()
        for first in range(0, pages, PAGES):
            began = clock.time()
            status = await connection.execute(prune, f"({first},0)", f"({first + PAGES},0)", *how_old)
            count = int(status.rpartition(" ")[2])
            deleted += count
            self.pruned.labels(table.name).inc(count)
            await asyncio.sleep(REST_FACTOR * (clock.time() - began))
        if deleted:
            log.info("retention deleted %d rows of %s that were older than %g days", deleted, table.name, table.days)


def _read(name: str) -> str:
    return (SQL / f"{name}.sql").read_text()
