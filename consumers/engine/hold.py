"""Retry records that are not due yet, in memory. Pure; the clock is an argument.

A held record is an admitted, unsettled one with a due time: the committable offset stays at it by itself, a revoke forgets
it, a killed worker's successor reads it again. A partition that has records held is not polled, so a few of them are enough
(seeking back instead cost twenty times the CPU and two thousand times the traffic; facts: engine, section 6). Mutated by the
pump (add), the release (due) and the handover (clear).
"""

from collections import deque

from aiokafka.structs import TopicPartition

from consumers.engine.record import Record


class Hold:
    """TopicPartition -> its held records in offset order, which is due order: one delay, one broker's clock."""

    def __init__(self) -> None:
        self._held: dict[TopicPartition, deque[Record]] = {}
        self._count = 0

    def __len__(self) -> int:
        """Count the held records."""
        return self._count

    def __contains__(self, partition: TopicPartition) -> bool:
        """Whether the partition has records held."""
        return partition in self._held

    def add(self, partition: TopicPartition, record: Record) -> None:
        """Hold a record behind the others of its partition."""
        self._held.setdefault(partition, deque()).append(record)
        self._count += 1

    @property
    def next_due_ms(self) -> int | None:
        """When the first of the held records is due, on the broker's clock; None where none is held."""
        return min((records[0].due_ms for records in self._held.values()), default=None)

    def due(self, now_ms: float) -> list[Record]:
        """Take out what is due. One that is due before the one ahead of it (a leader's clock went back) waits for that."""
        taken: list[Record] = []
        for partition in [partition for partition, records in self._held.items() if records[0].due_ms <= now_ms]:
            records = self._held[partition]
            while records and records[0].due_ms <= now_ms:
                taken.append(records.popleft())
            if not records:
                del self._held[partition]
        self._count -= len(taken)
        return taken

    def clear(self) -> list[Record]:
        """Give everything back. Idempotent."""
        forgotten = [record for records in self._held.values() for record in records]
        self._held.clear()
        self._count = 0
        return forgotten
