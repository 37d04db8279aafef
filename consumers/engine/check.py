"""The done-set check: which polled records still need a call. Its own task per batch, off the pump's path.

A batch is claimed id by id, its stored rows are read by one query, and what is left becomes ready. While the database is
away the batch waits here; nothing is called that might be stored. A revoke gives the batches in check back.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from asyncpg.pgproto.pgproto import UUID

from consumers import metrics
from consumers.engine.backoff import Backoff
from consumers.engine.claims import Claim
from consumers.engine.intake import next_derived_id
from consumers.engine.record import DeadLettered, ErrorKind, Record, Settled
from consumers.engine.state import EngineState
from consumers.engine.tasks import TaskSet
from consumers.engine.verdict import StoredRow, Verdict, verdict
from consumers.errors import StoreUnavailableError, clean_message
from consumers.ports import Store

log = logging.getLogger(__name__)


class Check:
    """Moves admitted records to ready, or settles them."""

    def __init__(
        self,
        state: EngineState,
        store: Store,
        *,
        put: Callable[[Settled], None],
        on_ready: Callable[[], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._state = state
        self._store = store
        self._put = put
        self._on_ready = on_ready
        self._tasks = TaskSet(on_failure=on_failure)
        self._in_check: dict[int, list[Record]] = {}  # id of the list -> the list

    def submit(self, batch: Sequence[Record]) -> None:
        """Claim a batch of admitted records, and check it in a task of its own. Does not block.

        Claimed here and not in the task: a revoke that comes before the task's first step cancels it without running it,
        and must find the batch to give it back.
        """
        claimed = self._claim(batch)
        if claimed:
            self._in_check[id(claimed)] = claimed
            self._tasks.spawn(self._run(claimed))

    def give_back(self) -> None:
        """Drop the batches in check: their records were not called, and their partitions' next owner reads them again.

        The books change here and now, whatever the database does; a query that ends later finds its batch gone.
        """
        for claimed in self._in_check.values():
            for record in claimed:
                self._state.forget(record)
        self._in_check.clear()
        self._tasks.cancel_all()

    async def stop(self, *, timeout_seconds: float) -> None:
        """Wait until the dropped batches' tasks have ended. Raises TimeoutError."""
        await self._tasks.cancel(timeout_seconds=timeout_seconds)

    async def _run(self, claimed: list[Record]) -> None:
        rows = await self._stored(claimed)
        await self._state.taken_over.wait()
        if self._in_check.pop(id(claimed), None) is None:
            return  # given back meanwhile
        again = [copy for record in claimed for copy in self._judge(record, rows.get(record.record_id))]
        self._on_ready()
        self.submit(again)

    def _claim(self, batch: Sequence[Record]) -> list[Record]:
        """Claim each id; return the records whose claim was granted, the others hang on one."""
        granted: list[Record] = []
        for record in batch:
            while (answer := self._state.claims.claim(record)) is Claim.CONFLICTS:
                self._take_derived_id(record)
            if answer is Claim.GRANTED:
                granted.append(record)
            else:
                self._state.hang(record)
        return granted

    async def _stored(self, claimed: Sequence[Record]) -> dict[UUID, StoredRow]:
        """Read the rows of these records, for as long as it takes the database to be there."""
        backoff = Backoff()
        while True:
            try:
                return await self._store.stored([record.record_id for record in claimed])
            except StoreUnavailableError as error:
                log.warning("done-set check waits for the database: %s", error)
                await asyncio.sleep(backoff.next_seconds())

    def _judge(self, record: Record, row: StoredRow | None) -> list[Record]:
        """Act on one verdict; return the records that must be checked again."""
        match verdict(record, row):
            case Verdict.SKIP:
                metrics.RECORDS_SKIPPED.inc()
                return self._state.readmit(self._state.settle_uncalled(record))
            case Verdict.CONFLICT:
                return self._reidentify(record)
            case Verdict.UNMARKED:
                return self._reidentify(record, forged=False)
            case Verdict.CALL if record.complaint is not None:
                self._state.put_aside(record)
                record.attempt = 0  # none was made
                self._put(Settled(record, DeadLettered(ErrorKind.MALFORMED, clean_message(record.complaint))))
            case Verdict.CALL:
                self._state.ready.append(record)
        return self._state.readmit(self._state.claims.confirm(record))

    def _reidentify(self, record: Record, *, forged: bool = True) -> list[Record]:
        """Go on under the derived id: the stored row belongs to another token. Its copies find out for themselves.

        Not `forged`: a malformed record whose header names an id that no redrive confirms; that is nobody's mistake.
        """
        released = self._state.claims.release(record)
        if forged:
            self._take_derived_id(record)
        else:
            record.record_id, record.needs_mark = next_derived_id(record), False
        return [record, *self._state.readmit([*released.followers, *released.waiters])]

    def _take_derived_id(self, record: Record) -> None:
        log.warning("record-id %s belongs to another token: %s gets its derived id", record.record_id, record.coordinates)
        metrics.IDENTITY_CONFLICTS.inc()
        record.record_id = next_derived_id(record)
