"""The requests that a reading of the lag sends, by aiokafka's client: what they ask, and what of the answers counts.

They are sent raw because aiokafka's admin client (0.14) takes "not the coordinator" for "never committed", and its consumer
would ask partition by partition. Nothing here changes anything on the brokers. What cannot be read now is absent or None.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaConnectionError,
    KafkaError,
    NodeNotReadyError,
    NotCoordinatorForGroupError,
    RequestTimedOutError,
    for_code,
)
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest, OffsetResetStrategy
from aiokafka.structs import TopicPartition

from topics.first_timestamp import first_timestamp, has_whole_batch

COORDINATOR_SECONDS: Final = 1.5
"""How long a reading waits for a coordinator that moves or loads; after that the commits are unknown this time."""
LEADER_SECONDS: Final = 1.5
"""How long it waits for the leader of some partitions, connecting included; after that these are unknown this time."""
RETRY_SECONDS: Final = 0.1
FETCH_BYTES: Final = 65_536
"""Read of each partition to find one timestamp; a larger batch is read again by itself, whole."""
_COORDINATOR_AWAY = (
    GroupLoadInProgressError,
    GroupCoordinatorNotAvailableError,
    NotCoordinatorForGroupError,
    NodeNotReadyError,
    RequestTimedOutError,
    KafkaConnectionError,
)
_READ_UNCOMMITTED = 0  # as Kafka's own tool: the end is the high watermark
_CONSUMER = -1  # for "not a replica"

Committed = Mapping[TopicPartition, int]
ReadTimestamp = Callable[[bytes, int], int | None]
"""Record batches as they were fetched, and an offset -> the timestamp of the first record from there on."""


async def group_state(client: AIOKafkaClient, group: str) -> tuple[Committed | None, int | None]:
    """Read committed offsets and the number of members; None where the coordinator cannot tell now."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(COORDINATOR_SECONDS):
            while True:
                with contextlib.suppress(*_COORDINATOR_AWAY):
                    coordinator = await client.coordinator_lookup(0, group)
                    return await committed_offsets(client, coordinator, group), await _members(client, coordinator, group)
                await asyncio.sleep(RETRY_SECONDS)
    return None, None


async def committed_offsets(client: AIOKafkaClient, coordinator: int, group: str) -> Committed:
    """Read every committed offset of the group; a partition that is absent was never committed."""
    return {at: offset for at, (offset, _) in (await committed_positions(client, coordinator, group)).items()}


async def committed_positions(
    client: AIOKafkaClient, coordinator: int, group: str
) -> Mapping[TopicPartition, tuple[int, str]]:
    """Read every committed offset of the group with its metadata; a partition that is absent was never committed."""
    answer = await client.send(coordinator, OffsetFetchRequest(group, None))
    _raise_for(answer.error_code)
    found: dict[TopicPartition, tuple[int, str]] = {}
    for topic, partitions in answer.topics:
        for number, offset, metadata, code in partitions:
            _raise_for(code)
            found[TopicPartition(topic, number)] = (offset, metadata or "")
    return found


async def _members(client: AIOKafkaClient, coordinator: int, group: str) -> int:
    """Count the members; a group that does not exist has none (the broker describes it as Dead)."""
    answer = await client.send(coordinator, DescribeGroupsRequest([group], include_authorized_operations=False))
    ((code, _group_id, _state, _type, _protocol, members, *_),) = answer.groups
    _raise_for(code)
    return len(members)


async def starts_and_ends(
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
    # This leader is away, silent, or no leader any more: its partitions are unknown.
    with contextlib.suppress(KafkaError, TimeoutError):
        async with asyncio.timeout(LEADER_SECONDS):
            answer = await client.send(leader, request)
        for topic, answered in answer.topics:
            for number, code, *_timestamp, offset in answered:
                if not code and isinstance(offset, int) and offset >= 0:
                    found[TopicPartition(topic, number)] = offset
    return found


async def timestamps(
    client: AIOKafkaClient,
    cluster: ClusterMetadata,
    heads: Mapping[TopicPartition, int],
    *,
    read: ReadTimestamp = first_timestamp,
) -> dict[TopicPartition, int]:
    """Read the timestamp of the first record at or above each offset; what cannot be read is absent."""
    by_leader = _by_leader(cluster, heads)
    return _merged(
        await asyncio.gather(
            *(
                _timestamps_of(client, node, {at: heads[at] for at in partitions}, read)
                for node, partitions in by_leader.items()
            )
        )
    )


async def _timestamps_of(
    client: AIOKafkaClient, leader: int, heads: Mapping[TopicPartition, int], read: ReadTimestamp
) -> dict[TopicPartition, int]:
    found: dict[TopicPartition, int] = {}
    with contextlib.suppress(KafkaError):  # as above
        fetched = await _fetch(client, leader, heads)
        for at in [at for at, data in fetched.items() if not has_whole_batch(data)]:
            # Only the first partition of a request gets a batch that is larger than the limit (KIP-74); one behind it
            # gets a part of its own, or nothing.
            fetched |= await _fetch(client, leader, {at: heads[at]})
        for at, data in fetched.items():
            timestamp = read(data, heads[at])
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
