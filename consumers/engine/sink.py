"""From outcomes to durable rows, in batches; then the records settle. The only writer of outcomes.

Order of writes: a dead letter's produce acknowledged, then the row committed, then settle, then the offset.
With the database away, answers stay here, across a rebalance too, and are written when it is back: an answer that was paid
for is not thrown away while the process lives. Memory is bounded by the bounds on unsettled records and on the bytes of
answers: above these no call starts.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection, Sequence
from sys import getsizeof

from asyncpg.pgproto.pgproto import UUID

from consumers import metrics
from consumers.engine.backoff import Backoff
from consumers.engine.intake import next_derived_id
from consumers.engine.outbox import Outbox
from consumers.engine.record import DeadLettered, Record, Retrying, Settled, Succeeded
from consumers.engine.state import EngineState
from consumers.errors import StoreUnavailableError, UnstorableError, clean_message
from consumers.ports import DeadLetterTopic, Store

log = logging.getLogger(__name__)

ROWS_PER_STATEMENT = 500
"""Above it nothing is gained (facts: performance, section 3)."""
BYTES_PER_STATEMENT = 8_388_608
"""A statement costs 25 ms and 4 MB of this process a MiB of answers (measured, PostgreSQL 18): 500 answers of 1 MiB would
take half of the statement's deadline and 2 GB."""
LINGER_SECONDS = 0.05
FLUSHERS = 2
"""Two statements at a time: the client's encoding overlaps the server's work; more brought nothing (same source)."""


class Sink:
    """Collects outcomes and writes them; two flushers take turns in gathering a batch, and write side by side."""

    def __init__(
        self,
        state: EngineState,
        store: Store,
        dead_letters: DeadLetterTopic,
        *,
        recheck: Callable[[Sequence[Record]], None],
        on_room: Callable[[], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._state = state
        self._store = store
        self._recheck = recheck
        self._on_room = on_room
        self._answers = state.admission.answers
        self._outbox = Outbox(dead_letters, produced=self._enqueue, on_failure=on_failure)
        self._queue: deque[Settled] = deque()
        self._unsaved = 0
        self._flushing = False
        self._some = asyncio.Event()
        self._enough = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._gathering = asyncio.Lock()

    def __len__(self) -> int:
        """Count the outcomes that are not durable yet."""
        return self._unsaved

    def put(self, settled: Settled) -> None:
        """Take an outcome over. Does not block."""
        self._unsaved += 1
        self._answers.keep(_memory(settled))
        self._empty.clear()
        self._route(settled)

    def _route(self, settled: Settled) -> None:
        """Send a dead letter to its topic first, anything else to its row."""
        match settled.outcome:
            case DeadLettered() | Retrying():
                self._outbox.put(settled)
            case Succeeded():
                self._enqueue(settled)

    def _enqueue(self, settled: Settled) -> None:
        self._queue.append(settled)
        self._some.set()
        if len(self._queue) >= ROWS_PER_STATEMENT or self._flushing:
            self._enough.set()

    async def run(self) -> None:
        """Write batches until cancelled."""
        async with asyncio.TaskGroup() as flushers:
            for _ in range(FLUSHERS):
                flushers.create_task(self._flush_for_ever())

    async def flush(self, *, timeout_seconds: float) -> bool:
        """Write what is here without waiting for full batches; False when the time is over before all of it is durable."""
        self._flushing = True
        self._enough.set()
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._empty.wait()
        except TimeoutError:
            return False
        finally:
            self._flushing = False
        return True

    async def _flush_for_ever(self) -> None:
        while True:
            batch = await self._gather()
            self._settle(await self._save(batch))

    async def _gather(self) -> list[Settled]:
        """Wait for a full batch, or for what has come LINGER_SECONDS after the first."""
        async with self._gathering:
            await self._some.wait()
            if len(self._queue) < ROWS_PER_STATEMENT and not self._flushing:
                await self._linger()
            batch = self._take()
            if not self._queue:
                self._some.clear()
            if len(self._queue) < ROWS_PER_STATEMENT and not self._flushing:
                self._enough.clear()
            return batch

    def _take(self) -> list[Settled]:
        """Take what one statement may carry, by rows and by bytes; at least one outcome if there is any."""
        batch: list[Settled] = []
        room = BYTES_PER_STATEMENT
        while self._queue and len(batch) < ROWS_PER_STATEMENT and room > 0:
            settled = self._queue.popleft()
            batch.append(settled)
            room -= _bulk(settled)
        return batch

    async def _linger(self) -> None:
        self._enough.clear()
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                await self._enough.wait()
        except TimeoutError:
            pass

    async def stop(self, *, timeout_seconds: float) -> None:
        """Give up dead letters that Kafka has not acknowledged: they are read again. Raises TimeoutError."""
        await self._outbox.stop(timeout_seconds=timeout_seconds)

    async def _save(self, batch: Sequence[Settled]) -> Sequence[Settled]:
        """Make a batch durable, for as long as it takes; return what is. The rest comes here again, by another way."""
        backoff = Backoff()
        while True:
            try:
                refused = await self._store.save(batch)
            except StoreUnavailableError as error:
                log.warning("%d answers wait for the database: %s", self._unsaved, error)
                await asyncio.sleep(backoff.next_seconds())
            except UnstorableError as error:
                return await self._save_apart(batch, error)
            else:
                return self._without(refused, batch) if refused else batch

    async def _save_apart(self, batch: Sequence[Settled], error: UnstorableError) -> Sequence[Settled]:
        """Halve a refused batch until the offending record stands alone; that one becomes a dead letter."""
        if len(batch) > 1:
            half = len(batch) // 2
            return [*await self._save(batch[:half]), *await self._save(batch[half:])]
        (settled,) = batch
        if isinstance(settled.outcome, DeadLettered):
            raise error  # nothing of the provider's is left in it: a bug of ours, and the process ends (crash-only)
        log.warning("the answer for %s cannot be stored: %s", settled.record.coordinates, error)
        self._answers.let_go(_memory(settled))
        settled.outcome = DeadLettered(error.kind, clean_message(str(error)))
        self._route(settled)
        return []

    def _without(self, refused: Collection[UUID], batch: Sequence[Settled]) -> Sequence[Settled]:
        """Send outcomes whose id was taken by another token on their way again, under the id of their coordinates.

        The other token's row came after our check, from another worker: nothing vanishes behind it.
        """
        written = []
        for settled in batch:
            if settled.record.record_id in refused:
                metrics.IDENTITY_CONFLICTS.inc()
                while not self._state.claims.move(settled.record, next_derived_id(settled.record)):
                    log.warning("the derived id of %s is taken as well", settled.record.coordinates)
                self._route(settled)
            else:
                written.append(settled)
        return written

    def _settle(self, batch: Sequence[Settled]) -> None:
        for settled in batch:
            waiters = self._state.settle(settled.record)
            if waiters:
                self._recheck(self._state.readmit(waiters))
        metrics.count_outcomes(batch)
        self._unsaved -= len(batch)
        self._answers.let_go(sum(map(_memory, batch)))
        if not self._unsaved:
            self._empty.set()
        self._on_room()


def _memory(settled: Settled) -> int:
    """Bytes that an answer takes in this process: a text with one wide character takes four for each."""
    outcome = settled.outcome
    return getsizeof(outcome.result) if isinstance(outcome, Succeeded) else 0


def _bulk(settled: Settled) -> int:
    """Bytes that an outcome adds to a statement, about; the fixed columns are nothing beside a large one."""
    outcome = settled.outcome
    return len(outcome.result) if isinstance(outcome, Succeeded) else len(settled.record.value or b"")
