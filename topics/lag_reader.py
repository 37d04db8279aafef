"""Reads the lag of a group off the brokers: one connection for all readings, and one deadline for each.

A reading is seven requests to a single broker, three more for every further one; a partition whose first batch is large
costs one of its own. Committed offsets are read first and the ends after them, so that no end is below the commit it is
compared with. One task at a time reads.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from time import time
from typing import Final

from aiokafka.client import AIOKafkaClient
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
)
from aiokafka.structs import TopicPartition

from topics.connection import KafkaConnectionError, client_options
from topics.lag import NEVER_COMMITTED, GroupLag, PartitionOffsets, group_lag
from topics.lag_requests import group_state, starts_and_ends, timestamps
from topics.provision import is_retry_topic
from topics.settings import KafkaSettings

TIMEOUT_SECONDS: Final = 5.0
"""For a whole reading, connecting included; a broker on the same machine needs some 10 ms."""
REQUESTS_IN_A_ROW: Final = 4
"""One request gets this part of the time, so that a broker which is silent leaves time to ask the others."""
_CLOSE_SECONDS = 2.0
_REFUSALS = (ClusterAuthorizationFailedError, GroupAuthorizationFailedError, TopicAuthorizationFailedError)


class LagError(Exception):
    """The broker answered, and refused; the text is one sentence with its reason."""


class LagReader:
    """Reads one group's lag on `tokens` and every retry topic that exists. Connects at the first reading."""

    def __init__(
        self, settings: KafkaSettings, *, timeout_seconds: float = TIMEOUT_SECONDS, clock: Callable[[], float] = time
    ) -> None:
        self._settings = settings
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._client: AIOKafkaClient | None = None

    async def read(self) -> GroupLag:
        """Take one reading. A failed one closes the connection; the next begins anew.

        Raises:
            KafkaConnectionError: no broker answers within the time.
            LagError: the broker refuses, for example because the user may not see the group.

        """
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._read(await self._connected())
        except _REFUSALS as error:
            await self.close()
            raise LagError(f"Kafka refuses: {error}; grant Describe on the group and the topics.") from error
        except (KafkaError, OSError) as error:  # TimeoutError is an OSError
            await self.close()
            raise KafkaConnectionError(self._settings) from error
        except asyncio.CancelledError:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the connection. Safe to call twice, and before the first reading."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(client.close(), _CLOSE_SECONDS)

    async def _connected(self) -> AIOKafkaClient:
        if self._client is None:
            timeout_ms = int(self._timeout_seconds * 1000 / REQUESTS_IN_A_ROW)
            self._client = AIOKafkaClient(
                client_id="tokenflow-lag", request_timeout_ms=timeout_ms, **client_options(self._settings)
            )
            await self._client.bootstrap()
        return self._client

    async def _read(self, client: AIOKafkaClient) -> GroupLag:
        group = self._settings.kafka_group_id
        cluster = await client.fetch_all_metadata()
        partitions = self._partitions(cluster)
        committed, members = await group_state(client, group)
        starts, ends = await starts_and_ends(client, cluster, partitions)
        offsets = {
            at: PartitionOffsets(
                committed=None if committed is None else committed.get(at, NEVER_COMMITTED),
                start=starts.get(at),
                end=ends.get(at),
            )
            for at in partitions
        }
        now_ms = self._clock() * 1000
        heads = {at: each.head for at, each in offsets.items() if each.lag and each.head is not None}
        stamps = await timestamps(client, cluster, heads)
        stamped = {at: replace(each, head_timestamp_ms=stamps.get(at)) for at, each in offsets.items()}
        return group_lag(group, stamped, members=members, now_ms=now_ms)

    def _partitions(self, cluster: ClusterMetadata) -> list[TopicPartition]:
        base = self._settings.tokens_topic
        topics = (each for each in cluster.topics() if each == base or is_retry_topic(each, base))
        return [TopicPartition(topic, number) for topic in topics for number in cluster.partitions_for_topic(topic) or ()]
