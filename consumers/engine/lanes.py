"""The calls: one task per record, as many as there are slots. The lane boundary is where exceptions become outcomes.

`start_ready` runs after every check and after every answer, so a free slot is filled at once. A lane never waits for Kafka
or Postgres: with the answer here, the slot is free, and the sink has the rest.
"""

import asyncio
import logging
from collections.abc import Callable
from time import monotonic, time

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
        max_retries: int,
        put: Callable[[Settled], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._state = state
        self._provider = provider
        self._max_retries = max_retries
        self._put = put
        self._tasks = TaskSet(on_failure=on_failure)
        self._shared: dict[str, list[Record]] = {}  # token in a call -> the records that wait for the same answer

    def start_ready(self) -> None:
        """Start calls while there are slots and ready records. Does not block.

        A record whose token is in a call already shares that call. One with fields of its own never does: they are part
        of what is asked.
        """
        state = self._state
        if state.paused():
            return
        while state.ready and not state.draining:
            key = _sharing_key(state.ready.peek(due_calling=state.admission.due_calling))
            sharing = None if key is None else self._shared.get(key)
            if sharing is not None:
                sharing.append(state.board())
                metrics.CALLS_SHARED.inc()
            elif state.admission.free_slots() > 0:
                self._start(key)
            else:
                return

    def _start(self, key: str | None) -> None:
        record, may_repeat = self._state.begin_call()
        if may_repeat:
            metrics.REPEATED_CALLS.inc()
        if record.due_ms:
            metrics.RETRY_DUE_ERROR_SECONDS.observe(time() - record.due_ms / 1000)
        records = [record]
        if key is not None:
            self._shared[key] = records
        self._tasks.spawn(self._lane(records, key))

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

    async def _lane(self, records: list[Record], key: str | None) -> None:
        """Make one call for the first of these records, and give its outcome to all that came to share it."""
        record = records[0]
        started = monotonic()
        try:
            answer: str | Exception = await self._provider.call(record)
        except asyncio.CancelledError:
            if _asked_to_end():
                self._end(records, key, give_back=True)
                raise
            answer = TransientError("the call was cancelled from within")
        except NotSentError:
            record.window.give_back(record.offset)
            self._end(records, key, give_back=True)
            return
        except Exception as error:  # noqa: BLE001 # lint: allow broad-except because this is the lane boundary
            answer = error
        self._end(records, key)
        for each in records:
            self._put(Settled(each, Succeeded(answer) if isinstance(answer, str) else self._decide(each, answer)))
        metrics.observe_call(kind_of(answer) if isinstance(answer, Exception) else None, monotonic() - started)
        self.start_ready()

    def _end(self, records: list[Record], key: str | None, *, give_back: bool = False) -> None:
        """Free the slot; nobody shares this call any more."""
        self._state.end_call(records[0])
        if key is not None:
            del self._shared[key]
        if give_back:
            for each in records:
                self._state.abandon(each)

    def _decide(self, record: Record, error: Exception) -> Outcome:
        if kind_of(error) is ErrorKind.UNEXPECTED:
            log.error("unexpected error in the call for %s", record.coordinates, exc_info=error)
        return decide(error, attempt=record.attempt, max_retries=self._max_retries)


def _sharing_key(record: Record) -> str | None:
    return None if record.extra else record.token


def _asked_to_end() -> bool:
    """Whether a CancelledError is ours: a library whose own helper task was cancelled raises one as well.

    Taken for ours, that one would give back a record that nobody is going to read again before the next rebalance.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
