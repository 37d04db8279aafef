"""Polls records and admits them: the only caller of getmany, in one task."""

import asyncio
from collections.abc import Mapping, Sequence

from aiokafka.structs import TopicPartition

from consumers.engine.check import Check
from consumers.engine.intake import Intake, PolledRecord
from consumers.engine.record import Record
from consumers.engine.state import EngineState
from consumers.ports import Source

POLL_TIMEOUT_MS = 200
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
            budget = await self._room()
            polled = await self._source.getmany(
                *self._state.windows.partitions(), timeout_ms=POLL_TIMEOUT_MS, max_records=budget
            )
            # No await between this line and the windows: a record that getmany returned has moved the fetch position, so
            # it must be in its window before anything else can happen, or a commit could pass it.
            self._check.submit(self._admit(polled))

    def _admit(self, polled: Mapping[TopicPartition, Sequence[PolledRecord]]) -> list[Record]:
        """Admit what was polled; return the records that are new to their window, which is all of them."""
        admitted: list[Record] = []
        for partition, records in polled.items():
            window = self._state.windows[partition]
            read = (self._intake(record, window) for record in records)
            admitted.extend(record for record in read if self._state.admit(record))
        return admitted

    async def _room(self) -> int:
        """Wait until records may be polled; return how many."""
        state = self._state
        while state.draining or not len(state.windows) or not state.admission.poll_budget():
            state.room.clear()
            try:
                async with asyncio.timeout(ROOM_SECONDS):
                    await state.room.wait()
            except TimeoutError:
                continue
        return state.admission.poll_budget()
