"""A source, a store and a provider in memory, whose faults a test switches on and off.

They keep the promises of consumers/ports.py and no more: what was polled is not polled again within an assignment, a poll
waits through a rebalance, only greater rows overwrite.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aiokafka.structs import TopicPartition
from asyncpg.pgproto.pgproto import UUID

from consumers.engine.record import DeadLettered, Outcome, Record, Retrying, Settled, Succeeded
from consumers.engine.verdict import StoredRow
from consumers.errors import RetryTooLargeError, StoreUnavailableError, TransientError
from consumers.next_hop import retry_headers
from topics.positions import Position

P0 = TopicPartition("tokens", 0)
RETRY_DELAY_SECONDS = 300
RETRY_TOPIC = "tokens.retry.5m"


@dataclass(slots=True)
class Polled:
    """What the engine reads of a ConsumerRecord."""

    topic: str
    partition: int
    offset: int
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()
    key: bytes | None = None
    timestamp: int = 1_700_000_000_000
    timestamp_type: int = 1


class FakeSource:
    """A log per partition. `polls` lists how many records each poll that found some returned."""

    def __init__(self) -> None:
        self.log: dict[TopicPartition, list[Polled]] = defaultdict(list)
        self.committed: dict[TopicPartition, int] = {}
        self.marks: dict[TopicPartition, str] = {}
        self.starts: dict[TopicPartition, int] = {}
        self.positions_error: Exception | None = None
        self.commits: list[dict[TopicPartition, int]] = []
        self.position: dict[TopicPartition, int] = {}
        self.polls: list[int] = []
        self.asked = 0
        self.commit_hangs = False
        self.commit_error: Exception | None = None
        self.on_commit: Callable[[TopicPartition, int], None] = lambda _partition, _offset: None
        self.assignment = asyncio.Event()
        self._changed = asyncio.Event()

    def append(
        self,
        value: str | bytes | None,
        *,
        partition: TopicPartition = P0,
        record_id: UUID | None = None,
        timestamp_ms: int = 1_700_000_000_000,
        **headers: str,
    ) -> Polled:
        """Write a record behind the others of its partition."""
        given = {name.replace("_", "-"): text for name, text in headers.items()}
        if record_id is not None:
            given["record-id"] = str(record_id)
        polled = Polled(
            partition.topic,
            partition.partition,
            len(self.log[partition]),
            value.encode() if isinstance(value, str) else value,
            [(name, text.encode()) for name, text in given.items()],
            timestamp=timestamp_ms,
        )
        self.log[partition].append(polled)
        self._changed.set()
        return polled

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Begin an assignment at the committed offsets."""
        self.position = {partition: self.committed.get(partition, 0) for partition in partitions}
        self.assignment.set()
        self._changed.set()

    def revoke(self) -> None:
        """End the assignment: polls wait from now on."""
        self.assignment.clear()

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int, max_records: int
    ) -> Mapping[TopicPartition, Sequence[Polled]]:
        """Poll: at once where there are records, else until there are or the time is over; waits through a rebalance."""
        assert partitions, "getmany without partitions means all of them"
        assert max_records > 0
        self.asked += 1
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                while not (found := self._take(partitions, max_records) if self.assignment.is_set() else {}):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            await self.assignment.wait()
            return {}
        self.polls.append(sum(map(len, found.values())))
        return found

    def _take(self, partitions: Iterable[TopicPartition], limit: int) -> dict[TopicPartition, list[Polled]]:
        found: dict[TopicPartition, list[Polled]] = {}
        for partition in partitions:
            if limit > 0 and partition in self.position:
                at = self.position[partition]
                records = self.log[partition][at : at + limit]
                if records:
                    found[partition] = records
                    limit -= len(records)
                    self.position[partition] = records[-1].offset + 1
        return found

    async def commit(self, offsets: Mapping[TopicPartition, tuple[int, str]]) -> None:
        """Commit, unless a fault is on."""
        if self.commit_hangs:
            await asyncio.Event().wait()
        if self.commit_error is not None:
            raise self.commit_error
        for partition, (offset, mark) in offsets.items():
            self.on_commit(partition, offset)
            self.committed[partition], self.marks[partition] = offset, mark
        self.commits.append({partition: offset for partition, (offset, _) in offsets.items()})

    async def read_to(self, partition: TopicPartition) -> int:
        """Tell the offset of the next poll."""
        return self.position.get(partition, 0)

    async def positions(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, Position]:
        """Tell where the group left off, unless a fault is on."""
        if self.positions_error is not None:
            raise self.positions_error
        return {
            at: Position(self.committed.get(at), self.marks.get(at, ""), self.starts.get(at, 0), len(self.log[at]))
            for at in partitions
        }


@dataclass(slots=True)
class StoredOutcome:
    """A row, and the outcome that it came from."""

    row: StoredRow
    outcome: Outcome


