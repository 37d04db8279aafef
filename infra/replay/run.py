"""One replay. It races with workers that go on meanwhile, so nothing is decided on old knowledge.

1. The committed offsets are read first: a record below them was settled, so its row was committed. No row = it was lost.
2. Rows of the records below are read. `dead_lettered`, and `retrying`, are noted as they are: they may go on.
3. Committed offsets are read again, and the log above them, retry topics included: a `retrying` row has its copy there,
   unless a worker went past it since; then it wrote the row before, and
4. the row is not as it was noted: it is raised to the next redrive only if it is (claim_rows.sql).
5. The copy is produced. Cut off between 4 and 5, the row is `retrying` with no copy to come: the next replay finds it.

A copy that is produced twice, by two replays one after the other, costs no call: it has the same id and lies in the same
partition, so the worker's done-set check or its claim drops the second.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from aiokafka.structs import TopicPartition
from asyncpg.pgproto.pgproto import UUID as AnyUUID  # noqa: N811 - a UUID, faster built

from consumers.engine.intake import next_derived_id
from consumers.engine.record import Record
from consumers.engine.verdict import StoredRow, Verdict, verdict
from consumers.store.postgres import SELECT_STORED
from infra.errors import ExpectedError
from infra.replay.asked import Asked, Fate, copy_of_record, fate, forced_copy, root_id
from infra.replay.log import Log, Range
from producer_api.gate_orders import Fetch
from producer_api.redrive.copies import Copy
from producer_api.redrive.pacing import Pace
from producer_api.redrive.sender import CopySender, KafkaAwayError

SQL: Final = Path(__file__).parent / "sql"
CLAIM_ROWS: Final = (SQL / "claim_rows.sql").read_text()
INSERT_MALFORMED: Final = (SQL / "insert_malformed.sql").read_text()
RESET_REFUSED: Final = (SQL / "reset_refused.sql").read_text()
REFUSED: Final = "replay: the tokens topic refuses the record for its size"
SEND_SECONDS: Final = 0.5
"""Copies that are paced are acknowledged so often at the least, for the progress and a stop."""


class ReplayError(ExpectedError):
    """The replay did not come to its end; the text says what to do. Running it again is safe."""


class StoppedError(Exception):
    """The replay was told to stop."""


@dataclass(slots=True)
class Counts:
    """What a replay did, or would do: records of the range that were meant, and what became of them."""

    read: int = 0
    stored: int = 0
    missing: int = 0
    again: int = 0
    to_come: int = 0
    changed: int = 0
    forced: int = 0
    refused: int = 0
    copies: int = 0
    """Records that are copies of one that was counted already."""

    @property
    def produced(self) -> int:
        """Copies that the tokens topic has acknowledged; with a dry run those that it would have."""
        return self.missing + self.again + self.forced - self.refused


@dataclass(slots=True)
class _Noted:
    """A row that failed or is retrying, and where its record lies."""

    row: StoredRow
    at: TopicPartition
    offset: int


@dataclass(slots=True)
class Replay:
    """One run. `operation`: the audit row, or the run whose ids a forced one goes on with; None = a dry run."""

    fetch: Fetch
    log: Log
    sender: CopySender
    asked: Asked
    operation: UUID | None
    run_id: UUID | None
    on_progress: Callable[["Counts"], Awaitable[None]]
    stopping: asyncio.Event
    counts: Counts = field(default_factory=Counts)
    _noted: dict[UUID, _Noted] = field(default_factory=dict)
    _places: dict[tuple[TopicPartition, int], UUID] = field(default_factory=dict)
    _handled: set[UUID] = field(default_factory=set)
    _pace: Pace = field(init=False)

    def __post_init__(self) -> None:
        """Nothing was sent yet."""
        self._pace = Pace(self.asked.rate)

    async def run(self, ranges: Mapping[TopicPartition, Range]) -> None:
        """Go through these ranges.

        Raises:
            StoppedError: it was told to stop; nothing is half done.
            ReplayError, ExpectedError: Kafka or the database does not do its part.

        """
        try:
            async for records in self.log.read(ranges):
                await self._first_look(records)
                await self._pause()
            if self._noted:
                await self._leave_what_is_to_come()
                self._places = {(noted.at, noted.offset): record_id for record_id, noted in self._noted.items()}
                async for records in self.log.read(self._noted_ranges()):
                    await self._redrive_noted(records)
                    await self._pause()
        except KafkaAwayError as error:
            how = " with --run" if self.asked.force else ""
            raise ReplayError(
                f"Kafka does not acknowledge ({error}): run the same replay again{how}, which is safe."
            ) from error

    async def _pause(self) -> None:
        await self.on_progress(self.counts)
        if self.stopping.is_set():
            raise StoppedError

    async def _first_look(self, records: Sequence[Record]) -> None:
        """Produce what has no row, note what failed or retries, pass by what is stored."""
        meant = [record for record in records if self.asked.wants(record)]
        self.counts.read += len(meant)
        if self.asked.force:
            new = [record for record in meant if self._is_new(root_id(record))]
            self.counts.copies += len(meant) - len(new)
            for part in self._parts(new):
                await self._force(part)
                await self._pause()
            return
        missing = []
        for record, row in await self._with_rows(meant):
            record_id = UUID(str(record.record_id))
            match fate(row):
                case Fate.MISSING if self._is_new(record_id):
                    missing.append(record)
                case Fate.AGAIN:
                    assert row is not None  # noqa: S101 - what fate says
                    self.counts.copies += record_id in self._noted
                    self._noted[record_id] = _Noted(row, TopicPartition(record.topic, record.partition), record.offset)
                case Fate.DONE:
                    self.counts.stored += 1
                case Fate.MISSING:
                    self.counts.copies += 1
        for part in self._parts(missing):
            await self._produce_missing(part)
            await self._pause()

    def _parts(self, records: Sequence[Record]) -> Iterator[Sequence[Record]]:
        """Cut into what a second has room for, so that a stop is soon done and progress is shown."""
        size = self._pace.batch
        return (records[first : first + size] for first in range(0, len(records), size))

    async def _force(self, records: Sequence[Record]) -> None:
        if self.operation is not None:
            run = self.run_id or self.operation
            self.counts.refused += len(await self._send([forced_copy(record, run) for record in records]))
        self.counts.forced += len(records)

    async def _produce_missing(self, records: Sequence[Record]) -> None:
        if self.operation is not None:
            malformed = [record for record in records if record.token is None]
            if malformed:
                await self.fetch(INSERT_MALFORMED, *_columns(malformed))
            copies = [copy_of_record(record, redrive_count=int(record.token is None)) for record in records]
            self.counts.refused += len(await self._send(copies))
        self.counts.missing += len(records)

    async def _leave_what_is_to_come(self) -> None:
        """Strike out the rows whose copy a worker is going to read: see the walk above, 3."""
        async for records in self.log.read(await self.log.above_committed(), open_ended=True):
            for record in records:
                noted = self._noted.get(UUID(str(record.record_id)))
                if noted is not None and noted.row.outcome == "retrying" and verdict(record, noted.row) is Verdict.CALL:
                    del self._noted[UUID(str(record.record_id))]
                    self.counts.to_come += 1
            if self.stopping.is_set():
                raise StoppedError

    def _noted_ranges(self) -> dict[TopicPartition, Range]:
        """Return the parts of the log that hold every noted record; their bytes are read again, not kept meanwhile."""
        found: dict[TopicPartition, Range] = {}
        for noted in self._noted.values():
            first, behind = found.get(noted.at, (noted.offset, noted.offset + 1))
            found[noted.at] = (min(first, noted.offset), max(behind, noted.offset + 1))
        return found

    async def _redrive_noted(self, records: Sequence[Record]) -> None:
        for part in self._parts([record for record in records if self._noted_as(record) is not None]):
            await self._redrive({noted: record for record in part if (noted := self._noted_as(record)) is not None})
            await self._pause()

    def _noted_as(self, record: Record) -> UUID | None:
        """Name the row that was noted for the record at this place; None = none was."""
        return self._places.get((TopicPartition(record.topic, record.partition), record.offset))

    async def _redrive(self, found: Mapping[UUID, Record]) -> None:
        if self.operation is None:
            self.counts.again += len(found)
            return
        rows = [self._noted[record_id].row for record_id in found]
        claimed = await self.fetch(
            CLAIM_ROWS,
            list(found),
            [row.redrive_count for row in rows],
            [row.outcome for row in rows],
            [row.attempt for row in rows],
            self.operation,
        )
        self.counts.changed += len(found) - len(claimed)
        copies = []
        for row in claimed:
            record_id = UUID(str(row["record_id"]))
            record = found[record_id]
            record.record_id = row["record_id"]
            copies.append(copy_of_record(record, redrive_count=row["redrive_count"]))
        refused = await self._send(copies)
        self.counts.again += len(claimed)
        if refused:
            self.counts.refused += len(refused)
            await self.fetch(RESET_REFUSED, refused, REFUSED)

    async def _send(self, copies: Sequence[Copy]) -> list[UUID]:
        """Produce copies at the pace that was asked for; return the ids of those that are refused for their size.

        A stop does not cut it short: rows that were claimed have their copies when this returns.
        """
        loop = asyncio.get_running_loop()
        refused: list[UUID] = []
        flushed = loop.time()
        for copy in copies:
            wait = self._pace.wait_seconds(loop.time())
            if wait > 0:
                await asyncio.sleep(wait)
            await self.sender.send(copy)
            if loop.time() - flushed > SEND_SECONDS:
                refused += await self.sender.flush()
                flushed = loop.time()
        return refused + await self.sender.flush()

    def _is_new(self, record_id: UUID) -> bool:
        """Whether no record of this id was produced in this run; from now on one was."""
        if record_id in self._handled:
            return False
        self._handled.add(record_id)
        return True

    async def _with_rows(self, records: Sequence[Record]) -> list[tuple[Record, StoredRow | None]]:
        """Read the rows of these records, each under the id that a worker gave it.

        A malformed record whose header names an id that no redrive confirms has the derived one, as with a worker. Where
        that has no row either, a redrive's mark may be what was lost: then it is the header's, if that is nobody else's.
        """
        known: list[tuple[Record, StoredRow | None]] = []
        named: dict[int, tuple[AnyUUID, StoredRow | None]] = {}
        unknown = list(records)
        while unknown:
            rows = await self.fetch(SELECT_STORED, [record.record_id for record in unknown])
            stored = {UUID(str(row["record_id"])): StoredRow(*row) for row in rows}
            again = []
            for record in unknown:
                row = stored.get(UUID(str(record.record_id)))
                answer = verdict(record, row)
                if answer in {Verdict.CONFLICT, Verdict.UNMARKED}:
                    if answer is Verdict.UNMARKED:
                        named[id(record)] = record.record_id, row
                    record.record_id, record.needs_mark = next_derived_id(record), False
                    again.append(record)
                    continue
                if row is None and id(record) in named:
                    header_id, header_row = named[id(record)]
                    if header_row is None or header_row.token is None:
                        record.record_id, row = header_id, header_row
                known.append((record, row))
            unknown = again
        return known


def _columns(records: Sequence[Record]) -> tuple[list[Any], ...]:
    return (
        [record.record_id for record in records],
        [record.job_id for record in records],
        [record.topic for record in records],
        [record.partition for record in records],
        [record.offset for record in records],
        [record.timestamp_ms for record in records],
    )
