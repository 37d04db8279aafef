"""Watches that no committed offset of a retry topic is ever past a copy that is not settled.

A copy is settled where the row of its record is final, or says that its attempt, or a later one, was made.
"""

from collections.abc import Mapping
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaTimeoutError

from tests.support.hops import Hop, hop_of, partitions_of, stop_reading

ANSWER_MS = 3_000
POLL_MS = 50
POLLS_AT_MOST = 40
SETTLED_COPIES = """\
SELECT said.position
FROM unnest($1::uuid[], $2::int[]) WITH ORDINALITY AS said (record_id, attempt, position)
JOIN outcomes ON outcomes.record_id = said.record_id
WHERE outcomes.outcome <> 'retrying' OR outcomes.attempt >= said.attempt
"""


class CopyWatch:
    """Reads along in the retry topics of a base name. Its owner gives it offsets first, and a connection for the rows."""

    def __init__(self, kafka: str, base: str) -> None:
        self.complaints: list[str] = []
        self.behind = 0
        """Copies above the committed offsets, at the last look."""
        self.seen = 0
        self._kafka = kafka
        self._prefix = f"{base}.retry."
        self._consumer: AIOKafkaConsumer | None = None
        self._next: dict[TopicPartition, int] = {}
        self._unproved: dict[TopicPartition, list[Hop]] = {}

    async def look(
        self, committed: Mapping[TopicPartition, int], admin: AIOKafkaAdminClient, connection: asyncpg.Connection
    ) -> None:
        """Compare; whatever these offsets are past must be settled by now. Raises what says that a server is away."""
        consumer = await self._connected()
        await self._read_on(consumer, await partitions_of(admin, self._prefix))
        passed = [copy for tp, copies in self._unproved.items() for copy in copies if copy.offset < committed.get(tp, 0)]
        settled = await self._settled(passed, connection)
        self.complaints += [
            f"{copy.topic}-{copy.partition} is past {copy.offset}, attempt {copy.attempt} of {copy.token} is not done"
            for number, copy in enumerate(passed, start=1)
            if number not in settled
        ]
        for tp, copies in self._unproved.items():
            self._unproved[tp] = [copy for copy in copies if copy.offset >= committed.get(tp, 0)]
        self.behind = sum(end - committed.get(tp, 0) for tp, end in self._next.items())

    async def stop(self) -> None:
        """Let go of the broker. In an outage that is not called for: a consumer of no group goes on by itself."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await stop_reading(consumer)

    async def _connected(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            consumer = AIOKafkaConsumer(
                bootstrap_servers=self._kafka,
                enable_auto_commit=False,
                request_timeout_ms=ANSWER_MS,
                auto_offset_reset="earliest",
            )
            try:
                await consumer.start()
            except BaseException:
                await stop_reading(consumer)
                raise
            self._consumer = consumer
        return self._consumer

    async def _read_on(self, consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> None:
        """Read what was appended since the last look."""
        if set(partitions) != consumer.assignment():
            consumer.assign(partitions)
            for each in partitions:
                consumer.seek(each, self._next.setdefault(each, 0))
        if not partitions:
            return
        ends = await consumer.end_offsets(partitions)
        for _ in range(POLLS_AT_MOST):
            if all(self._next[each] >= ends[each] for each in partitions):
                return
            for tp, records in (await consumer.getmany(timeout_ms=POLL_MS)).items():
                self._unproved.setdefault(tp, []).extend(map(hop_of, records))
                self._next[tp] = records[-1].offset + 1
                self.seen += len(records)
        raise KafkaTimeoutError  # no sample

    async def _settled(self, copies: list[Hop], connection: asyncpg.Connection) -> set[int]:
        """Number the copies (from 1) that are settled."""
        if not copies:
            return set()
        ids, attempts = [UUID(copy.record_id) for copy in copies], [copy.attempt for copy in copies]
        return {row["position"] for row in await connection.fetch(SETTLED_COPIES, ids, attempts)}