@dataclass(slots=True)
class FakeStore:
    """Rows by record id. `up` is cleared to hang every statement; `away` makes it fail; `lying` = it fails after writing.

    Statements with a token in `slow` wait for `quick`.
    """

    rows: dict[UUID, StoredOutcome] = field(default_factory=dict)
    away: bool = False
    saving: asyncio.Event = field(default_factory=asyncio.Event)
    reading: asyncio.Event = field(default_factory=asyncio.Event)
    deaf: bool = False
    lying: bool = False
    queries: list[int] = field(default_factory=list)
    saves: list[int] = field(default_factory=list)
    refused: Exception | None = None
    unstorable: dict[str, Exception] = field(default_factory=dict)
    slow: set[str] = field(default_factory=set)
    quick: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Nothing hangs at first."""
        self.saving.set()
        self.reading.set()

    async def ping(self) -> None:
        """Answer, unless a fault is on."""
        if self.away:
            raise StoreUnavailableError("away")

    async def stored(self, record_ids: Sequence[UUID]) -> dict[UUID, StoredRow]:
        """Read, unless a fault is on; `deaf` does not hear its cancellation while it hangs."""
        self.queries.append(len(record_ids))
        await (_deaf_to_cancellation(self.reading) if self.deaf else self.reading.wait())
        if self.away:
            raise StoreUnavailableError("away")
        return {each: self.rows[each].row for each in record_ids if each in self.rows}

    async def save(self, settled: Sequence[Settled]) -> Collection[UUID]:
        """Write, unless a fault is on; return the ids that belong to another token."""
        self.saves.append(len(settled))
        await self.saving.wait()
        if any(one.record.token in self.slow for one in settled):
            await self.quick.wait()
        if self.away:
            raise StoreUnavailableError("away")
        if self.refused is not None:
            raise self.refused
        for one in settled:
            if isinstance(one.outcome, Succeeded) and (one.record.token or "") in self.unstorable:
                raise self.unstorable[one.record.token or ""]
        refused = [one.record.record_id for one in settled if not self._upsert(one)]
        if self.lying:
            self.lying = False
            raise StoreUnavailableError("the connection ended after the commit")
        return refused

    def result(self, token: str) -> Outcome | None:
        """Outcome of the one row of a token."""
        found = [held.outcome for held in self.rows.values() if held.row.token == token]
        assert len(found) <= 1, f"{token} has {len(found)} rows"
        return found[0] if found else None

    def _upsert(self, settled: Settled) -> bool:
        record = settled.record
        name = {Succeeded: "succeeded", Retrying: "retrying", DeadLettered: "dead_lettered"}[type(settled.outcome)]
        new = StoredRow(record.record_id, record.token, name, record.attempt, record.redrive_count)
        old = self.rows.get(record.record_id)
        if old is not None and None not in (old.row.token, new.token) and old.row.token != new.token:
            return False
        if old is None or _rank(new) > _rank(old.row):
            self.rows[record.record_id] = StoredOutcome(new, settled.outcome)
        return True


class FakeDeadLetters:
    """The next hop: `produced` in the order of acknowledgement. `open` is cleared to hang every produce.

    Retry copies go into `log`, partition by partition, due after `delay_seconds`.
    """

    def __init__(self, log: FakeSource) -> None:
        self.produced: list[Settled] = []
        self.too_large: set[str] = set()
        self.delay_seconds = 0.4
        self._log = log
        self.open = asyncio.Event()
        self.open.set()

    async def produce(self, settled: Settled) -> None:
        """Acknowledge, unless a fault is on."""
        await self.open.wait()
        if isinstance(settled.outcome, Retrying):
            self._retry(settled.record, settled.outcome)
        self.produced.append(settled)

    def _retry(self, record: Record, outcome: Retrying) -> None:
        if record.token in self.too_large:
            raise RetryTooLargeError("too large")
        now = time.time()
        headers = retry_headers(record, outcome, delay_seconds=RETRY_DELAY_SECONDS, now=now)
        copy = self._log.append(
            record.value,
            partition=TopicPartition(RETRY_TOPIC, record.source.partition),
            timestamp_ms=int((now + self.delay_seconds - RETRY_DELAY_SECONDS) * 1000),
        )
        copy.headers = headers


class FakeProvider:
    """Answers `"<token>"` at once; tokens in `held` wait for `release`. `calls` lists the called tokens in order."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.running = 0
        self.most_running = 0
        self.held: set[str] = set()
        self.hold_all = False
        self.deaf = False
        self.errors: dict[str, BaseException] = {}
        self.down: BaseException | None = None  # raised for every token
        self.failures: dict[str, int] = {}  # token -> how often it fails before it is answered
        self.padding = 0
        self._gates: dict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def call(self, record: Record) -> str:
        """Answer, or do what the test switched on."""
        token = record.token or ""
        self.calls.append(token)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            if self.hold_all or token in self.held:
                await (_deaf_to_cancellation(self._gates[token]) if self.deaf else self._gates[token].wait())
        finally:
            self.running -= 1
        if self.down is not None:
            raise self.down
        if self.failures.get(token, 0) > 0:
            self.failures[token] -= 1
            raise TransientError(f"{self.failures[token]} to come")
        if token in self.errors:
            raise self.errors[token]
        return f'"{token}"{" " * self.padding}'

    def withdraw(self) -> None:
        """Every call is sent at once: nothing to give back."""

    def release(self, *tokens: str) -> None:
        """Let the held calls of these tokens go, or all of them."""
        self.hold_all = self.hold_all and bool(tokens)
        for token in tokens or [*self._gates]:
            self.held.discard(token)
            self._gates[token].set()


def _rank(row: StoredRow) -> tuple[int, int, int]:
    return (row.redrive_count, ("retrying", "cancelled", "dead_lettered", "succeeded").index(row.outcome), row.attempt)


async def _deaf_to_cancellation(event: asyncio.Event) -> None:
    while not event.is_set():
        try:
            await event.wait()
        except asyncio.CancelledError:
            continue
