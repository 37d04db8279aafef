"""Lag as others see it: Kafka's own tool, and the record itself."""

import asyncio
import os
import subprocess
import sys
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.support.processes import ROOT
from topics.lag import GroupLag, PartitionLag

TOOL_SECONDS = 60


@dataclass(frozen=True, slots=True)
class ToolRow:
    """A partition as `kafka-consumer-groups --describe` prints it; None where it prints `-`."""

    committed: int | None
    end: int | None
    lag: int | None


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """Everything it prints; the rows by partition."""

    text: str
    rows: dict[TopicPartition, ToolRow]


def run_tokenflow(*arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end, as a user does in a folder where no stack runs."""
    return subprocess.run(  # noqa: S603 - our own command line
        [sys.executable, "-P", "-m", "infra.cli", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=TOOL_SECONDS,
    )


async def ask_kafkas_tool(kafka: str, group: str) -> ToolAnswer:
    """Describe the group by Kafka's own tool."""
    arguments = ("kafka", "consumer-groups", "--describe", "--group", group)
    done = await asyncio.to_thread(run_tokenflow, *arguments, KAFKA_BOOTSTRAP_SERVERS=kafka)
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith(f"{group} ")]
    rows = {TopicPartition(topic, int(number)): ToolRow(*map(_number, rest[:3])) for _, topic, number, *rest in lines}
    return ToolAnswer(done.stdout + done.stderr, rows)


def by_partition(reading: GroupLag) -> dict[TopicPartition, PartitionLag]:
    """Our reading in the same shape."""
    return {TopicPartition(each.topic, each.partition): each for each in reading.partitions}


def as_tool_rows(reading: GroupLag) -> dict[TopicPartition, ToolRow]:
    """Our reading as the tool would print it: what was never committed has no number there."""
    return {
        at: ToolRow(each.committed_offset, each.end_offset, None if each.never_committed else each.lag)
        for at, each in by_partition(reading).items()
    }


async def commit_offsets(kafka: str, group: str, offsets: dict[TopicPartition, int]) -> None:
    """Commit for a group without being its member."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(list(offsets))
        await consumer.commit(offsets)
    finally:
        await consumer.stop()


async def timestamp_at(kafka: str, at: TopicPartition, offset: int) -> int:
    """Timestamp of the first record at or above an offset, by an ordinary consumer."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([at])
        consumer.seek(at, offset)
        record = await asyncio.wait_for(consumer.getone(at), TOOL_SECONDS)
        return int(record.timestamp)
    finally:
        await consumer.stop()


def _number(text: str) -> int | None:
    return None if text == "-" else int(text)
