"""Polls records and admits them: the only caller of getmany, in one task."""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import takewhile

from aiokafka.structs import TopicPartition

from consumers.engine.check import Check
from consumers.engine.intake import Intake, PolledRecord
from consumers.engine.record import Record
from consumers.engine.state import EngineState
from consumers.ports import Source
from topics.catalogue import retry_delay_seconds

POLL_TIMEOUT_MS = 200
BETWEEN_TIMEOUT_MS = 50
"""Where one kind of partitions is waited for while the other may have something: a due retry is this late at most."""
ROOM_SECONDS = 0.5


class Pump:
    """Keeps the worker supplied: polls as much as the bounds allow, whenever they do."""

    def __init__(self, state: EngineState, source: Source, check: Check, intake: Intake) -> None:
        self._state = state
        self._source = source
        self._check = check
        self._intake = intake

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            await self._room()
            fresh, retries = self._fresh(), self._retries()
            full, more = not self._state.admission.poll_budget(), False
            if retries:
                timeout_ms = 0 if fresh or full else BETWEEN_TIMEOUT_MS
                more = await self._poll(retries, self._state.admission.retry_budget(), timeout_ms=timeout_ms)
            if fresh and (budget := self._state.admission.poll_budget()):
                await self._poll(fresh, budget, timeout_ms=0 if more else self._patience_ms())
            elif full and not more:
                await self._room_for_fresh()

    def _patience_ms(self) -> int:
        """How long a poll of fresh records may wait for the first one: less where retries may come or be due meanwhile."""
        return BETWEEN_TIMEOUT_MS if self._has_retries else POLL_TIMEOUT_MS

    @property
    def _has_retries(self) -> bool:
        return any(retry_delay_seconds(partition.topic) for partition in self._state.windows.partitions())

    async def _poll(self, partitions: Sequence[TopicPartition], budget: int, *, timeout_ms: int) -> bool:
        """Poll, and send what came to the check; whether something came."""
        polled = await self._source.getmany(*partitions, timeout_ms=timeout_ms, max_records=budget)
        # No await between this line and the windows: a record that getmany returned has moved the fetch position, so
        # it must be in its window before anything else can happen, or a commit could pass it.
        self._check.submit(self._admit(polled))
        return bool(polled)

    def _fresh(self) -> list[TopicPartition]:
        """List the partitions of fresh records, if some of those may be polled."""
        if not self._state.admission.poll_budget():
            return []
        return [partition for partition in self._state.windows.partitions() if not retry_delay_seconds(partition.topic)]

    def _retries(self) -> list[TopicPartition]:
        """List the retry partitions that nothing is held of, if some of their records may be polled."""
        if not self._state.admission.retry_budget():
            return []
        partitions = self._state.windows.partitions()
        return [each for each in partitions if retry_delay_seconds(each.topic) and each not in self._state.hold]

    def _admit(self, polled: Mapping[TopicPartition, Sequence[PolledRecord]]) -> list[Record]:
        """Admit what was polled, which is all new to its window; hold what is not due, return the others."""
        admitted: list[Record] = []
        clock = self._state.broker_clock
        for partition, records in polled.items():
            clock.polled(records[-1])
            window = self._state.windows[partition]
            read = (self._intake(record, window) for record in records)
            taken = [record for record in read if self._state.admit(record)]
            if retry_delay_seconds(partition.topic):
                taken = self._hold_early(partition, taken, clock.now_ms())
            admitted.extend(taken)
        return admitted

    def _hold_early(self, partition: TopicPartition, records: Sequence[Record], now_ms: float) -> list[Record]:
        """Hold records from the first one on that is not due; return those before it."""
        due = list(takewhile(lambda record: record.due_ms <= now_ms, records))
        for record in records[len(due) :]:
            self._state.park(record, partition)
        return due

    async def _room_for_fresh(self) -> None:
        """Let a worker that is full wait for a place, not for a retry: it would stand still for as long as none comes."""
        state = self._state
        try:
            async with asyncio.timeout(BETWEEN_TIMEOUT_MS / 1000):
                while state.draining or not state.admission.poll_budget():
                    state.room.clear()
                    await state.room.wait()
        except TimeoutError:
            return

    async def _room(self) -> None:
        """Wait until records may be polled."""
        state = self._state
        while state.draining or not (self._fresh() or self._retries()):
            state.room.clear()
            try:
                async with asyncio.timeout(ROOM_SECONDS):
                    await state.room.wait()
            except TimeoutError:
                continue
