"""When to commit, and which partitions are worth it. Pure; mutated by the committer alone.

A commit costs a request, so offsets go together every `interval_seconds`, and only those that moved. After a failed commit
the next one waits longer, up to `BACKOFF_LIMIT_SECONDS`: with the broker away every try would cost its whole deadline.
"""

from collections.abc import Mapping

from aiokafka.structs import TopicPartition

BACKOFF_LIMIT_SECONDS = 5.0


class CommitSchedule:
    """Decides the next commit from what may be committed and what was."""

    def __init__(self, *, interval_seconds: float) -> None:
        self._interval = interval_seconds
        self._committed: dict[TopicPartition, tuple[int, str]] = {}
        self._failures = 0

    @property
    def wait_seconds(self) -> float:
        """Time to let pass before the next commit: the interval, doubled for each failure in a row."""
        return max(self._interval, min(self._interval * 2.0**self._failures, BACKOFF_LIMIT_SECONDS))

    def due(self, committable: Mapping[TopicPartition, tuple[int, str]]) -> dict[TopicPartition, tuple[int, str]]:
        """TopicPartition -> (offset, mark) to commit now: those that changed since the last commit of this assignment."""
        return {partition: entry for partition, entry in committable.items() if self._committed.get(partition) != entry}

    def note_committed(self, offsets: Mapping[TopicPartition, tuple[int, str]]) -> None:
        """Remember what the broker accepted."""
        self._committed.update(offsets)
        self._failures = 0

    def note_failed(self) -> None:
        """Remember that the broker did not answer or refused."""
        self._failures = min(self._failures + 1, 16)

    def forget(self) -> None:
        """Start anew with an assignment: another member may have committed in between. Idempotent."""
        self._committed.clear()
        self._failures = 0
