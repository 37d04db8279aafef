"""The records that may be called now: fresh ones and due retries, each with slots of its own. Pure.

Due retries have a fifth of the slots for themselves, fresh records the rest, and either takes what the other leaves. So a
hundred thousand retries that are due at once do not starve the fresh tokens, nor the reverse, and retries that hang until
their time-out hold a fifth of the slots and no more. Slots are counted and not starts, for that reason.
"""

from collections import deque

from consumers.engine.record import Record

RESERVE = 5
"""One slot of so many is for due retries."""


class ReadyQueue:
    """Two queues and the rule between them. Mutated by the check (append), the lanes (next) and the handover (pop)."""

    __slots__ = ("_after_fresh", "_due", "_fresh", "_reserve", "_single")

    def __init__(self, *, slots: int) -> None:
        self._fresh: deque[Record] = deque()
        self._due: deque[Record] = deque()
        self._reserve = max(1, slots // RESERVE)
        self._single = slots == 1
        self._after_fresh = True

    def __len__(self) -> int:
        """Count what is ready."""
        return len(self._fresh) + len(self._due)

    def append(self, record: Record) -> None:
        """Put a record behind the others of its kind."""
        (self._due if record.due_ms else self._fresh).append(record)

    def peek(self, *, due_calling: int) -> Record:
        """Show the record that `pop` would take, given how many due ones are in a call. IndexError where none is ready."""
        return self._queue(due_calling)[0]

    def pop(self, *, due_calling: int = 0) -> Record:
        """Take the next record. IndexError where none is ready."""
        record = self._queue(due_calling).popleft()
        self._after_fresh = not record.due_ms
        return record

    def _queue(self, due_calling: int) -> deque[Record]:
        if not (self._fresh and self._due):
            return self._fresh or self._due
        turn = self._after_fresh if self._single else due_calling < self._reserve
        return self._due if turn else self._fresh
