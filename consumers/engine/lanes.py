"""The calls: one task per record, as many as there are slots. The lane boundary is where exceptions become outcomes.

`start_ready` runs after every check and after every answer, so a free slot is filled at once. A lane never waits for Kafka
or Postgres: with the answer here, the slot is free, and the sink has the rest.
"""

import asyncio
import logging
from collections.abc import Callable
from time import monotonic

from consumers import metrics
from consumers.engine.record import ErrorKind, Outcome, Record, Settled, Succeeded
from consumers.engine.state import EngineState
from consumers.engine.tasks import TaskSet
from consumers.errors import NotSentError, TransientError, decide, kind_of
from consumers.ports import Provider

log = logging.getLogger(__name__)

CUT_OFF_SECONDS = 2.0
"""Time for a cancelled call to unwind."""


class Lanes:
    """Runs the calls of the ready records."""

    def __init__(
        self,
        state: EngineState,
        provider: Provider,
        *,
        put: Callable[[Settled], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._state = state
        self._provider = provider
        self._put = put
        self._tasks = TaskSet(on_failure=on_failure)

    def start_ready(self) -> None:
        """Start calls while there are slots and ready records. Does not block."""
        state = self._state
        while state.ready and state.admission.free_slots() > 0 and not state.draining:
            self._tasks.spawn(self._lane(state.begin_call()))

    def withdraw(self) -> None:
        """Give back the calls that were not sent yet; the others go on."""
        self._provider.withdraw()

    async def drain(self, *, timeout_seconds: float) -> None:
        """Let running calls finish; cut off those that outlast the time: their records are given back and called again.

        Raises:
            TimeoutError: a call ignores its cancellation. The process must end, for its slot never comes back.

        """
        if await self._tasks.finished(timeout_seconds=timeout_seconds):
            return
        log.error("%d calls outlasted the drain limit and were cut off: they will be repeated", len(self._tasks))
        await self._tasks.cancel(timeout_seconds=CUT_OFF_SECONDS)

    async def _lane(self, record: Record) -> None:
        started = monotonic()
        try:
            outcome: Outcome = Succeeded(await self._provider.call(record))
        except asyncio.CancelledError:
            if _asked_to_end():
                self._state.end_call()
                self._state.abandon(record)
                raise
            outcome = self._decide(record, TransientError("the call was cancelled from within"))
        except NotSentError:
            self._state.end_call()
            self._state.abandon(record)
            return
        except Exception as error:  # noqa: BLE001 # lint: allow broad-except because this is the lane boundary
            outcome = self._decide(record, error)
        self._state.end_call()
        metrics.observe_call(outcome, monotonic() - started)
        self._put(Settled(record, outcome))
        self.start_ready()

    def _decide(self, record: Record, error: Exception) -> Outcome:
        if kind_of(error) is ErrorKind.UNEXPECTED:
            log.error("unexpected error in the call for %s", record.coordinates, exc_info=error)
        return decide(error)


def _asked_to_end() -> bool:
    """Whether a CancelledError is ours: a library whose own helper task was cancelled raises one as well.

    Taken for ours, that one would give back a record that nobody is going to read again before the next rebalance.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
