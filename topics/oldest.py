"""How far back the logs go: the append time of the oldest record that could still be read. For whoever deletes by age."""

import asyncio
import contextlib
from time import time
from typing import Final

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, LeaderNotAvailableError
from aiokafka.structs import TopicPartition

from topics.connection import client_options
from topics.lag_requests import starts_and_ends, timestamps
from topics.provision import is_retry_topic
from topics.settings import KafkaSettings

READ_SECONDS: Final = 15.0
CLOSE_SECONDS: Final = 2.0
REQUEST_TIMEOUT_MS: Final = 5_000


async def oldest_record_ms(settings: KafkaSettings) -> int:
    """Return when the oldest record of the tokens topic and of every retry topic was appended; where there is none: now.

    Milliseconds since 1970. Everything that was appended before is gone from the logs. All or nothing: a partition that
    does not tell raises.

    Raises:
        KafkaError, OSError: a broker does not answer, or a partition has no leader now.

    """
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
    stamps = await timestamps(client, cluster, heads)
    unread = [at for at in heads if at not in stamps]
    if unread:
        raise KafkaError(f"the first record of {unread[0].topic}-{unread[0].partition} cannot be read")
    return min(stamps.values(), default=now_ms)
