"""The Kafka consumer behind consumers.ports.Source: a handler-less FastStream subscriber whose consumer the engine drives.

Not a handler: FastStream swallows what a handler or the parser raises after the position has moved, so records would be
lost without a trace (facts: faststream, A4; docs/decisions/0001).
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from aiokafka import ConsumerRebalanceListener
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.structs import TopicPartition
from faststream import AckPolicy
from faststream.kafka import KafkaBroker

from consumers.engine.intake import PolledRecord
from consumers.header_names import accept_any_header_name
from consumers.settings import HEARTBEAT_MS, WorkerSettings
from topics.positions import Position, read_positions

PARTITION_FETCH_BYTES = 262_144
"""Small chunks interleave partitions fairly; calls go on in an outage from what was prefetched (facts: engine, 5)."""
POLL_WATCHDOG_OFF_MS = 2**31 - 1
"""A closed gate may stop polling for hours; being alive is the watchdog's question, not the broker's."""


BeforePoll = Callable[[Collection[TopicPartition]], Awaitable[None]]


class SubscriberSource:
    """Implements consumers.ports.Source. `subscribe` before the broker starts; poll and commit while it runs."""

    def __init__(self, broker: KafkaBroker, settings: WorkerSettings, *, before_poll: BeforePoll) -> None:
        self._broker = broker
        self._before_poll = before_poll
        self._settings = settings
        self._subscriber: Any = None  # FastStream's subscriber; its consumer is None before start and after stop

    def subscribe(self, topics: Sequence[str], listener: ConsumerRebalanceListener) -> None:
        """Declare the subscription; the broker's start joins the group."""
        accept_any_header_name()
        self._subscriber = self._broker.subscriber(
            *topics, ack_policy=AckPolicy.MANUAL, listener=listener, **consumer_options(self._settings)
        )

    def member_id(self) -> str:
        """Name this member as the broker does; empty while the broker does not know it, or not any more."""
        member_id: str = self._subscriber.consumer._coordinator.member_id  # noqa: SLF001 - aiokafka 0.14 has no other way
        return member_id

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int, max_records: int
    ) -> Mapping[TopicPartition, Sequence[PolledRecord]]:
        """Poll; see consumers.ports.Source."""
        await self._before_poll(partitions)
        polled: Mapping[TopicPartition, Sequence[PolledRecord]] = await self._subscriber.consumer.getmany(
            *partitions, timeout_ms=timeout_ms, max_records=max_records
        )
        return polled

    async def commit(self, offsets: Mapping[TopicPartition, tuple[int, str]]) -> None:
        """Commit; see consumers.ports.Source."""
        await self._subscriber.consumer.commit(dict(offsets))

    async def read_to(self, partition: TopicPartition) -> int:
        """Return where the next poll begins; see consumers.ports.Source."""
        return int(await self._subscriber.consumer.position(partition))

    async def positions(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, Position]:
        """Read the group's positions; see consumers.ports.Source."""
        return await read_positions(self._settings, partitions)


def consumer_options(settings: WorkerSettings) -> dict[str, Any]:
    """Arguments of the consumer.

    A record of an aborted transaction was never acknowledged to its producer, so it is not looked up (read_committed).
    Range keeps partition n of `tokens` and of the retry topic together, so that copies of a record meet one worker.
    """
    return {
        "group_id": settings.kafka_group_id,
        "group_instance_id": settings.static_id,
        "auto_offset_reset": "earliest",
        "isolation_level": "read_committed",
        "partition_assignment_strategy": (RangePartitionAssignor,),
        "max_partition_fetch_bytes": PARTITION_FETCH_BYTES,
        "max_poll_interval_ms": POLL_WATCHDOG_OFF_MS,
        "session_timeout_ms": int(settings.kafka_session_timeout_seconds * 1000),
        "heartbeat_interval_ms": HEARTBEAT_MS,
        "rebalance_timeout_ms": int(settings.rebalance_timeout_seconds * 1000),
    }
