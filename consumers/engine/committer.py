"""Commits what is settled: the only caller of commit, never anything but each partition's committable offset.

A commit that fails is not fatal: with the broker away the offset does not move, and a fenced commit means that a rebalance
is under way, which has callbacks of its own.
"""

import asyncio
import logging
from enum import Enum, auto

from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from consumers import metrics
from consumers.engine.schedule import CommitSchedule
from consumers.engine.state import EngineState
from consumers.ports import Source

log = logging.getLogger(__name__)

COMMIT_DEADLINE_SECONDS = 5.0
"""aiokafka retries a commit for ever by itself; cancelling it is safe, the next one wins (facts: engine, section 5)."""


class CommitResult(Enum):
    """What came of a commit."""

    ACCEPTED = auto()  # or nothing was to be committed
    FENCED = auto()  # this member is no longer one: another one has its partitions, or is about to
    UNANSWERED = auto()  # the broker is away


class Committer:
    """Single flight: a commit at a time, whether from the timer or from a drain."""

    def __init__(self, state: EngineState, source: Source, *, interval_seconds: float) -> None:
        self._state = state
        self._source = source
        self._schedule = CommitSchedule(interval_seconds=interval_seconds)
        self._one = asyncio.Lock()

    async def run(self) -> None:
        """Commit on the schedule until cancelled."""
        while True:
            await asyncio.sleep(self._schedule.wait_seconds)
            await self.commit()

    async def commit(self, *, last: bool = False, every: bool = False) -> CommitResult:
        """Commit what changed, within COMMIT_DEADLINE_SECONDS; `every` partition, or the `last` time in an assignment: all.

        Before the positions of an assignment are known nothing is committed: it would wipe out the mark of the last owner.
        """
        if not self._state.resumed:
            return CommitResult.ACCEPTED
        try:
            async with asyncio.timeout(COMMIT_DEADLINE_SECONDS), self._one:
                await self._send(last=last, every=every or last)
        except (CommitFailedError, IllegalStateError) as error:
            self._failed("fenced", f"commit refused, a rebalance is under way: {error}")
            return CommitResult.FENCED
        except (TimeoutError, KafkaError) as error:
            self._failed("unanswered", f"no answer to a commit: {error or type(error).__name__}")
            return CommitResult.UNANSWERED
        return CommitResult.ACCEPTED

    async def _send(self, *, last: bool, every: bool) -> None:
        for partition, window in tuple(self._state.windows.items()):
            if not len(window):
                window.pass_to(await self._source.read_to(partition))
        committable = self._state.windows.committable(last=last)
        offsets = dict(committable) if every else self._schedule.due(committable)
        if offsets:
            calls = self._state.calls_made
            await self._source.commit(offsets)
            self._state.calls_confirmed = calls
            self._schedule.note_committed(offsets)
            metrics.COMMITS.labels("accepted").inc()

    def forget(self) -> None:
        """Start anew with an assignment. Idempotent."""
        self._schedule.forget()

    def _failed(self, result: str, sentence: str) -> None:
        metrics.COMMITS.labels(result).inc()
        self._schedule.note_failed()
        log.warning("%s; settled records stay settled, the offset follows later", sentence)
