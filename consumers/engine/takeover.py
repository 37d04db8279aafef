"""Taking over partitions: where the group left off, and whether a worker before us was killed there.

A worker commits the metadata `running` before its first call on a partition, and `clean` once a drain left nothing of it in
doubt. Who finds anything else counts each call that it makes below the end that the partition had at that moment: a worker
that was killed may have made that call before. The count is an upper bound of the repeats, tokens_repeated_calls_total.
No call starts before the marks are placed.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from consumers import metrics
from consumers.engine.backoff import Backoff
from consumers.engine.committer import CommitResult
from consumers.engine.state import EngineState
from consumers.ports import Source
from topics.positions import CLEAN, Position

log = logging.getLogger(__name__)

READ_SECONDS = 5.0
"""For one try to read the positions; a healthy broker needs some 10 ms."""


@dataclass(frozen=True, slots=True)
class Resumption:
    """Where to go on: `offset` is read next, calls below `in_doubt_below` may be repeats, `lost` records were deleted."""

    offset: int
    in_doubt_below: int
    lost: int


def resumption(position: Position) -> Resumption:
    """Decide where a partition is taken up. Pure; as auto_offset_reset=earliest does where the committed offset is gone."""
    if position.committed is None:
        return Resumption(position.start, 0, 0)
    in_doubt_below = 0 if position.mark == CLEAN else position.end
    if position.start <= position.committed <= position.end:
        return Resumption(position.committed, in_doubt_below, 0)
    return Resumption(position.start, in_doubt_below, max(0, position.start - position.committed))


class Takeover:
    """Reads the positions of a new assignment, and commits `running` on each of its partitions. One at a time."""

    def __init__(self, state: EngineState, source: Source, *, commit: Callable[[], Awaitable[CommitResult]]) -> None:
        self._state = state
        self._source = source
        self._commit = commit

    async def run(self) -> None:
        """Take over what is assigned, for as long as it takes the broker to answer; cancelled by a revoke."""
        state = self._state
        if len(state.windows):
            for partition, position in (await self._positions()).items():
                self._resume(partition, position)
            state.resumed = True
            await self._mark()
        state.taken_over.set()

    async def _positions(self) -> Mapping[TopicPartition, Position]:
        backoff = Backoff()
        while True:
            try:
                async with asyncio.timeout(READ_SECONDS):
                    return await self._source.positions(self._state.windows.partitions())
            except (KafkaError, OSError) as error:  # TimeoutError is an OSError
                log.warning("cannot read where the group left off, no call starts before: %s", error or type(error).__name__)
                await asyncio.sleep(backoff.next_seconds())

    def _resume(self, partition: TopicPartition, position: Position) -> None:
        where = resumption(position)
        self._state.windows[partition].resume(where.offset, in_doubt_below=where.in_doubt_below)
        if where.lost:
            metrics.RECORDS_LOST.inc(where.lost)
            log.error(
                "%s-%d: %d records below offset %d were deleted before they were read: raise retention.ms of the topic",
                partition.topic, partition.partition, where.lost, position.start,
            )  # fmt: skip
        elif position.committed is not None and position.committed > position.end:
            log.error(
                "%s-%d ends at %d, below the committed offset %d: was it made anew? It is read from its start",
                partition.topic, partition.partition, position.end, position.committed,
            )  # fmt: skip

    async def _mark(self) -> None:
        backoff = Backoff()
        while await self._commit() is not CommitResult.ACCEPTED:  # noqa: ASYNC110 - each turn commits
            await asyncio.sleep(backoff.next_seconds())
