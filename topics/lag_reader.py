"""Reads the lag of a group off the brokers: one connection for all readings, five requests a reading, one deadline.

Committed offsets are read first and the ends after them, so that no end is below the commit it is compared with. The
requests are aiokafka's own, sent by its client: its admin client takes "not the coordinator" for "never committed" (0.14),
and its consumer would ask partition by partition. One task at a time reads; nothing here changes anything on the brokers.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from time import time
from typing import Any, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaError,
    NodeNotReadyError,
    NotCoordinatorForGroupError,
    RequestTimedOutError,
    TopicAuthorizationFailedError,
    for_code,
)
from aiokafka.errors import KafkaConnectionError as ClientConnectionError
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest, OffsetResetStrategy
from aiokafka.structs import TopicPartition

from topics.connection import KafkaConnectionError, client_options
from topics.first_timestamp import first_timestamp, has_whole_batch
from topics.lag import NEVER_COMMITTED, GroupLag, PartitionOffsets, group_lag
from topics.provision import is_retry_topic
from topics.settings import KafkaSettings

TIMEOUT_SECONDS: Final = 5.0
"""For a whole reading, connecting included; a broker on the same machine needs some 10 ms."""
COORDINATOR_SECONDS: Final = 1.5
"""How long a reading waits for a coordinator that moves or loads; after that the commits are unknown this time."""
RETRY_SECONDS: Final = 0.1
FETCH_BYTES: Final = 65_536
"""Read of each partition to find one timestamp; a larger batch is read again by itself, whole."""
_CLOSE_SECONDS = 2.0
_COORDINATOR_AWAY = (
    GroupLoadInProgressError,
    GroupCoordinatorNotAvailableError,
    NotCoordinatorForGroupError,
    NodeNotReadyError,
    RequestTimedOutError,
    ClientConnectionError,
)
_REFUSALS = (ClusterAuthorizationFailedError, GroupAuthorizationFailedError, TopicAuthorizationFailedError)
_READ_UNCOMMITTED = 0  # as Kafka's own tool: the end is the high watermark
_CONSUMER = -1  # for "not a replica"

Committed = Mapping[TopicPartition, int]


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
            timeout_ms = int(self._timeout_seconds * 1000)
            self._client = AIOKafkaClient(
                client_id="tokenflow-lag", request_timeout_ms=timeout_ms, **client_options(self._settings)
            )
            await self._client.bootstrap()
        return self._client

    async def _read(self, client: AIOKafkaClient) -> GroupLag:
        group = self._settings.kafka_group_id
        cluster = await client.fetch_all_metadata()
        partitions = self._partitions(cluster)
        committed, members = await _group(client, group)
        starts, ends = await _starts_and_ends(client, cluster, partitions)
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
        stamps = await _timestamps(client, cluster, heads)
        stamped = {at: replace(each, head_timestamp_ms=stamps.get(at)) for at, each in offsets.items()}
        return group_lag(group, stamped, members=members, now_ms=now_ms)

    def _partitions(self, cluster: ClusterMetadata) -> list[TopicPartition]:
        base = self._settings.tokens_topic
        topics = (each for each in cluster.topics() if each == base or is_retry_topic(each, base))
        return [TopicPartition(topic, number) for topic in topics for number in cluster.partitions_for_topic(topic) or ()]


async def _group(client: AIOKafkaClient, group: str) -> tuple[Committed | None, int | None]:
    """Read committed offsets and the number of members; None where the coordinator cannot tell now."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(COORDINATOR_SECONDS):
            while True:
                with contextlib.suppress(*_COORDINATOR_AWAY):
                    coordinator = await client.coordinator_lookup(0, group)
                    return await _committed(client, coordinator, group), await _members(client, coordinator, group)
                await asyncio.sleep(RETRY_SECONDS)
    return None, None


async def _committed(client: AIOKafkaClient, coordinator: int, group: str) -> Committed:
    """Read every committed offset of the group; a partition that is absent was never committed."""
    answer = await client.send(coordinator, OffsetFetchRequest(group, None))
    _raise_for(answer.error_code)
    found: dict[TopicPartition, int] = {}
    for topic, partitions in answer.topics:
        for number, offset, _metadata, code in partitions:
            _raise_for(code)
            found[TopicPartition(topic, number)] = offset
    return found


