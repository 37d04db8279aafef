"""What lies in the retry topics and in the DLQ, read by a consumer of no group: the witness of each record's hops."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import ConsumerRecord

from topics.headers import read_headers

READ_SECONDS = 30.0
POLL_MS = 200


@dataclass(frozen=True, slots=True)
class Hop:
    """A retry copy or a dead letter; `names`: how often each header stands in it."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    token: str
    headers: Mapping[str, str]
    names: Sequence[str]

    @property
    def record_id(self) -> str:
        """Id of the record that hopped."""
        return self.headers.get("record-id", "")

    @property
    def attempt(self) -> int:
        """The attempt that it is for, or, of a dead letter, that was made last."""
        return int(self.headers.get("attempt", "0"))


def hop_of(record: ConsumerRecord) -> Hop:
    """Read a polled record."""
    return Hop(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        (record.value or b"").decode("utf-8", "replace"),
        read_headers(record.headers),
        [name for name, _ in record.headers],
    )


async def partitions_of(admin: AIOKafkaAdminClient, prefix: str) -> list[TopicPartition]:
    """List the partitions of the topics whose names begin so. A consumer knows those of its own topics alone."""
    topics = [name for name in await admin.list_topics() if name.startswith(prefix)]
    described = await admin.describe_topics(topics) if topics else []
    found = {TopicPartition(topic["topic"], part["partition"]) for topic in described for part in topic["partitions"]}
    return sorted(found)


async def stop_reading(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer; aiokafka's (0.14) may end the wait for its own cancelled fetches as if we had been cancelled."""
    try:
        await consumer.stop()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise


async def read_hops(kafka: str, prefix: str) -> list[Hop]:
    """Read everything that lies in the topics whose names begin so, in the order of each partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    async with asyncio.timeout(READ_SECONDS):
        await admin.start()
        try:
            partitions = await partitions_of(admin, prefix)
            await consumer.start()
            return await _read(consumer, partitions)
        finally:
            await stop_reading(consumer)
            await admin.close()


async def _read(consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]) -> list[Hop]:
    ends = {tp: end for tp, end in (await consumer.end_offsets(partitions)).items() if end}
    if not ends:
        return []
    consumer.assign(list(ends))
    await consumer.seek_to_beginning(*ends)
    hops: list[Hop] = []
    while any([await consumer.position(tp) < end for tp, end in ends.items()]):
        polled = await consumer.getmany(timeout_ms=POLL_MS)
        hops += [hop_of(record) for records in polled.values() for record in records]
    return hops
