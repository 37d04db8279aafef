"""Dead letters for tests of what is done with them, stored by the worker's own store; what the topic holds afterwards."""

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from aiokafka import AIOKafkaConsumer, TopicPartition
from asyncpg.pgproto import pgproto

from consumers.engine.record import DeadLettered, ErrorKind, Settled
from consumers.header_names import accept_any_header_name
from tests.support.records import make_record
from tests.support.stores import open_store
from tests.support.system import System
from topics.settings import KafkaSettings

SAVED = 500
READ_MS = 5_000


@dataclass(frozen=True)
class Bytes:
    """A record as somebody sent it."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


async def store_dead_letters(
    system: System, sent: Sequence[Bytes], *, kind: ErrorKind = ErrorKind.REJECTED, why: str = "HTTP 404"
) -> list[UUID]:
    """Store a dead letter of each, as a worker does; return their ids. Tokens are `t0`, `t1`, ..."""
    settled = [
        Settled(
            make_record(
                topic=system.topic,
                partition=number % system.partitions,
                offset=number,
                key=one.key,
                value=one.value,
                headers=list(one.headers),
                record_id=pgproto.UUID(str(uuid.uuid4())),
                token=f"t{number}",
            ),
            DeadLettered(kind, why),
        )
        for number, one in enumerate(sent)
    ]
    async with open_store(system.database) as store:
        for start in range(0, len(settled), SAVED):
            await store.save(settled[start : start + SAVED])
    return [UUID(str(one.record.record_id)) for one in settled]


@dataclass(frozen=True)
class Found:
    """A record that the topic holds; `headers` without ours."""

    partition: int
    sent: Bytes
    ours: dict[str, str]


async def read_topic(system: System) -> list[Found]:
    """Read all that the tokens topic holds."""
    accept_any_header_name()
    consumer = AIOKafkaConsumer(bootstrap_servers=system.kafka, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [TopicPartition(system.topic, number) for number in range(system.partitions)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        found: list[Found] = []
        while len(found) < sum(ends.values()):
            polled = await consumer.getmany(*partitions, timeout_ms=READ_MS)
            assert polled, f"{len(found)} of {sum(ends.values())} records were read"
            found += [_found(record) for records in polled.values() for record in records]
        return found
    finally:
        await consumer.stop()


def times_sent(found: Sequence[Found]) -> Counter[str]:
    """Count the copies of each record id."""
    return Counter(one.ours["record-id"] for one in found)


def kafka_settings(system: System) -> KafkaSettings:
    """Make the settings of a process of this system."""
    return KafkaSettings(
        kafka_bootstrap_servers=system.kafka,
        kafka_group_id=system.topic,
        tokens_topic=system.topic,
        tokens_partitions=system.partitions,
    )


OURS = ("record-id", "job-id", "redrive-count", "first-failed-at", "replay-of", "traceparent")


def _found(record: Any) -> Found:
    headers = list(record.headers)
    return Found(
        record.partition,
        Bytes(
            record.key,
            record.value,
            tuple((name, value) for name, value in headers if name not in OURS),
        ),
        {name: value.decode() for name, value in headers if name in OURS},
    )
