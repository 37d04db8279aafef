"""Where a group left off in some partitions, with its last owner's mark: one reading over a connection of its own.

The marks are the metadata of the committed offsets: `running` while a worker may have calls whose answers are not stored,
`clean` after a drain that left none. A reading asks raw requests, since aiokafka's consumer hides the metadata.
"""

import asyncio
import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import LeaderNotAvailableError
from aiokafka.structs import TopicPartition

from topics.connection import client_options
from topics.lag_requests import committed_positions, starts_and_ends
from topics.settings import KafkaSettings

RUNNING: Final = "running"
CLEAN: Final = "clean"
_CLOSE_SECONDS = 2.0
_REQUEST_TIMEOUT_MS = 2_000


@dataclass(frozen=True, slots=True)
class Position:
    """A partition as a new owner finds it: committed offset (None = never) with its mark, log start, log end."""

    committed: int | None
    mark: str
    start: int
    end: int


async def read_positions(
    settings: KafkaSettings, partitions: Collection[TopicPartition]
) -> Mapping[TopicPartition, Position]:
    """Read the positions of the group in these partitions. No deadline of its own; safe to cancel and to repeat.

    Raises:
        KafkaError: a broker does not answer, or a partition has no leader now.

    """
    client = AIOKafkaClient(
        client_id="tokenflow-positions", request_timeout_ms=_REQUEST_TIMEOUT_MS, **client_options(settings)
    )
    try:
        await client.bootstrap()
        return await _read(client, settings.kafka_group_id, partitions)
    finally:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(client.close(), _CLOSE_SECONDS)


async def _read(
    client: AIOKafkaClient, group: str, partitions: Collection[TopicPartition]
) -> Mapping[TopicPartition, Position]:
    cluster = await client.fetch_all_metadata()
    coordinator = await client.coordinator_lookup(0, group)
    committed = await committed_positions(client, coordinator, group)
    starts, ends = await starts_and_ends(client, cluster, partitions)
    leaderless = [at for at in partitions if at not in starts or at not in ends]
    if leaderless:
        raise LeaderNotAvailableError(f"no leader tells the offsets of {leaderless[0].topic}-{leaderless[0].partition}")
    found: dict[TopicPartition, Position] = {}
    for at in partitions:
        offset, mark = committed.get(at, (None, ""))
        found[at] = Position(offset, mark, starts[at], ends[at])
    return found
