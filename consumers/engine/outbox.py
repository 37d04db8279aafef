"""Dead letters on their way to the topic, ahead of their rows: a produce each, side by side, in tasks of their own.

Order of writes (invariant 1): the produce is acknowledged, then the row is committed, then the record settles. With Kafka
away a dead letter waits here, its offset does not move, and the answers of the other records are stored meanwhile. A crash
in between makes a second copy in the topic, which is at-least-once; the row decides.
"""

import asyncio
import logging
from collections.abc import Callable

from consumers.engine.record import DeadLettered, Retrying, Settled
from consumers.engine.tasks import TaskSet
from consumers.errors import RetryTooLargeError
from consumers.ports import DeadLetterTopic

log = logging.getLogger(__name__)

ALARM_SECONDS = 30.0
"""A produce has no deadline, since a record handed to a producer cannot be taken back; after this long it is said."""


class Outbox:
    """Produces dead letters, and hands each on once it is acknowledged."""

    def __init__(
        self,
        topic: DeadLetterTopic,
        *,
        produced: Callable[[Settled], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._topic = topic
        self._produced = produced
        self._tasks = TaskSet(on_failure=on_failure)
        self._overdue = 0

    def put(self, settled: Settled) -> None:
        """Take a dead letter over. Does not block."""
        self._tasks.spawn(self._produce(settled))

    async def stop(self, *, timeout_seconds: float) -> None:
        """Give up what is not acknowledged: its record was not settled and is read again. Raises TimeoutError."""
        await self._tasks.cancel(timeout_seconds=timeout_seconds)

    async def _produce(self, settled: Settled) -> None:
        alarm = asyncio.get_running_loop().call_later(ALARM_SECONDS, self._alarm, settled)
        try:
            await self._until_acknowledged(settled)
        finally:
            alarm.cancel()
        self._produced(settled)

    async def _until_acknowledged(self, settled: Settled) -> None:
        try:
            await self._topic.produce(settled)
        except RetryTooLargeError as error:
            assert isinstance(settled.outcome, Retrying)  # noqa: S101 - as its docstring says
            log.warning("%s cannot be retried: %s", settled.record.coordinates, error)
            settled.outcome = DeadLettered(settled.outcome.kind, settled.outcome.message)
            await self._topic.produce(settled)

    def _alarm(self, settled: Settled) -> None:
        self._overdue += 1
        log.error(
            "the dead letter of %s waits for Kafka since %.0f s; its offset does not move (%d such so far)",
            settled.record.coordinates,
            ALARM_SECONDS,
            self._overdue,
        )
