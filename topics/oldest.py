"""How far back the logs go: the append time of the oldest record that could still be read. For whoever deletes by age."""

import asyncio
import contextlib
from time import time
from typing import Final

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, LeaderNotAvailableError
from aiokafka.structs import TopicPartition

from topics.connection import client_options
from topics.first_timestamp import first_append_time
from topics.lag_requests import starts_and_ends, timestamps
from topics.provision import is_retry_topic
from topics.settings import KafkaSettings

READ_SECONDS: Final = 15.0
CLOSE_SECONDS: Final = 2.0
REQUEST_TIMEOUT_MS: Final = 5_000


async def oldest_record_ms(settings: KafkaSettings) -> int:
    """Return when the oldest record of the tokens topic and of every retry topic was appended; where there is none: now.

    Milliseconds since 1970. Everything that was appended before is gone from the logs. All or nothing: a partition that
    does not tell raises, one whose first record has its producer's timestamp (CreateTime) too. Whoever cancels it waits for
    what is being read, READ_SECONDS at the most: a bootstrap that is cancelled leaves its connection open (aiokafka 0.14).

    Raises:
        KafkaError, OSError: a broker does not answer, a partition has no leader now, or its first record no append time.

    """
    reading = asyncio.get_running_loop().create_task(_reading(settings))
    try:
        return await asyncio.shield(reading)
    except asyncio.CancelledError:
        await asyncio.wait((reading,))
        raise


async def _reading(settings: KafkaSettings) -> int:
    client = AIOKafkaClient(client_id="tokenflow-oldest", request_timeout_ms=REQUEST_TIMEOUT_MS, **client_options(settings))
    try:
        async with asyncio.timeout(READ_SECONDS):
            await client.bootstrap()
            return await _read(client, settings.tokens_topic)
    finally:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(client.close(), CLOSE_SECONDS)


async def _read(client: AIOKafkaClient, base: str) -> int:
    now_ms = int(time() * 1000)
    cluster = await client.fetch_all_metadata()
    topics = [each for each in cluster.topics() if each == base or is_retry_topic(each, base)]
    partitions = [TopicPartition(topic, number) for topic in topics for number in cluster.partitions_for_topic(topic) or ()]
    if base not in topics:
        raise KafkaError(f"there is no topic {base}")
    starts, ends = await starts_and_ends(client, cluster, partitions)
    silent = [at for at in partitions if at not in starts or at not in ends]
    if silent:
        raise LeaderNotAvailableError(f"no leader tells the offsets of {silent[0].topic}-{silent[0].partition}")
    heads = {at: starts[at] for at in partitions if starts[at] < ends[at]}
    stamps = await timestamps(client, cluster, heads, read=first_append_time)
    unread = [at for at in heads if at not in stamps]
    if unread:
        where = f"{unread[0].topic}-{unread[0].partition}"
        raise KafkaError(f"the first record of {where} does not tell when it came: see that its topic has LogAppendTime")
    return min(stamps.values(), default=now_ms)
