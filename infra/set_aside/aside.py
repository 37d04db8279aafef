"""Makes a dead letter of one record before it is processed, whatever the workers do meanwhile.

In the worker's own order of writes: the dead letter acknowledged by the DLQ topic, then its row. From then on the record's
outcome is final, so every worker skips it: at its done-set check, or before a look at its bytes (consumers/set_aside.py).
A call that a worker has running is not stopped. Its outcome comes later and takes the row by the order of rows: a success
is above a dead letter, and so is a failure, whose attempt is 1 where this one's is 0.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from consumers.dead_letters import DeadLetterProducer
from consumers.engine.intake import next_derived_id
from consumers.engine.record import DeadLettered, ErrorKind, Record, Settled
from consumers.engine.verdict import FINAL_OUTCOMES, StoredRow, Verdict, verdict
from consumers.errors import StoreUnavailableError, clean_message
from consumers.store.postgres import PostgresStore
from infra.errors import ExpectedError
from infra.set_aside.reader import read_record
from topics.catalogue import HOP_BYTES, MAX_MESSAGE_BYTES
from topics.connection import KafkaConnectionError, kafka_producer
from topics.settings import KafkaSettings

PRODUCE_SECONDS: Final = 30.0
CLIENT_ID: Final = "tokenflow-set-aside"


class SetAsideError(ExpectedError):
    """The record was not set aside; the text says what to do. Running the command again is safe."""


@dataclass(frozen=True, slots=True)
class Done:
    """What is true now: the row of the record, and whether this run wrote it."""

    record: Record
    outcome: str
    written: bool


async def set_aside(settings: KafkaSettings, database_url: str, where: TopicPartition, offset: int, *, reason: str) -> Done:
    """Set the record at this offset aside; change nothing where its outcome is final already. Idempotent.

    Raises:
        ExpectedError: there is no such record, or the database or Kafka does not do its part.
        KafkaConnectionError: no broker answers.

    """
    record = await read_record(settings, where, offset)
    try:
        store = await PostgresStore.connect(database_url, connections=1)
        try:
            await _see_that_it_is_ours(store, settings)
            return await _set_aside(settings, store, record, clean_message(reason))
        finally:
            await store.close()
    except StoreUnavailableError as error:
        raise SetAsideError(f"DATABASE_URL cannot be used ({error}): start PostgreSQL, and run this again.") from error


async def _see_that_it_is_ours(store: PostgresStore, settings: KafkaSettings) -> None:
    """Refuse a database that serves another group: its workers would never see the row."""
    owner = await store.group()
    if owner not in {None, settings.kafka_group_id}:
        raise SetAsideError(
            f"DATABASE_URL serves the consumer group {owner}, not {settings.kafka_group_id}: correct one of the two."
        )


async def _set_aside(settings: KafkaSettings, store: PostgresStore, record: Record, reason: str) -> Done:
    while True:
        row = await _row_of(store, record)
        if row is not None and row.outcome in FINAL_OUTCOMES:
            return Done(record, row.outcome, written=False)
        record.attempt, record.redrive_count = (0, 0) if row is None else (row.attempt, row.redrive_count)
        settled = Settled(record, DeadLettered(ErrorKind.SET_ASIDE, reason))
        await _produce(settings, settled)
        if not await store.save([settled]):
            break
        record.record_id = next_derived_id(record)  # another token came first under this id
    now = await _row_of(store, record)
    ours = now is not None and (now.outcome, now.attempt) == ("dead_lettered", record.attempt)
    return Done(record, "dead_lettered" if now is None else now.outcome, written=ours)


async def _row_of(store: PostgresStore, record: Record) -> StoredRow | None:
    """Read the record's row; where that is another token's, the record has the id that a worker would give it."""
    while True:
        row = (await store.stored([record.record_id])).get(record.record_id)
        if verdict(record, row) not in {Verdict.CONFLICT, Verdict.UNMARKED}:
            return row
        record.record_id, record.needs_mark = next_derived_id(record), False


async def _produce(settings: KafkaSettings, settled: Settled) -> None:
    """Produce the dead letter as a worker does, but not for as long as it takes."""
    producer = DeadLetterProducer(
        settings.dlq_topic,
        lambda: kafka_producer(settings, client_id=CLIENT_ID, max_record_bytes=MAX_MESSAGE_BYTES + HOP_BYTES),
    )
    try:
        async with asyncio.timeout(PRODUCE_SECONDS):
            await producer.start()
            await producer.produce(settled)
    except TimeoutError as error:
        raise SetAsideError(
            f"Kafka did not acknowledge the dead letter within {PRODUCE_SECONDS:.0f} s, and nothing was stored: "
            f"see that {settings.dlq_topic} exists and its leader is there, and run this again."
        ) from error
    except (OSError, KafkaError) as error:
        raise KafkaConnectionError(settings) from error
    finally:
        await producer.stop()
