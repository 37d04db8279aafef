"""Cases of the corpus through a real broker, and what came of each, found by its coordinates."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import ConsumerRecord

from tests.support.corpus import MIB, Case
from topics.headers import CONNECT_PREFIX, OURS

Coordinates = tuple[int, int]
"""Partition and offset of a record on the tokens topic."""
READ_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Letter:
    """A record of the DLQ topic."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]

    def text(self, name: str) -> str:
        """Return the one header of this name."""
        (value,) = [value for each, value in self.headers if each == name]
        assert value is not None
        return value.decode()

    @property
    def foreign(self) -> tuple[tuple[str, bytes | None], ...]:
        """What neither we nor Kafka Connect would have set."""
        return foreign(self.headers)


def foreign(headers: Sequence[tuple[str, bytes | None]]) -> tuple[tuple[str, bytes | None], ...]:
    """Headers that a hop leaves alone."""
    return tuple((name, value) for name, value in headers if name not in OURS and not name.startswith(CONNECT_PREFIX))


async def produce_cases(kafka: str, topic: str, cases: Sequence[Case], *, partitions: int) -> dict[Coordinates, Case]:
    """Produce each case as a batch of its own, compressed, so that nothing which a broker takes is refused by the client."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", compression_type="lz4", max_request_size=4 * MIB)
    await producer.start()
    try:
        sent: dict[Coordinates, Case] = {}
        for number, case in enumerate(cases):
            batch = producer.create_batch()
            batch.append(key=case.key, value=case.value, timestamp=None, headers=list(case.headers))
            done = await producer.send_batch(batch, topic, partition=number % partitions)
            at = await asyncio.wait_for(done, READ_SECONDS)
            sent[at.partition, at.offset] = case
        return sent
    finally:
        await producer.stop()


async def read_letters(kafka: str, topic: str) -> dict[Coordinates, list[Letter]]:
    """Read the whole DLQ topic: coordinates of the record as it came in -> its dead letters, which may be several."""
    found: dict[Coordinates, list[Letter]] = {}
    for record in await read_all(kafka, topic):
        letter = Letter(record.key, record.value, record.headers)
        at = (int(letter.text("source-partition")), int(letter.text("source-offset")))
        found.setdefault(at, []).append(letter)
    return found


async def read_all(kafka: str, topic: str) -> list[ConsumerRecord[bytes | None, bytes | None]]:
    """Read every record that a topic has now."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        async with asyncio.timeout(READ_SECONDS):
            ends: Mapping[TopicPartition, int] = await consumer.end_offsets(consumer.assignment())
            found: list[ConsumerRecord[bytes | None, bytes | None]] = []
            while any([await consumer.position(partition) < end for partition, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += records
            return found
    finally:
        await consumer.stop()
