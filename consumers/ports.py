"""What the engine asks of the world: a source of records, a provider that is called, a store for outcomes.

The real ones are aiokafka's consumer (through FastStream's handler-less subscriber), providers/http.py and
store/postgres.py.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from aiokafka.structs import TopicPartition
from asyncpg.pgproto.pgproto import UUID

from consumers.engine.intake import PolledRecord
from consumers.engine.record import Record, Settled
from consumers.engine.verdict import StoredRow
from topics.positions import Position


class Source(Protocol):
    """The part of AIOKafkaConsumer that the engine drives."""

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int, max_records: int
    ) -> Mapping[TopicPartition, Sequence[PolledRecord]]:
        """Return up to `max_records` of these partitions. Blocks through a whole rebalance, whatever the time-out.

        Never call it without partitions (that means all), and never cancel it but to end the process (aiokafka 0.14).
        """
        ...

    async def commit(self, offsets: Mapping[TopicPartition, tuple[int, str]]) -> None:
        """Commit TopicPartition -> (next offset to read, mark). Raises CommitFailedError when fenced.

        Retries for ever by itself, so the caller sets a deadline.
        """
        ...

    async def read_to(self, partition: TopicPartition) -> int:
        """Return the offset that the next poll begins at; every record below it was returned by getmany.

        Waits until there is one, which a new assignment has after a moment.
        """
        ...

    async def positions(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, Position]:
        """Read where the group left off in these partitions, and where their logs start and end. Raises KafkaError."""
        ...


class Provider(Protocol):
    """One external API."""

    async def call(self, record: Record) -> str:
        """Ask for the record's token; the answer is JSON text. Ends within the call timeout; raises anything.

        NotSentError: `withdraw` came before the call was sent.
        """
        ...

    def withdraw(self) -> None:
        """Give back the calls that have not been sent yet: a drain waits only for those that cost something."""
        ...


class DeadLetterTopic(Protocol):
    """The next hop of a record that failed: the retry topic, or the durable log of dead letters."""

    async def produce(self, settled: Settled) -> None:
        """Return when every in-sync replica has the copy or the dead letter; waits as long as Kafka is away.

        RetryTooLargeError: the retry topic does not take it.
        """
        ...


class Store(Protocol):
    """Where outcomes become durable."""

    async def ping(self) -> None:
        """Return if the database answers. Raises StoreUnavailableError."""
        ...

    async def stored(self, record_ids: Sequence[UUID]) -> dict[UUID, StoredRow]:
        """Return the rows that exist already, by record id. Raises StoreUnavailableError."""
        ...

    async def save(self, settled: Sequence[Settled]) -> Collection[UUID]:
        """Commit the outcomes in one transaction; idempotent by record id, only greater rows overwrite.

        Returns the ids whose row belongs to another token: these outcomes were not written.

        Raises:
            StoreUnavailableError: nothing was (or may have been) written; the same call is safe to repeat.
            UnstorableError: at least one of them cannot be stored as it is; nothing was written.

        """
        ...