async def _members(client: AIOKafkaClient, coordinator: int, group: str) -> int:
    """Count the members; a group that does not exist has none (the broker describes it as Dead)."""
    answer = await client.send(coordinator, DescribeGroupsRequest([group], include_authorized_operations=False))
    ((code, _group_id, _state, _type, _protocol, members, *_),) = answer.groups
    _raise_for(code)
    return len(members)


async def _starts_and_ends(
    client: AIOKafkaClient, cluster: ClusterMetadata, partitions: Iterable[TopicPartition]
) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
    """Read where each log starts and ends, both kinds from all leaders at once; what no leader tells is absent.

    A start that rises meanwhile by deletion stays below the end, which is at its place at that moment or later.
    """
    by_leader = _by_leader(cluster, partitions)
    kinds = (OffsetResetStrategy.EARLIEST, OffsetResetStrategy.LATEST)
    answers = await asyncio.gather(*(_offsets(client, node, by_leader[node], kind) for kind in kinds for node in by_leader))
    half = len(by_leader)
    return _merged(answers[:half]), _merged(answers[half:])


async def _offsets(
    client: AIOKafkaClient, leader: int, partitions: Iterable[TopicPartition], kind: int
) -> dict[TopicPartition, int]:
    request = OffsetRequest(_CONSUMER, _READ_UNCOMMITTED, _by_topic((at, (at.partition, kind)) for at in partitions))
    found: dict[TopicPartition, int] = {}
    with contextlib.suppress(KafkaError):  # this leader is away or no leader any more: its partitions are unknown
        answer = await client.send(leader, request)
        for topic, answered in answer.topics:
            for number, code, *_timestamp, offset in answered:
                if not code and isinstance(offset, int) and offset >= 0:
                    found[TopicPartition(topic, number)] = offset
    return found


async def _timestamps(
    client: AIOKafkaClient, cluster: ClusterMetadata, heads: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """Read the timestamp of the first record at or above each offset; what cannot be read is absent."""
    by_leader = _by_leader(cluster, heads)
    return _merged(
        await asyncio.gather(
            *(_timestamps_of(client, node, {at: heads[at] for at in partitions}) for node, partitions in by_leader.items())
        )
    )


async def _timestamps_of(
    client: AIOKafkaClient, leader: int, heads: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    found: dict[TopicPartition, int] = {}
    with contextlib.suppress(KafkaError):  # as above
        fetched = await _fetch(client, leader, heads)
        for at in [at for at, data in fetched.items() if not has_whole_batch(data)]:
            # Only the first partition of a request gets a batch that is larger than the limit (KIP-74); one behind it
            # gets a part of its own, or nothing.
            fetched |= await _fetch(client, leader, {at: heads[at]})
        for at, data in fetched.items():
            timestamp = first_timestamp(data, heads[at])
            if timestamp is not None:
                found[at] = timestamp
    return found


async def _fetch(client: AIOKafkaClient, leader: int, heads: Mapping[TopicPartition, int]) -> dict[TopicPartition, bytes]:
    """Fetch the record batches at each offset, at once with what there is; a partition with an error is absent."""
    wanted = _by_topic((at, (at.partition, offset, FETCH_BYTES)) for at, offset in heads.items())
    limit = FETCH_BYTES * max(1, len(heads))
    answer = await client.send(leader, FetchRequest(0, 0, limit, _READ_UNCOMMITTED, wanted))
    return {
        TopicPartition(topic, number): bytes(data or b"")
        for topic, partitions in answer.topics
        for number, code, _high_watermark, *_, data in partitions
        if not code
    }


def _by_leader(cluster: ClusterMetadata, partitions: Iterable[TopicPartition]) -> dict[int, list[TopicPartition]]:
    """Group partitions by the broker that leads them; one without a leader is left out."""
    found: dict[int, list[TopicPartition]] = {}
    for at in partitions:
        leader = cluster.leader_for_partition(at)
        if leader is not None and leader >= 0:
            found.setdefault(leader, []).append(at)
    return found


def _by_topic(partitions: Iterable[tuple[TopicPartition, tuple[int, ...]]]) -> list[tuple[str, list[Any]]]:
    """Shape (partition, what a request says of it) as requests take it."""
    found: dict[str, list[Any]] = {}
    for at, said in partitions:
        found.setdefault(at.topic, []).append(said)
    return list(found.items())


def _merged(parts: Iterable[Mapping[TopicPartition, int]]) -> dict[TopicPartition, int]:
    return {at: value for part in parts for at, value in part.items()}


def _raise_for(code: int) -> None:
    if code:
        raise for_code(code)
