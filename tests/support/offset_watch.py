"""Watches from outside that no committed offset is ever past a record without its row, and that none goes back.

Offsets are read first and rows after them: a row, once written, stays, so a true system never looks guilty. The row of a
record that is tried again says `retrying`; what its copies wait for is CopyWatch's (tests/support/copy_watch.py).
"""

import asyncio
from collections.abc import Mapping

import asyncpg
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from tests.support.copy_watch import CopyWatch
from tests.support.fleet import pause
from tests.support.system import System

SAMPLE_SECONDS = 0.3
ANSWER_SECONDS = 4.0
ANSWER_MS = 3_000
ROWS_BELOW = """\
SELECT below.partition, count(stored.record_id) AS rows
FROM unnest($2::int[], $3::bigint[]) AS below (partition, committed)
LEFT JOIN outcomes AS stored
    ON stored.source_topic = $1 AND stored.source_partition = below.partition
    AND stored.source_offset < below.committed
GROUP BY below.partition
"""


class OffsetWatch:
    """Samples until it is stopped. A broker or database that is away is no sample; `samples` counts the true ones."""

    def __init__(self, system: System) -> None:
        self.samples = 0
        self.complaints: list[str] = []
        self.committed: dict[int, int] = {}
        """Partition -> the offset that was committed when it was seen last."""
        self._copies = CopyWatch(system.kafka, system.topic)
        self._rewinds = 0
        self._system = system
        self._stopping = asyncio.Event()
        self._admin: AIOKafkaAdminClient | None = None
        self._connection: asyncpg.Connection | None = None
        self._task = asyncio.get_running_loop().create_task(self._run())

    @property
    def copies_behind(self) -> int:
        """Retry copies above the committed offsets, at the last look."""
        return self._copies.behind

    def expect_rewind(self) -> None:
        """Let the offsets go back once: whoever calls this sets them back."""
        self._rewinds += 1

    async def stop(self) -> None:
        """Take a last look, and end; raises what went wrong in it."""
        self._stopping.set()
        await self._task

    async def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                await self._try_to_look()
                await pause(self._stopping, SAMPLE_SECONDS)
            await self._try_to_look()
        finally:
            await self._disconnect()
            await self._copies.stop()

    async def _try_to_look(self) -> None:
        try:
            await self._look()
        except (KafkaError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError):
            await self._disconnect()

    async def _look(self) -> None:
        everywhere = await self._committed()
        committed = {where.partition: offset for where, offset in everywhere.items() if where.topic == self._system.topic}
        connection = await self._connected()
        rows = await self._rows_below(committed, connection)
        await self._copies.look(everywhere, self._admin, connection)
        self.samples += 1
        self._compare(committed)
        self.complaints += [
            f"partition {number}: offset {offset} is committed, but only {rows[number]} records below it have a row"
            for number, offset in committed.items()
            if rows[number] < offset
        ]
        self.complaints += self._copies.complaints
        self._copies.complaints.clear()

    def _compare(self, committed: dict[int, int]) -> None:
        """See that no offset went back since the last sample."""
        before, self.committed = self.committed, committed
        back = [number for number, offset in committed.items() if offset < before.get(number, 0)]
        if back and self._rewinds:
            self._rewinds -= 1
            return
        self.complaints += [
            f"partition {number}: the committed offset went back from {before[number]} to {committed[number]}"
            for number in back
        ]

    async def _committed(self) -> dict[TopicPartition, int]:
        """Partition of any topic -> committed offset, where there is one."""
        if self._admin is None:
            # A deadline of its own: an aiokafka (0.14) that is cancelled while it connects leaves the connection open.
            self._admin = AIOKafkaAdminClient(bootstrap_servers=self._system.kafka, request_timeout_ms=ANSWER_MS)
            await self._admin.start()
        found = await self._admin.list_consumer_group_offsets(self._system.topic)
        return {where: told.offset for where, told in found.items() if told.offset >= 0}

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None:
            self._connection = await asyncpg.connect(
                self._system.database, timeout=ANSWER_SECONDS, command_timeout=ANSWER_SECONDS
            )
        return self._connection

    async def _rows_below(self, committed: Mapping[int, int], connection: asyncpg.Connection) -> dict[int, int]:
        topic, numbers, offsets = self._system.topic, list(committed), list(committed.values())
        rows = await connection.fetch(ROWS_BELOW, topic, numbers, offsets)
        return {row["partition"]: row["rows"] for row in rows}

    async def _disconnect(self) -> None:
        admin, self._admin = self._admin, None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
        if admin is not None:
            await admin.close()
