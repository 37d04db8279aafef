"""The lag that we read is the one that Kafka's own tool prints, partition by partition, whatever the group does."""

import asyncio
from collections.abc import AsyncIterator, Collection

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete

from tests.support.lag import as_tool_rows, ask_kafkas_tool, by_partition, commit_offsets
from tests.support.system import System
from tests.support.waiting import eventually
from topics.lag_reader import LagReader
from topics.settings import KafkaSettings

PARTITIONS = 3


@pytest.fixture
async def topic(kafka: str, topic_base: str) -> str:
    """A topic of three partitions with 10, 20 and 30 records, and nothing beside it."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic_base, PARTITIONS, 1)])
    finally:
        await admin.close()
    await produce(kafka, topic_base, {number: 10 * (number + 1) for number in range(PARTITIONS)})
    return topic_base


@pytest.fixture
async def reader(kafka: str, topic_base: str) -> AsyncIterator[LagReader]:
    """Reads the group of the topic's name."""
    settings = KafkaSettings(kafka_bootstrap_servers=kafka, tokens_topic=topic_base, kafka_group_id=topic_base)
    reader = LagReader(settings, timeout_seconds=20)
    yield reader
    await reader.close()


async def produce(kafka: str, topic: str, counts: dict[int, int]) -> None:
    """Produce so many records to each partition."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all")
    await producer.start()
    try:
        for partition, count in counts.items():
            sent = [await producer.send(topic, str(number).encode(), partition=partition) for number in range(count)]
            await asyncio.gather(*sent)
    finally:
        await producer.stop()


class HeldUp(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """A member that gives its partitions back when it is told to, and so holds a rebalance up."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.may_go_on = asyncio.Event()

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Hold the rebalance up, unless this is the first join."""
        if revoked:
            self.asked.set()
            await asyncio.wait_for(self.may_go_on.wait(), 60)

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Take them."""


def member(kafka: str, topic: str) -> AIOKafkaConsumer:
    """Make a member that commits only when it is told to."""
    return AIOKafkaConsumer(
        bootstrap_servers=kafka, group_id=topic, enable_auto_commit=False, auto_offset_reset="earliest",
        rebalance_timeout_ms=60_000, heartbeat_interval_ms=200,
    )  # fmt: skip


async def test_a_group_that_does_not_exist_has_the_whole_topic_before_it(kafka: str, topic: str, reader: LagReader) -> None:
    """Never committed is said to be so, is a lag all the same, and is not taken for unknown."""
    reading = await reader.read()
    assert (reading.members, reading.lag, reading.is_complete) == (0, 60, True)
    assert [each.lag for each in reading.partitions] == [10, 20, 30]
    assert all(each.never_committed and each.committed_offset is None for each in reading.partitions)


async def test_without_members_both_agree_and_only_what_was_committed_is_a_commit(
    kafka: str, topic: str, reader: LagReader
) -> None:
    """No worker runs; one partition was never committed, which the tool does not list without a member."""
    committed = {TopicPartition(topic, 0): 4, TopicPartition(topic, 2): 30}
    await commit_offsets(kafka, topic, committed)
    reading = await reader.read()
    assert [each.lag for each in reading.partitions] == [6, 20, 0]
    assert [each.never_committed for each in reading.partitions] == [False, True, False]
    ours = as_tool_rows(reading)
    assert (await ask_kafkas_tool(kafka, topic)).rows == {at: ours[at] for at in committed}


async def test_before_the_first_commit_and_during_a_rebalance_both_agree(kafka: str, topic: str, reader: LagReader) -> None:
    """A member that has not committed; then a joiner that waits for it while it commits in the midst of the rebalance."""
    listener, first, second = HeldUp(), member(kafka, topic), member(kafka, topic)
    first.subscribe([topic], listener=listener)
    second.subscribe([topic])
    await first.start()
    try:
        reading, told = await reader.read(), await ask_kafkas_tool(kafka, topic)
        assert told.rows == as_tool_rows(reading)
        assert [row.lag for row in told.rows.values()] == [None] * PARTITIONS
        assert (reading.members, reading.lag) == (1, 60)

        joining = asyncio.create_task(second.start())
        await asyncio.wait_for(listener.asked.wait(), 20)
        await first.commit({TopicPartition(topic, number): 5 for number in range(PARTITIONS)})
        reading, told = await reader.read(), await ask_kafkas_tool(kafka, topic)
        assert "rebalancing" in told.text
        assert told.rows == as_tool_rows(reading)
        assert [each.lag for each in reading.partitions] == [5, 15, 25]
        listener.may_go_on.set()
        await asyncio.wait_for(joining, 20)

        async def both_are_in() -> None:
            assert (await reader.read()).members == 2

        await eventually(both_are_in, timeout_seconds=20)
    finally:
        listener.may_go_on.set()
        await asyncio.gather(first.stop(), second.stop())


