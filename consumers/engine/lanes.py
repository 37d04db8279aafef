"""The calls: one task per record, as many as there are slots. The lane boundary is where exceptions become outcomes.

`start_ready` runs after every check and after every answer, so a free slot is filled at once. A lane never waits for Kafka
or Postgres: with the answer here, the slot is free, and the sink has the rest.
"""

import asyncio
import logging
from collections.abc import Callable
from time import monotonic

from consumers import metrics
from consumers.engine.gates import Ending, GateName, Gates, Permit
from consumers.engine.record import ErrorKind, Outcome, Record, Settled, Succeeded
from consumers.engine.state import EngineState
from consumers.engine.tasks import TaskSet
from consumers.errors import NotSentError, RateLimitedError, TransientError, decide, ending_of, kind_of, text_of
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
        gates: Gates,
        max_retries: int,
        put: Callable[[Settled], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._state = state
        self._provider = provider
        self._gates = gates
        self._max_retries = max_retries
        self._look_again: asyncio.TimerHandle | None = None
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
        permit = self._gates.permit(state.clock())
        while permit is not Permit.CLOSED and state.ready and not state.draining:
            if permit is Permit.PROBE:
                permit = self._probe()
                continue
            key = _sharing_key(state.ready.peek(due_calling=state.admission.due_calling))
            sharing = None if key is None else self._shared.get(key)
            if sharing is not None:
                sharing.append(state.board())
                metrics.CALLS_SHARED.inc()
            elif state.admission.free_slots() > 0:
                self._start(key)
            else:
                break
        self._note_gates(permit)

    def _probe(self) -> Permit:
        """Start one call to find out whether the provider is well again: a first attempt, if there is one."""
        if self._state.admission.free_slots() > 0:
            self._gates.begin_probe()
            self._start(None, probe=True)
        return Permit.CLOSED

    def _note_gates(self, permit: Permit) -> None:
        """Tell the books whether a gate is closed, and look again when it may have opened by itself."""
        state = self._state
        state.admission.gated = permit is not Permit.OPEN
        state.slot_time.gate(len(state.ready) if state.admission.gated else 0, state.clock())
        if state.admission.gated and self._look_again is None and not state.draining:
            wait = self._gates.wait_seconds(state.clock())
            if wait is not None:
                self._look_again = asyncio.get_running_loop().call_later(wait, self._look)

    def _look(self) -> None:
        self._look_again = None
        self.start_ready()

    def gates_changed(self) -> None:
        """Look again, now: a gate was opened or closed by hand."""
        if self._look_again is not None:
            self._look_again.cancel()
        self._look()

    def _start(self, key: str | None, *, probe: bool = False) -> None:
        record, may_repeat = self._state.begin_call(fresh_first=probe)
        if may_repeat:
            metrics.REPEATED_CALLS.inc()
        if record.due_ms:
            metrics.RETRY_DUE_ERROR_SECONDS.observe((self._state.broker_clock.now_ms() - record.due_ms) / 1000)
        records = [record]
        if key is not None:
            self._shared[key] = records
        self._tasks.spawn(self._lane(records, key, probe=probe))

    def withdraw(self) -> None:
        """Give back the calls that were not sent yet; the others go on. Nothing looks at the gates any more."""
        if self._look_again is not None:
            self._look_again.cancel()
            self._look_again = None
        self._state.slot_time.gate(0, self._state.clock())
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

    async def _lane(self, records: list[Record], key: str | None, *, probe: bool) -> None:
        """Make one call for the first of these records, and give its outcome to all that came to share it."""
        record = records[0]
        started = monotonic()
        try:
            answer: str | Exception = await self._provider.call(record)
        except asyncio.CancelledError:
            if _asked_to_end():
                self._end(records, key, give_back=True, probe=probe)
                raise
            answer = TransientError("the call was cancelled from within")
        except NotSentError:
            record.window.give_back(record.offset)
            self._end(records, key, give_back=True, probe=probe)
            return
        except Exception as error:  # noqa: BLE001 # lint: allow broad-except because this is the lane boundary
            answer = error
        self._end(records, key)
        metrics.observe_call(kind_of(answer) if isinstance(answer, Exception) else None, monotonic() - started)
        failed_probe = self._tell_gates(record, answer, probe=probe)
        for each in records:
            self._settle_or_defer(each, answer, failed_probe=failed_probe)
        self.start_ready()

    def _tell_gates(self, record: Record, answer: str | Exception, *, probe: bool) -> bool:
        """Count how the call ended; say so, loudly, where that closed a gate. Return whether it was a probe that failed."""
        now = self._state.clock()
        if isinstance(answer, str):
            ending, text = Ending.ANSWERED, ""
        else:
            ending, text = ending_of(answer), text_of(answer)
        failed_probe = probe and not self._gates.end_probe(ending, now=now)
        if isinstance(answer, RateLimitedError):
            self._gates.limit_rate(answer.retry_after_seconds, now=now)
        if ending is Ending.MISCONFIGURED and self._gates.close(GateName.MISCONFIGURED, text, now=now):
            log.error("the provider refuses our credentials, calls stop until the gate is opened: %s", text)
        for name in self._gates.ended(ending, first=record.attempt == 1, error=text, now=now):
            (why,) = [gate.why for gate in self._gates.closed(now) if gate.name is name]
            log.error("gate %s closed, calls stop but for probes; the last errors: %s", name, why)
        return failed_probe

    def _settle_or_defer(self, record: Record, answer: str | Exception, *, failed_probe: bool) -> None:
        if isinstance(answer, str):
            self._put(Settled(record, Succeeded(answer)))
            return
        ending = ending_of(answer)
        record.deferrals = record.deferrals + 1 if ending is Ending.RATE_LIMITED else 0
        if not failed_probe and not self._gates.defers(ending, deferrals=record.deferrals):
            self._put(Settled(record, self._decide(record, answer)))
            return
        metrics.REPEATED_CALLS.inc()
        if self._state.draining:
            record.window.give_back(record.offset)
            self._state.abandon(record)
        else:
            self._state.requeue(record)

    def _end(self, records: list[Record], key: str | None, *, give_back: bool = False, probe: bool = False) -> None:
        """Free the slot; nobody shares this call any more."""
        if probe:
            self._gates.end_probe(None, now=self._state.clock())
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
