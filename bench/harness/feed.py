"""Records on the tokens topic, as POST /tokens makes them: the bare token, keyed by it, with a UUID 7 as its id."""

import asyncio
from collections.abc import Iterable
from itertools import islice

from aiokafka import AIOKafkaProducer

from bench.harness.stack import PARTITIONS, Stage
from topics.headers import RECORD_ID
from topics.identity import new_record_id

CHUNK = 10_000
SPREAD = 7
"""So many in a row lie in one partition: then every hundredth token meets every partition."""


def make_tokens(count: int) -> Iterable[str]:
    """Number tokens, all of one length."""
    return (f"{10_000_000 + number}" for number in range(count))


async def feed(stage: Stage, count: int) -> None:
    """Produce so many tokens, acknowledged, before anything is measured; over the partitions in turn."""
    producer = AIOKafkaProducer(
        bootstrap_servers=stage.kafka,
        acks="all",
        enable_idempotence=True,
        linger_ms=5,
        compression_type="lz4",
        max_batch_size=131_072,
    )
    await producer.start()
    try:
        tokens = iter(enumerate(make_tokens(count)))
        while chunk := list(islice(tokens, CHUNK)):
            await asyncio.gather(*[await _send(producer, stage.topic, number, token.encode()) for number, token in chunk])
    finally:
        await producer.stop()


async def _send(producer: AIOKafkaProducer, topic: str, number: int, token: bytes) -> "asyncio.Future[object]":
    record_id = new_record_id().encode()
    headers = [(RECORD_ID, record_id), ("content-type", b"text/plain"), ("correlation_id", record_id)]
    sent: asyncio.Future[object] = await producer.send(
        topic, token, key=token, partition=number // SPREAD % PARTITIONS, headers=headers
    )
    return sent
