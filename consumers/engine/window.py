"""Which offsets of a partition are settled, and which offset may therefore be committed. Pure.

A window lives from assigned to revoked. Records settle in any order; the committable offset is the head of those that have
not, so a commit never passes an unsettled record. Gaps in the offsets (compaction, transaction markers) do not matter,
because only offsets that were really admitted are kept. Mutated on the event loop only: admitted by the pump, settled by
the check and the sink, closed by the handover.
"""

from collections.abc import Iterable, Mapping

from aiokafka.structs import TopicPartition

from topics.positions import CLEAN, RUNNING


class PartitionWindow:
    """The unsettled offsets of one partition, in offset order."""

    __slots__ = ("_called", "_in_doubt_below", "_next", "_unsettled", "closed")

    def __init__(self) -> None:
        self._unsettled: dict[int, float] = {}  # offset -> when admitted; insertion-ordered, its first key is the head
        self._called: set[int] = set()  # offsets with a call made here and no durable outcome yet
        self._in_doubt_below = 0
        self._next: int | None = None
        self.closed = False

    def __len__(self) -> int:
        """Count the unsettled records."""
        return len(self._unsettled)

    def resume(self, offset: int, *, in_doubt_below: int) -> None:
        """Note where the group left off, and below which offset a worker that was killed may have called before."""
        self._in_doubt_below = in_doubt_below
        if self._next is None:
            self._next = offset

    def call(self, offset: int) -> bool:
        """Note that a call is made; True if a worker that was killed may have made it before."""
        self._called.add(offset)
        return offset < self._in_doubt_below

    def give_back(self, offset: int) -> None:
        """Note that the call was not sent after all."""
        self._called.discard(offset)

    @property
    def clean(self) -> bool:
        """Whether every call ever made below the committable offset or above has its durable outcome."""
        return not self._called and (self.committable or 0) >= self._in_doubt_below

    def admit(self, offset: int, *, now: float = 0.0) -> bool:
        """Take responsibility for an offset; False if this window already had it or one above it."""
        if self.closed or (self._next is not None and offset < self._next):
            return False
        self._unsettled[offset] = now
        self._next = offset + 1
        return True

    def settle(self, offset: int) -> bool:
        """Note that the record's outcome is durable; False (and nothing done) if closed, unknown or settled before."""
        if offset not in self._unsettled:
            return False
        del self._unsettled[offset]
        self._called.discard(offset)
        return True

    def pass_to(self, offset: int) -> None:
        """Pass what holds no record, such as a transaction's marker, up to where the partition was read.

        Ignored while a record is unsettled: then the head is what counts.
        """
        if not self.closed and not self._unsettled and offset > (self._next or 0):
            self._next = offset

    @property
    def committable(self) -> int | None:
        """Next offset that the group should read: the first unsettled one, else last + 1; None before any record."""
        for head in self._unsettled:
            return head
        return self._next

    @property
    def oldest(self) -> float | None:
        """When the head was admitted; None where nothing is unsettled."""
        for admitted in self._unsettled.values():
            return admitted
        return None

    def close(self) -> None:
        """Forget what is unsettled: whoever owns the partition next reads it again. Idempotent."""
        self.closed = True
        self._unsettled.clear()
        self._called.clear()


class Windows:
    """The windows of the present assignment: TopicPartition -> PartitionWindow."""

    def __init__(self) -> None:
        self._windows: dict[TopicPartition, PartitionWindow] = {}

    def __getitem__(self, partition: TopicPartition) -> PartitionWindow:
        """Window of an assigned partition; KeyError for any other."""
        return self._windows[partition]

    def __len__(self) -> int:
        """Count the assigned partitions."""
        return len(self._windows)

    def partitions(self) -> tuple[TopicPartition, ...]:
        """List the assigned partitions."""
        return tuple(self._windows)

    def items(self) -> Iterable[tuple[TopicPartition, PartitionWindow]]:
        """Iterate over the partitions and their windows."""
        return self._windows.items()

    def open(self, partitions: Iterable[TopicPartition]) -> None:
        """Start a fresh, empty window for each partition of a new assignment."""
        self.close()
        self._windows = {partition: PartitionWindow() for partition in partitions}

    def close(self) -> None:
        """Close and drop every window. Idempotent."""
        for window in self._windows.values():
            window.close()
        self._windows = {}

    def committable(self, *, last: bool = False) -> Mapping[TopicPartition, tuple[int, str]]:
        """TopicPartition -> (next offset to read, mark), for the partitions whose position is known.

        Every mark is `running` but in the `last` commit of an assignment, after its drain.
        """
        return {
            partition: (window.committable, CLEAN if last and window.clean else RUNNING)
            for partition, window in self._windows.items()
            if window.committable is not None
        }

    def oldest(self) -> float | None:
        """When the oldest unsettled record was admitted; None where nothing is unsettled."""
        return min((window.oldest for window in self._windows.values() if window.oldest is not None), default=None)
