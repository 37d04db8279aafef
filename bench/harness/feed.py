"""Records on the tokens topic, as POST /tokens makes them: the bare token, keyed by it, with a UUID 7 as its id."""

import asyncio
from collections.abc import Iterable, Sequence
from itertools import islice

from aiokafka import AIOKafkaProducer

from bench.harness.stack import PARTITIONS, Stage
from topics.catalogue import retry_topic_name
from topics.headers import ATTEMPT, RECORD_ID
from topics.identity import new_record_id

CHUNK = 10_000
SPREAD = 7
"""So many in a row lie in one partition: then every hundredth token meets every partition."""


def make_tokens(count: int, *, first: int = 0) -> Iterable[str]:
    """Number tokens, all of one length."""
    return (f"{10_000_000 + number}" for number in range(first, first + count))


async def feed(stage: Stage, count: int, *, first: int = 0) -> None:
    """Produce so many tokens, acknowledged, before anything is measured; over the partitions in turn."""
    await _produce(stage.topic, stage, make_tokens(count, first=first))


async def park(stage: Stage, count: int, *, first: int = 0) -> None:
    """Produce so many records to the retry topic, as copies whose first attempt failed."""
    topic = retry_topic_name(stage.topic, stage.retry_delay_seconds / 60)
    await _produce(topic, stage, make_tokens(count, first=first), (ATTEMPT, b"2"))


async def _produce(topic: str, stage: Stage, tokens: Iterable[str], *headers: tuple[str, bytes]) -> None:
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
        numbered = iter(enumerate(tokens))
        while chunk := list(islice(numbered, CHUNK)):
            sent = [await _send(producer, topic, number, token.encode(), headers) for number, token in chunk]
            await asyncio.gather(*sent)
    finally:
        await producer.stop()


async def _send(
    producer: AIOKafkaProducer, topic: str, number: int, token: bytes, more: Sequence[tuple[str, bytes]]
) -> "asyncio.Future[object]":
    record_id = new_record_id().encode()
    headers = [(RECORD_ID, record_id), ("content-type", b"text/plain"), ("correlation_id", record_id), *more]
    sent: asyncio.Future[object] = await producer.send(
        topic, token, key=token, partition=number // SPREAD % PARTITIONS, headers=headers
    )
    return sent
