"""Lag: how far a group is behind on its topics, in records and in seconds. Pure; `topics/lag_reader.py` reads the broker.

What could not be read is None, never 0: nobody scales down or sleeps well because of a number that is none.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from aiokafka.structs import TopicPartition

NEVER_COMMITTED: Final = -1
"""What the broker answers for a partition without a committed offset, as a committed offset."""


@dataclass(frozen=True, slots=True)
class PartitionOffsets:
    """What the broker says of one partition; None was not read. `committed` is NEVER_COMMITTED where there is none.

    `head_timestamp_ms` is the append or create time of the first record that is not committed.
    """

    committed: int | None = None
    start: int | None = None
    end: int | None = None
    head_timestamp_ms: int | None = None

    @property
    def head(self) -> int | None:
        """Offset that the group goes on from: the committed one; the log's start where that is higher or none is committed.

        Workers start at the earliest record (`auto.offset.reset`), and what was deleted is behind nobody.
        """
        if self.committed is None or self.start is None:
            return None
        return max(self.committed, self.start)

    @property
    def lag(self) -> int | None:
        """Records from the head to the end of the log.

        Kafka's own tool counts from the committed offset even if records above it were deleted, and has no number for a
        partition that was never committed; both are counted from the log's start here, since that is the work there is.
        """
        if self.head is None or self.end is None:
            return None
        # A log that lost its tail (unclean election) ends below the committed offset: nothing waits.
        return max(0, self.end - self.head)


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """One partition of the group; None is unknown. `never_committed` tells a missing commit from one that was not read."""

    topic: str
    partition: int
    committed_offset: int | None
    never_committed: bool
    start_offset: int | None
    end_offset: int | None
    lag: int | None
    lag_seconds: float | None


@dataclass(frozen=True, slots=True)
class GroupLag:
    """One reading of a group: its partitions by topic and number, and the members that it had."""

    group: str
    members: int | None
    partitions: tuple[PartitionLag, ...]

    @property
    def lag(self) -> int | None:
        """Lag of all partitions together; None if that of any is unknown."""
        return _total(self.partitions)

    @property
    def lag_seconds(self) -> float | None:
        """Lag in seconds of the partition that is furthest behind; None if any is unknown, or there is none."""
        seconds = [each.lag_seconds for each in self.partitions if each.lag_seconds is not None]
        return max(seconds) if seconds and len(seconds) == len(self.partitions) else None

    @property
    def lag_of_topics(self) -> dict[str, int | None]:
        """Topic -> lag of its partitions together; None if that of any is unknown."""
        return {topic: _total(partitions) for topic, partitions in self._by_topic().items()}

    @property
    def partitions_of_topics(self) -> dict[str, int]:
        """Topic -> number of its partitions."""
        return {topic: len(partitions) for topic, partitions in self._by_topic().items()}

    @property
    def is_complete(self) -> bool:
        """Whether the lag of every partition is known, in records and in seconds, and the members too."""
        return self.members is not None and self.lag is not None and all(p.lag_seconds is not None for p in self.partitions)

    def _by_topic(self) -> dict[str, list[PartitionLag]]:
        found: dict[str, list[PartitionLag]] = {}
        for each in self.partitions:
            found.setdefault(each.topic, []).append(each)
        return found


def group_lag(
    group: str, offsets: Mapping[TopicPartition, PartitionOffsets], *, members: int | None, now_ms: float
) -> GroupLag:
    """Work the lag of a group out of what was read of each partition at `now_ms` (epoch, milliseconds)."""
    partitions = (partition_lag(at, offsets[at], now_ms=now_ms) for at in sorted(offsets))
    return GroupLag(group, members, tuple(partitions))


def partition_lag(at: TopicPartition, offsets: PartitionOffsets, *, now_ms: float) -> PartitionLag:
    """Work the lag of one partition out. Its seconds are the age of the first record that is not committed, 0 without one.

    The age is between this machine's clock and the timestamp of the record; a clock that runs behind makes no lag negative.
    """
    never = offsets.committed == NEVER_COMMITTED
    seconds: float | None = None
    if offsets.lag == 0:
        seconds = 0.0
    elif offsets.lag is not None and offsets.head_timestamp_ms is not None:
        seconds = max(0.0, (now_ms - offsets.head_timestamp_ms) / 1000)
    return PartitionLag(
        topic=at.topic,
        partition=at.partition,
        committed_offset=None if never else offsets.committed,
        never_committed=never,
        start_offset=offsets.start,
        end_offset=offsets.end,
        lag=offsets.lag,
        lag_seconds=seconds,
    )


def _total(partitions: Iterable[PartitionLag]) -> int | None:
    lags = [each.lag for each in partitions]
    known = [lag for lag in lags if lag is not None]
    return sum(known) if len(known) == len(lags) else None
