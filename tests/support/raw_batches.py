"""Batches of records that no client of ours would build, as another client may send them."""

import asyncio
import struct
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.record.util import calc_crc32c

CRC_AT = 17
CRC_FROM = 21
"""Of a batch of format 2: where its CRC-32C stands, and from where on it counts."""
SEND_SECONDS = 30.0
Sent = tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes | None]]]


async def produce_patched(kafka: str, topic: str, records: Sequence[Sent], *, patches: Sequence[tuple[bytes, bytes]]) -> int:
    """Send records (key, value, headers) as one batch to partition 0, some bytes replaced by as many; the base offset."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", max_batch_size=1_000_000)
    await producer.start()
    try:
        batch = producer.create_batch()
        for key, value, headers in records:
            assert batch.append(key=key, value=value, timestamp=None, headers=list(headers)) is not None
        batch._buffer = patched(bytes(batch._build()), patches)
        sent = await producer.send_batch(batch, topic, partition=0)
        offset: int = (await asyncio.wait_for(sent, SEND_SECONDS)).offset
        return offset
    finally:
        await producer.stop()


async def produce_at(kafka: str, topic: str, values: Sequence[bytes], *, timestamp_ms: int) -> None:
    """Send values as one batch of partition 0 that claims any time, which the client's own send() does not take."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all")
    await producer.start()
    try:
        batch = producer.create_batch()
        for value in values:
            assert batch.append(key=None, value=value, timestamp=timestamp_ms) is not None
        await asyncio.wait_for(await producer.send_batch(batch, topic, partition=0), SEND_SECONDS)
    finally:
        await producer.stop()


def patched(batch: bytes, patches: Sequence[tuple[bytes, bytes]]) -> bytearray:
    """Replace bytes of a batch that is not compressed, and make its checksum right again."""
    for old, new in patches:
        assert len(old) == len(new)
        assert old in batch
        batch = batch.replace(old, new)
    crc = struct.pack(">I", calc_crc32c(batch[CRC_FROM:]))
    return bytearray(batch[:CRC_AT] + crc + batch[CRC_FROM:])
