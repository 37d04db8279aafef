"""Lag in seconds is the age of the record at the committed offset, to the millisecond, whatever lies around it."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.support.lag import by_partition, commit_offsets, timestamp_at
from tests.support.raw_batches import produce_patched
from tests.support.waiting import eventually
from topics.lag_reader import LagReader
from topics.lag_requests import FETCH_BYTES
from topics.settings import KafkaSettings

NOW_SECONDS = 1_700_000_000.0
MADE_MS = 1_699_999_000_000
"""A thousand seconds before; a broker takes no stamp that lies an hour ahead of its own clock."""
STAMPS = ("CreateTime", "LogAppendTime")


async def create(kafka: str, topic: str, *, stamp: str, partitions: int = 1) -> None:
    """Make a topic whose records are stamped by the client or by the broker; its retention takes old stamps."""
    configs = {"message.timestamp.type": stamp, "retention.ms": "-1", "max.message.bytes": "4000000"}
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=configs)])
    finally:
        await admin.close()


@asynccontextmanager
async def reading(kafka: str, topic: str, *, now_seconds: float = NOW_SECONDS) -> AsyncIterator[LagReader]:
    """Read the group of the topic's name by a clock that stands still."""
    settings = KafkaSettings(kafka_bootstrap_servers=kafka, tokens_topic=topic, kafka_group_id=topic)
    reader = LagReader(settings, timeout_seconds=20, clock=lambda: now_seconds)
    try:
        yield reader
    finally:
        await reader.close()


@pytest.mark.parametrize("stamp", STAMPS)
async def test_seconds_are_those_of_the_record_at_the_committed_offset(kafka: str, topic_base: str, stamp: str) -> None:
    """Partitions full, half done and done, each with many records in a compressed batch."""
    await create(kafka, topic_base, stamp=stamp, partitions=3)
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", linger_ms=50, compression_type="lz4")
    await producer.start()
    try:
        sent = [
            await producer.send(topic_base, b"1", partition=partition, timestamp_ms=MADE_MS + number)
            for partition in range(3)
            for number in range(100)
        ]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()
    parts = [TopicPartition(topic_base, number) for number in range(3)]
    await commit_offsets(kafka, topic_base, {parts[1]: 42, parts[2]: 100})
    expected = [await timestamp_at(kafka, parts[0], 0), await timestamp_at(kafka, parts[1], 42)]
    assert (expected == [MADE_MS, MADE_MS + 42]) == (stamp == "CreateTime")

    now_seconds = expected[1] / 1000 + 77
    async with reading(kafka, topic_base, now_seconds=now_seconds) as reader:
        found = by_partition(await reader.read())
    assert found[parts[0]].lag_seconds == pytest.approx(now_seconds - expected[0] / 1000, abs=1e-4)
    assert found[parts[1]].lag_seconds == pytest.approx(77, abs=1e-4)
    assert [found[at].lag_seconds for at in parts[2:]] == [0.0]


async def test_a_record_larger_than_the_read_is_read_whole(kafka: str, topic_base: str) -> None:
    """In every partition: only the first of a request gets such a batch, the others are asked for again."""
    partitions = 4
    await create(kafka, topic_base, stamp="CreateTime", partitions=partitions)
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", max_request_size=4_000_000)
    await producer.start()
    try:
        noise = random.Random(7).randbytes(10 * FETCH_BYTES)
        for number in range(partitions):
            await producer.send_and_wait(topic_base, noise, partition=number, timestamp_ms=MADE_MS + 1000 * number)
    finally:
        await producer.stop()
    async with reading(kafka, topic_base) as reader:
        found = await reader.read()
    assert [each.lag_seconds for each in found.partitions] == [1000.0 - number for number in range(partitions)]


async def test_markers_of_transactions_are_passed_over(kafka: str, topic_base: str) -> None:
    """The commit stands on a marker: the record behind it is the next one, and alone the marker has no age."""
    await create(kafka, topic_base, stamp="CreateTime")
    at = TopicPartition(topic_base, 0)
    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=topic_base)
    await producer.start()
    try:
        async with producer.transaction():
            await producer.send_and_wait(topic_base, b"1", partition=0, timestamp_ms=MADE_MS)
        await commit_offsets(kafka, topic_base, {at: 1})
        async with reading(kafka, topic_base) as reader:
            await eventually(partial(lag_is, reader, 1, None), timeout_seconds=10)
            async with producer.transaction():
                await producer.send_and_wait(topic_base, b"2", partition=0, timestamp_ms=MADE_MS + 500_000)
            await eventually(partial(lag_is, reader, 3, 500.0), timeout_seconds=10)
    finally:
        await producer.stop()


async def lag_is(reader: LagReader, records: int, seconds: float | None) -> None:
    """The broker writes a marker a moment after it has answered the producer."""
    (found,) = (await reader.read()).partitions
    assert (found.lag, found.lag_seconds) == (records, seconds)


async def test_a_record_that_no_client_of_ours_can_decode_has_its_age(kafka: str, topic_base: str) -> None:
    """A header name that is no UTF-8, on a topic stamped by the broker, as all of ours are."""
    await create(kafka, topic_base, stamp="LogAppendTime")
    before = int(time.time() * 1000) / 1000
    await produce_patched(kafka, topic_base, [(None, b"1", [("NAME", b"")])], patches=[(b"NAME", b"\xff\xfeME")])
    after = time.time()
    later = after + 1000
    async with reading(kafka, topic_base, now_seconds=later) as reader:
        found = by_partition(await reader.read())[TopicPartition(topic_base, 0)]
    assert found.lag == 1
    assert found.lag_seconds is not None
    assert later - after <= found.lag_seconds + 0.001
    assert found.lag_seconds <= later - before + 0.001
