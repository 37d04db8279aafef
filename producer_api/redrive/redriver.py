"""Runs one operation to its end: takes dead letters in batches, produces them again, marks them; or deletes them.

A batch is: (1) one transaction makes the rows `retrying`, one redrive higher, and the dead letters `redriving`, and counts
them; (2) every copy is acknowledged by the tokens topic; (3) the dead letters are `redriven`. Whoever dies in between leaves
`redriving` rows, which the next holder of the lease produces again before it goes on: same record id, same redrive count, so
the workers drop what is a second copy. Any error of Postgres or Kafka here is treated as such a death: from the top, later.

State: `status` and `waits_for` are set by the task of `run`; `status` also by the one that keeps the lease, which it owns.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

from producer_api.outcomes import AWAY
from producer_api.redrive.copies import copy_of
from producer_api.redrive.operations import Operation
from producer_api.redrive.pacing import BATCH, Pace
from producer_api.redrive.sender import CopySender, KafkaAwayError
from producer_api.redrive.statements import sql
from topics.settings import KafkaSettings

RENEW_SECONDS: Final = 2.0
"""Five times within the lease of 10 s."""
STATEMENT_SECONDS: Final = 60.0
CONNECT_SECONDS: Final = 5.0
PAUSE_SECONDS: Final = 1.0
IN_HAND_BYTES: Final = 8 * 1024 * 1024
"""Payloads in memory at a time, besides one that is larger by itself."""
OURS: Final = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.SyntaxOrAccessError)
"""What Postgres says to a mistake, and would say again; not to an outage."""
TOO_LARGE: Final = "redrive: the tokens topic refuses the record for its size"
FIRST: Final = (datetime(1, 1, 1, tzinfo=UTC), UUID(int=0))

log = logging.getLogger(__name__)


class _EndedError(Exception):
    """The operation was stopped, or another holds it."""


class Redriver:
    """One run of one operation under its lease. `run` once; `stop_soon` from anywhere on the loop."""

    def __init__(
        self,
        settings: KafkaSettings,
        database_url: str,
        operation: Operation,
        *,
        on_taken: Callable[[str, int], None] = lambda _action, _count: None,
    ) -> None:
        self._url = database_url
        self._operation = operation
        self._holder = operation.holder
        self._sender = CopySender(settings)
        self._pace = Pace(operation.rate)
        self._on_taken = on_taken
        self._behind = FIRST
        self._fruitless = True
        self._stopped_by = ""
        self.acknowledged = 0
        """Of this run: copies that the topic has, or dead letters deleted; what is taken is ahead by the batch in hand."""
        self.status = operation.status
        """running, stopped, done, or lost: another process holds the operation."""
        self.waits_for = ""

    async def run(self) -> None:
        """Run until the operation is done, stopped or another's; waits for as long as Kafka or Postgres are away."""
        pool = await asyncpg.create_pool(
            self._url,
            min_size=0,
            max_size=2,
            timeout=CONNECT_SECONDS,
            command_timeout=STATEMENT_SECONDS,
            server_settings={"application_name": "tokenflow-redrive", "plan_cache_mode": "force_custom_plan"},
        )
        keeper = asyncio.create_task(self._keep_lease(pool), name="keep the lease of an operation")
        try:
            more = True
            while more:
                more = await self._step(pool)
        finally:
            keeper.cancel()
            await asyncio.wait((keeper,))
            await self._sender.stop()
            await self._let_go(pool)

    def stop_soon(self, who: str) -> None:
        """Stop after the batch in hand. Idempotent."""
        self._stopped_by = self._stopped_by or who

    async def _step(self, pool: asyncpg.Pool) -> bool:
        """See through what is in hand, then take the next batch; False: this run is over."""
        try:
            if self._operation.action == "redrive":
                await self._finish_in_hand(pool)
            self.waits_for = ""
            if self._stopped_by and self.status == "running":
                await pool.fetch(sql("stop_operation"), self._operation.id, f"stopped by {self._stopped_by}")
                self.status = "stopped"
            if self.status != "running":
                return False
            if not await self._batch(pool):
                await self._end(pool, "done")
        except _EndedError:
            return self.status != "lost"  # stopped: once more, for what is in hand
        except OURS as error:
            log.critical("operation %s cannot go on: %s", self._operation.id, error)
            await self._end(pool, "failed", f"{type(error).__name__}: {error}")
        except KafkaAwayError as error:
            await self._wait(f"waits for Kafka ({error})")
        except AWAY as error:
            await self._wait(f"waits for the database ({type(error).__name__})")
        return self.status in {"running", "stopped"}

    async def _wait(self, what: str) -> None:
        if what != self.waits_for:
            log.warning("operation %s %s", self._operation.id, what)
        self.waits_for = what
        await asyncio.sleep(PAUSE_SECONDS)

    async def _batch(self, pool: asyncpg.Pool) -> bool:
        """Take the next batch and see it through; False: nothing is left."""
        if self._operation.action == "drop":
            return await self._drop(pool)
        taken = await self._take(pool)
        if not taken:
            if self._fruitless:
                return False
            self._behind, self._fruitless = FIRST, True  # once more: what another operation had locked and let go
        return True

    async def _take(self, pool: asyncpg.Pool) -> Sequence[Any]:
        operation = self._operation
        async with pool.acquire(timeout=CONNECT_SECONDS) as connection, connection.transaction():
            await self._lock(connection)
            rows: Sequence[Any] = await connection.fetch(
                sql("redrive_batch"),
                *operation.wanted.arguments(),
                operation.max_redrives,
                operation.at,
                *self._behind,
                self._pace.batch,
                operation.id,
            )
            await self._count(connection, produced=len(rows), refused=0)
        if rows:
            self._fruitless = False
            self._behind = max((row["dead_lettered_at"], row["record_id"]) for row in rows)
            self._on_taken("redrive", len(rows))
        return rows

    async def _finish_in_hand(self, pool: asyncpg.Pool) -> None:
        """Produce what is `redriving` under this operation, and mark it."""
        rows = await pool.fetch(sql("select_in_hand"), self._operation.id)
        underway = [row["record_id"] for row in rows if not row["fresh"]]
        if underway:
            await self._mark(pool, underway, refused=())
        for ids in _in_portions((row["record_id"], row["size_bytes"]) for row in rows if row["fresh"]):
            for row in await pool.fetch(sql("select_copies"), ids):
                await asyncio.sleep(self._pace.wait_seconds(asyncio.get_running_loop().time()))
                await self._sender.send(copy_of(dict(row), row["next_redrive_count"]))
            await self._mark(pool, ids, refused=await self._sender.flush())

    async def _mark(self, pool: asyncpg.Pool, ids: Sequence[UUID], *, refused: Sequence[UUID]) -> None:
        async with pool.acquire(timeout=CONNECT_SECONDS) as connection, connection.transaction():
            if await connection.fetchval(sql("lock_operation"), self._operation.id, self._holder) is None:
                self.status = "lost"
                raise _EndedError
            if refused:
                await connection.execute(sql("reopen_refused"), self._operation.id, list(refused), TOO_LARGE)
                await connection.execute(sql("move_to_refused"), self._operation.id, len(refused))
            await connection.execute(sql("mark_redriven"), self._operation.id, list(ids))
        self.acknowledged += len(ids) - len(refused)

    async def _drop(self, pool: asyncpg.Pool) -> bool:
        async with pool.acquire(timeout=CONNECT_SECONDS) as connection, connection.transaction():
            await self._lock(connection)
            rows = await connection.fetch(
                sql("drop_batch"), *self._operation.wanted.arguments(), self._operation.at, self._pace.batch
            )
            await self._count(connection, produced=len(rows), refused=0)
        if rows:
            self._on_taken("drop", len(rows))
            self.acknowledged += len(rows)
            waits = [self._pace.wait_seconds(asyncio.get_running_loop().time()) for _ in rows]
            await asyncio.sleep(waits[-1])
        return bool(rows)

    async def _lock(self, connection: Any) -> None:
        status = await connection.fetchval(sql("lock_operation"), self._operation.id, self._holder)
        if status != "running":
            self.status = "lost" if status is None else status
            raise _EndedError

    async def _count(self, connection: Any, *, produced: int, refused: int) -> None:
        await connection.fetch(sql("add_counts"), self._operation.id, self._holder, produced, refused)

    async def _end(self, pool: asyncpg.Pool, status: str, note: str = "") -> None:
        await pool.execute(sql("end_operation"), self._operation.id, self._holder, status, note[:500])
        self.status = status

    async def _keep_lease(self, pool: asyncpg.Pool) -> None:
        """Renew the lease until cancelled; learn that the operation was stopped or lost."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                status = await pool.fetchval(sql("renew_lease"), self._operation.id, self._holder, self.waits_for)
            except AWAY as error:
                log.debug("the lease of %s is not renewed now: %r", self._operation.id, error)
                continue
            if status != "running" and self.status == "running":
                self.status = "lost" if status is None else status

    async def _let_go(self, pool: asyncpg.Pool) -> None:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await pool.execute(sql("release_lease"), self._operation.id, self._holder)
                await pool.close()
        except AWAY as error:
            log.debug("the lease of %s runs out by itself: %r", self._operation.id, error)
            pool.terminate()


def _in_portions(sized: Iterable[tuple[UUID, int]]) -> list[list[UUID]]:
    """Split into portions of at most IN_HAND_BYTES and BATCH records."""
    portions: list[list[UUID]] = []
    room = 0
    for record_id, size_bytes in sized:
        if not portions or size_bytes > room or len(portions[-1]) >= BATCH:
            portions.append([])
            room = IN_HAND_BYTES
        portions[-1].append(record_id)
        room -= size_bytes
    return portions
