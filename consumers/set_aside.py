"""Records that an operator set aside by their coordinates: no worker looks at their bytes any more.

`tokenflow dlq set-aside` stores the outcome, so the done-set check skips the record like any other that is final. But a
record may be such that reading its value is what ends a worker (a TOKEN_PATTERN that never comes to an end, a bug of ours),
and the check comes after that. So the coordinates are asked for before the first poll of a partition, and such a record is
admitted under the id and token of its row without a look at it. A record that is set aside later is left to the check;
whoever it ends knows it when it starts again.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping
from typing import Protocol

from aiokafka.structs import TopicPartition
from asyncpg.pgproto.pgproto import UUID

from consumers.engine.backoff import Backoff
from consumers.engine.intake import Intake, PolledRecord, unread
from consumers.engine.record import Record
from consumers.engine.window import PartitionWindow
from consumers.errors import StoreUnavailableError

log = logging.getLogger(__name__)

Coordinates = tuple[str, int, int]
"""Topic, partition, offset."""
SetAsideRows = Mapping[Coordinates, tuple[UUID, str | None]]
"""Coordinates -> record id and token of the row."""


class SetAsideStore(Protocol):
    """Where the coordinates come from."""

    async def set_aside(self, topics: Collection[str]) -> SetAsideRows:
        """Return what was set aside in these topics. Raises StoreUnavailableError."""
        ...


class SetAside:
    """What was set aside in the partitions that are polled, and an intake that does not read those records.

    Changed by the pump's task alone: it asks, polls, and hands what it polled to `intake` before it asks again.
    """

    def __init__(self, store: SetAsideStore, intake: Intake) -> None:
        self._store = store
        self._intake = intake
        self._asked_for: set[TopicPartition] = set()
        self._rows: dict[Coordinates, tuple[UUID, str | None]] = {}

    async def learn(self, partitions: Collection[TopicPartition]) -> None:
        """Ask what was set aside where that is not known yet, for as long as it takes the database to be there.

        Nothing that is polled meanwhile could be checked.
        """
        if self._asked_for.issuperset(partitions):
            return
        backoff = Backoff()
        while True:
            try:
                rows = await self._store.set_aside({partition.topic for partition in partitions})
            except StoreUnavailableError as error:
                log.warning("polling waits for the database: %s", error)
                await asyncio.sleep(backoff.next_seconds())
            else:
                self._rows |= rows
                self._asked_for.update(partitions)
                return

    def intake(self, polled: PolledRecord, window: PartitionWindow) -> Record:
        """Read a polled record, or take over what its row says where it was set aside."""
        row = self._rows.get((polled.topic, polled.partition, polled.offset)) if self._rows else None
        if row is None:
            return self._intake(polled, window)
        record = unread(polled, window)
        record.record_id, record.token = row
        return record
