"""A broker that takes everything but commits: its offsets topic refuses every record as too large.

Fetches, heartbeats and produces go on. A rebalance cannot end either while it lasts, for the group's metadata lie there too.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

OFFSETS_TOPIC: Final = "__consumer_offsets"
TOO_SMALL: Final = {"max.message.bytes": "10"}
SET_ON_THE_TOPIC: Final = 1
"""Kafka's ConfigSource DYNAMIC_TOPIC_CONFIG."""


@asynccontextmanager
async def commits_refused(kafka: str) -> AsyncIterator[None]:
    """Let every commit of every group fail until the block ends. It needs a broker of its own."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        own = await _own_settings(admin)
        await _replace(admin, own | TOO_SMALL)
        try:
            yield
        finally:
            await _replace(admin, own)
    finally:
        await admin.close()


async def _own_settings(admin: AIOKafkaAdminClient) -> dict[str, str]:
    """Read what is set on the topic itself; a replacement must name all of it."""
    (response,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, OFFSETS_TOPIC)])
    ((code, message, _kind, _name, entries),) = response.resources
    assert not code, message
    return {name: value for name, value, _read_only, source, *_ in entries if source == SET_ON_THE_TOPIC}


async def _replace(admin: AIOKafkaAdminClient, settings: dict[str, str]) -> None:
    (response,) = await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, OFFSETS_TOPIC, settings)])
    ((code, message, _kind, _name),) = response.resources
    assert not code, message
