"""Reads the log as a worker finds it, and where its group is. Joins no group, moves no offset."""

import asyncio
import re
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from types import TracebackType
from typing import Final, Self

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import CorruptRecordException, GroupCoordinatorNotAvailableError, KafkaError
from aiokafka.structs import TopicPartition

from consumers.engine.intake import Intake, PolledRecord, make_intake
from consumers.engine.record import Record
from consumers.engine.window import PartitionWindow
from consumers.header_names import accept_any_header_name
from infra.errors import ExpectedError
from infra.replay.asked import Asked
from topics.connection import KafkaConnectionError, client_options
from topics.positions import Position, read_positions
from topics.provision import list_retry_topics
from topics.settings import KafkaSettings

ANSWER_SECONDS: Final = 20.0
"""For each thing that Kafka is asked."""
COORDINATOR_SECONDS: Final = 0.3
POLL_MS: Final = 1_000
POLL_RECORDS: Final = 500
QUIET_POLLS: Final = 10
"""So many polls without a record: the broker does not send what it has, or, above the committed offset, it may not, for a
transaction is open."""

Range = tuple[int, int]
"""First offset, and the one behind the last."""


class LogError(ExpectedError):
    """The log cannot be read as asked; the text says what to do."""


class Log:
    """A consumer of its own. Enter it before anything else."""

    def __init__(self, settings: KafkaSettings) -> None:
        accept_any_header_name()
        self._settings = settings
        self._set_aside: frozenset[tuple[str, int, int]] = frozenset()
        self._intake: Intake = make_intake(re.compile(settings.token_pattern) if settings.token_pattern else None)
        self._consumer = AIOKafkaConsumer(
            enable_auto_commit=False,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            **client_options(settings),
        )

    async def __aenter__(self) -> Self:
        """Connect. Raises KafkaConnectionError."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._consumer.start()
        except (KafkaError, OSError) as error:
            await self._consumer.stop()
            raise KafkaConnectionError(self._settings) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._consumer.stop()

    def leave_out(self, places: Collection[tuple[str, int, int]]) -> None:
        """Look at none of these records (topic, partition, offset): to look may be what ends who looks. Before any read."""
        self._set_aside = frozenset(places)

    async def below_committed(self, asked: Asked) -> tuple[dict[TopicPartition, Range], list[str]]:
        """Return what of each partition is meant, up to the group's committed offset; and what must be said about it.

        Raises:
            LogError: a partition that is named does not exist.
            KafkaConnectionError: no broker answers.

        """
        topic = self._settings.tokens_topic
        positions = await self._positions([topic])
        unknown = [number for number in asked.from_offsets if TopicPartition(topic, number) not in positions]
        if unknown:
            raise LogError(f"{topic} has no partition {unknown[0]}: it has {len(positions)}, from 0.")
        starts = await self._starts(asked, positions)
        sayings = [
            f"{at.topic}-{at.partition}: {where.start - where.committed:,} records below offset {where.start} were deleted "
            "before they were read; no replay brings them back"
            for at, where in positions.items()
            if where.committed is not None and where.committed < where.start
        ]
        ranges = {at: (starts[at], positions[at].committed or 0) for at in starts}
        if asked.from_offsets:
            sayings += [
                f"{at.topic}-{at.partition}: what lies from offset {first} on is still to come, the group is at {behind}"
                for at, (first, behind) in ranges.items()
                if first >= behind
            ]
        return {at: (first, behind) for at, (first, behind) in ranges.items() if first < behind}, sayings

    async def above_committed(self) -> dict[TopicPartition, Range]:
        """Return what is still to come: of the tokens topic and of every retry topic, from the committed offset on."""
        topics = [self._settings.tokens_topic, *await list_retry_topics(self._settings)]
        found = {
            at: (max(where.start, where.committed or 0), where.end) for at, where in (await self._positions(topics)).items()
        }
        return {at: (first, behind) for at, (first, behind) in found.items() if first < behind}

    async def read(
        self, ranges: Mapping[TopicPartition, Range], *, open_ended: bool = False
    ) -> AsyncIterator[Sequence[Record]]:
        """Yield the records of these ranges, a partition after the other, in their order.

        `open_ended`: at the end there may be records of transactions that are open, which nobody reads yet.

        Raises:
            LogError: a record cannot be read by any client, or the broker does not send a range to its end.
            KafkaConnectionError: no broker answers.

        """
        for at, (first, behind) in ranges.items():
            self._consumer.assign([at])
            self._consumer.seek(at, first)
            quiet = 0
            while quiet < QUIET_POLLS and await self._position(at) < behind:
                polled = await self._poll(at)
                quiet = 0 if polled else quiet + 1
                records = [
                    self._intake(each, PartitionWindow())
                    for each in polled
                    if each.offset < behind and (each.topic, each.partition, each.offset) not in self._set_aside
                ]
                if records:
                    yield records
            if quiet == QUIET_POLLS and not open_ended:
                raise LogError(
                    f"Kafka sends nothing of {at.topic}-{at.partition} from offset {await self._position(at)} on, up to "
                    f"{behind}: see that its leader is well, and run the same replay again."
                )

    async def _poll(self, at: TopicPartition) -> Sequence[PolledRecord]:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                polled = await self._consumer.getmany(at, timeout_ms=POLL_MS, max_records=POLL_RECORDS)
        except (CorruptRecordException, UnicodeDecodeError) as error:
            where = await self._position(at)
            raise LogError(
                f"{at.topic}[{at.partition}]@{where} cannot be read by any client ({error!r}): replay what follows with "
                f"--from-offset {at.partition}:{where + 1}."
            ) from error
        except (KafkaError, OSError) as error:
            raise KafkaConnectionError(self._settings) from error
        return [record for records in polled.values() for record in records]

    async def _position(self, at: TopicPartition) -> int:
        async with asyncio.timeout(ANSWER_SECONDS):
            return int(await self._consumer.position(at))

    async def _positions(self, topics: Collection[str]) -> dict[TopicPartition, Position]:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                cluster = await self._consumer._client.fetch_all_metadata()  # noqa: SLF001 - asks without a subscription
                partitions = [
                    TopicPartition(topic, number)
                    for topic in topics
                    for number in sorted(cluster.partitions_for_topic(topic) or ())
                ]
                if not partitions:
                    raise LogError(f"There is no topic {self._settings.tokens_topic}: correct TOKENS_TOPIC.")
                return await self._read_positions(partitions)
        except (KafkaError, OSError) as error:
            raise KafkaConnectionError(self._settings) from error

    async def _read_positions(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, Position]:
        """Read positions once there is a coordinator: at the first question ever, the broker makes the topic for it."""
        while True:
            try:
                return dict(await read_positions(self._settings, partitions))
            except GroupCoordinatorNotAvailableError:
                await asyncio.sleep(COORDINATOR_SECONDS)

    async def _starts(self, asked: Asked, positions: Mapping[TopicPartition, Position]) -> dict[TopicPartition, int]:
        """Return where each meant partition begins to be of interest, its log's start at the least."""
        if asked.from_offsets:
            named = {at: asked.from_offsets[at.partition] for at in positions if at.partition in asked.from_offsets}
            return {at: max(offset, positions[at].start) for at, offset in named.items()}
        if asked.since_ms is None:
            return {at: where.start for at, where in positions.items()}
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                found = await self._consumer.offsets_for_times(dict.fromkeys(positions, asked.since_ms))
        except (KafkaError, OSError) as error:
            raise KafkaConnectionError(self._settings) from error
        return {at: max(where.offset, positions[at].start) for at, where in found.items() if where is not None}