async def test_deleted_records_are_behind_nobody(kafka: str, topic: str, reader: LagReader) -> None:
    """Below the commit nothing changes. Above it Kafka's tool goes on counting what is gone; the log's start is true."""
    below, above = TopicPartition(topic, 1), TopicPartition(topic, 2)
    await commit_offsets(kafka, topic, {below: 10, above: 10})
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.delete_records({below: RecordsToDelete(before_offset=7), above: RecordsToDelete(before_offset=25)})
    finally:
        await admin.close()
    reading, told = await reader.read(), (await ask_kafkas_tool(kafka, topic)).rows
    ours = by_partition(reading)
    assert (ours[below].start_offset, ours[below].lag) == (7, 10)
    assert told[below] == as_tool_rows(reading)[below]
    assert (ours[above].committed_offset, ours[above].start_offset, ours[above].lag) == (10, 25, 5)
    assert (told[above].committed, told[above].lag) == (10, 20)


async def test_partitions_that_are_added_and_topics_that_come_or_go_are_seen_at_once(
    kafka: str, topic: str, reader: LagReader
) -> None:
    """The same reader, one reading after the other; a retry topic of any delay counts, other topics do not."""
    assert len((await reader.read()).partitions) == PARTITIONS
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        retry, *others = f"{topic}.retry.90s", f"{topic}.dlq", f"{topic}.retry.later", f"{topic}-2"
        await admin.create_topics([NewTopic(each, 1, 1) for each in (retry, *others)])

        async def they_are_seen() -> None:
            reading = await reader.read()
            assert reading.partitions_of_topics == {topic: PARTITIONS, retry: 1}
            assert reading.lag == 60

        await eventually(they_are_seen, timeout_seconds=10)
        await admin.delete_topics([topic])

        async def it_is_gone() -> None:
            reading = await reader.read()
            assert (reading.partitions_of_topics, reading.lag) == ({retry: 1}, 0)

        await eventually(it_is_gone, timeout_seconds=10)
    finally:
        await admin.close()


async def test_while_a_worker_runs_the_tool_lies_between_two_of_our_readings(system: System) -> None:
    """Commits go on all the time: no offset of the tool is below our reading before it, or above the one behind it."""
    settings = KafkaSettings(
        kafka_bootstrap_servers=system.kafka, tokens_topic=system.topic, kafka_group_id=system.topic, tokens_partitions=6
    )
    system.mock.behave(latency_min_seconds=0.3, latency_max_seconds=0.6)
    await system.produce(f"t{number}".encode() for number in range(2_000))
    worker, reader = system.start_worker(), LagReader(settings, timeout_seconds=20)
    try:
        await worker.ready()
        await system.wait_for(200)
        before = by_partition(await reader.read())
        told = (await ask_kafkas_tool(system.kafka, system.topic)).rows
        after = by_partition(await reader.read())
        assert set(before) == set(after)
        assert set(told) == set(before), "the worker has its partitions of the retry topic too"
        assert sum(each.lag or 0 for each in before.values()) > sum(each.lag or 0 for each in after.values())
        for at, row in told.items():
            assert (before[at].committed_offset or 0) <= (row.committed or 0) <= (after[at].committed_offset or 0)
            assert row.end == before[at].end_offset == after[at].end_offset
        await system.wait_for(2_000)
        await system.drained()
        await worker.terminate()
        reading = await reader.read()
        assert (reading.lag, reading.lag_seconds, reading.members) == (0, 0.0, 0)
        ours = {at: row for at, row in as_tool_rows(reading).items() if row.committed is not None}
        assert (await ask_kafkas_tool(system.kafka, system.topic)).rows == ours
    finally:
        await reader.close()
