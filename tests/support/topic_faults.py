"""A broker that refuses what one topic is sent, and takes everything else.

Commits: the offsets topic refuses every record as too large. Fetches, heartbeats and produces go on. A rebalance cannot end
either while it lasts, for the group's metadata lie there too. Produces: the topic is
compacted, and takes no record without a key.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

OFFSETS_TOPIC: Final = "__consumer_offsets"
TOO_SMALL: Final = {"max.message.bytes": "10"}
COMPACTED: Final = {"cleanup.policy": "compact"}
SET_ON_THE_TOPIC: Final = 1
"""Kafka's ConfigSource DYNAMIC_TOPIC_CONFIG."""


@asynccontextmanager
async def commits_refused(kafka: str) -> AsyncIterator[None]:
    """Let every commit of every group fail until the block ends. It needs a broker of its own."""
    async with set_otherwise(kafka, OFFSETS_TOPIC, TOO_SMALL):
        yield


@asynccontextmanager
async def produces_refused(kafka: str, topic: str) -> AsyncIterator[None]:
    """Let the broker refuse every record without a key that this topic is sent (INVALID_RECORD), until the block ends.

    More replicas in sync than there are would be refused by no broker of today: it takes the lesser number (Kafka 4).
    """
    async with set_otherwise(kafka, topic, COMPACTED):
        yield


@asynccontextmanager
async def set_otherwise(kafka: str, topic: str, settings: dict[str, str]) -> AsyncIterator[None]:
    """Change some of a topic's settings until the block ends."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        own = await _own_settings(admin, topic)
        await _replace(admin, topic, own | settings)
        try:
            yield
        finally:
            await _replace(admin, topic, own)
    finally:
        await admin.close()


async def _own_settings(admin: AIOKafkaAdminClient, topic: str) -> dict[str, str]:
    """Read what is set on the topic itself; a replacement must name all of it."""
    (response,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    ((code, message, _kind, _name, entries),) = response.resources
    assert not code, message
    return {name: value for name, value, _read_only, source, *_ in entries if source == SET_ON_THE_TOPIC}


async def _replace(admin: AIOKafkaAdminClient, topic: str, settings: dict[str, str]) -> None:
    (response,) = await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, settings)])
    ((code, message, _kind, _name),) = response.resources
    assert not code, message
