"""The worker's Postgres: reads the done-set, writes outcomes. No decision about a record is made here.

Errors are sorted once: a fault of the data (SQLSTATE class 22, 23 or 54, or a value that the client cannot encode) is
UnstorableError; anything else about the connection or the server is StoreUnavailableError, and the call may be repeated.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self, TypeAlias

import asyncpg
from asyncpg.pgproto.pgproto import UUID

from consumers.engine.record import Settled
from consumers.engine.verdict import StoredRow
from consumers.errors import StoreUnavailableError, UnstorableError
from consumers.store.rows import dead_letter_columns, in_write_order, outcome_columns

log = logging.getLogger(__name__)

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"

STATEMENT_SECONDS = 30.0
CONNECT_SECONDS = 5.0

_SQL = Path(__file__).parent / "sql"
SELECT_STORED = (_SQL / "select_stored.sql").read_text()
UPSERT_OUTCOMES = (_SQL / "upsert_outcomes.sql").read_text()
SELECT_OTHER_TOKENS = (_SQL / "select_other_tokens.sql").read_text()
SELECT_SET_ASIDE = (_SQL / "select_set_aside.sql").read_text()
UPSERT_DEAD_LETTERS = (_SQL / "upsert_dead_letters.sql").read_text()
CLAIM_CONSUMER_GROUP = (_SQL / "claim_consumer_group.sql").read_text()
SELECT_CONSUMER_GROUP = (_SQL / "select_consumer_group.sql").read_text()


UNSTORABLE = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,  # class 54: JSON nested too deep for the server's stack, a statement too large
    UnicodeError,
)
UNAVAILABLE = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # "cannot switch to state": what the pool raises when it gets back a broken connection
    OSError,
    TimeoutError,
)


class WrongGroupError(Exception):
    """The database belongs to another consumer group; the text says whose, and what to do."""


async def open_pool(url: str, *, connections: int, statement_seconds: float) -> "asyncpg.Pool[asyncpg.Record]":
    """Open a pool; its statements have a deadline. Raises StoreUnavailableError."""
    with_deadline = asyncpg.create_pool(
        url,
        min_size=0,  # connects on demand: no maintenance task that logs a traceback at each try in an outage
        max_size=connections,
        timeout=CONNECT_SECONDS,
        command_timeout=statement_seconds,
        server_settings={"application_name": "tokenflow worker", "jit": "off"},
    )
    async with sorted_errors():
        return await with_deadline


async def close_pool(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    """Close a pool; after a moment without waiting for its connections. Idempotent."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await pool.close()
    except TimeoutError:
        pool.terminate()


class PostgresStore:
    """Implements consumers.ports.Store on a small pool."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool

    @classmethod
    async def connect(cls, url: str, *, connections: int) -> Self:
        """Open a pool of at most so many connections.

        Raises:
            StoreUnavailableError: the database is not there.

        """
        return cls(await open_pool(url, connections=connections, statement_seconds=STATEMENT_SECONDS))

    async def close(self) -> None:
        """Close the pool. Idempotent."""
        await close_pool(self._pool)

    async def claim_group(self, group_id: str) -> None:
        """Claim the database for this consumer group, or see that it is ours already. Idempotent.

        Raises:
            WrongGroupError: it serves another group.
            StoreUnavailableError: the database is not there, or was never migrated.

        """
        async with sorted_errors(), self._pool.acquire(timeout=CONNECT_SECONDS) as connection:
            await connection.execute(CLAIM_CONSUMER_GROUP, group_id)
            owner = await connection.fetchval(SELECT_CONSUMER_GROUP)
        if owner != group_id:
            raise WrongGroupError(
                f"this database serves the consumer group {owner!r}, not {group_id!r}: set KAFKA_GROUP_ID={owner}, use "
                f"another DATABASE_URL, or run `tokenflow migrate --adopt-group {group_id}` when {owner!r} has no members."
            )

    async def group(self) -> str | None:
        """Name the consumer group that has claimed this database, if one has. Raises StoreUnavailableError."""
        async with sorted_errors(), self._pool.acquire(timeout=CONNECT_SECONDS) as connection:
            owner: str | None = await connection.fetchval(SELECT_CONSUMER_GROUP)
        return owner

    async def ping(self) -> None:
        """Return if the database answers. Raises StoreUnavailableError."""
        async with sorted_errors(), self._pool.acquire(timeout=CONNECT_SECONDS) as connection:
            await connection.execute("SELECT 1")

    async def stored(self, record_ids: Sequence[UUID]) -> dict[UUID, StoredRow]:
        """Return the rows that exist already, by record id. Raises StoreUnavailableError."""
        async with sorted_errors(), self._pool.acquire(timeout=CONNECT_SECONDS) as connection:
            rows = await connection.fetch(SELECT_STORED, record_ids)
        return {row[0]: StoredRow(*row) for row in rows}

    async def set_aside(self, topics: Collection[str]) -> dict[tuple[str, int, int], tuple[UUID, str | None]]:
        """Return what was set aside: (topic, partition, offset) -> record id, token. Raises StoreUnavailableError."""
        async with sorted_errors(), self._pool.acquire(timeout=CONNECT_SECONDS) as connection:
            rows = await connection.fetch(SELECT_SET_ASIDE, list(topics))
        return {(row[0], row[1], row[2]): (row[3], row[4]) for row in rows}

    async def save(self, settled: Sequence[Settled]) -> Collection[UUID]:
        """Commit outcomes and dead letters in one transaction; return the ids whose row belongs to another token.

        Raises StoreUnavailableError, UnstorableError.
        """
        rows = in_write_order(settled)
        dead = dead_letter_columns(rows)
        async with sorted_errors(), self._pool.acquire(timeout=CONNECT_SECONDS) as connection:
            if not dead:
                return await _upsert(connection, rows)
            async with connection.transaction():
                refused = await _upsert(connection, rows)
                await connection.execute(UPSERT_DEAD_LETTERS, *dead)
            return refused


async def _upsert(connection: Connection, rows: Sequence[Settled]) -> Collection[UUID]:
    """Write outcomes; where not all were, find out which were refused for their token (the others were not greater)."""
    status = await connection.execute(UPSERT_OUTCOMES, *outcome_columns(rows))
    if status == f"INSERT 0 {len(rows)}":
        return ()
    ids, tokens = zip(*((row.record.record_id, row.record.token) for row in rows), strict=True)
    return [row[0] for row in await connection.fetch(SELECT_OTHER_TOKENS, ids, tokens)]


@asynccontextmanager
async def sorted_errors() -> AsyncIterator[None]:
    """Sort what asyncpg raises into StoreUnavailableError and UnstorableError."""
    try:
        yield
    except UNSTORABLE as error:
        raise UnstorableError(f"Postgres refuses it: {error}") from error
    except UNAVAILABLE as error:
        raise StoreUnavailableError(f"{type(error).__name__}: {error}") from error
