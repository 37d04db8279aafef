"""Outcomes out of Postgres: the rows as the API shows them, and the one pool that reads them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec

from producer_api.problems import DatabaseUnavailableError
from producer_api.settings import ApiSettings

SQL: Final = Path(__file__).parent / "sql"
CONNECT_SECONDS: Final = 5.0
QUERY_SECONDS: Final = 5.0
FINAL: Final = frozenset({"succeeded", "dead_lettered", "cancelled"})
"""Outcomes that do not change by themselves; `retrying` is the other one."""
AWAY: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""InternalClientError: what the pool raises when it gets back a connection that broke."""

log = logging.getLogger(__name__)


class OutcomeError(msgspec.Struct):
    """Why the last attempt did not succeed."""

    kind: str
    message: str | None


class Source(msgspec.Struct):
    """Where the record lies on the tokens topic; the timestamp is the broker's append time."""

    topic: str
    partition: int
    offset: int
    timestamp: datetime


class Outcome(msgspec.Struct):
    """What became of a record, as it is sent; `result` is the stored JSON, passed through unread."""

    token: str | None
    record_id: str
    outcome: str
    attempt: int
    redrive_count: int
    result: msgspec.Raw | None
    error: OutcomeError | None
    source: Source
    settled_at: datetime

    @property
    def is_final(self) -> bool:
        """Say whether the outcome does not change by itself."""
        return self.outcome in FINAL


@dataclass(slots=True)
class Found:
    """The answer to one question: token -> its latest outcome, record id -> its outcome. What has none is absent."""

    tokens: dict[str, Outcome] = field(default_factory=dict)
    records: dict[str, Outcome] = field(default_factory=dict)


class OutcomeReader:
    """Reads outcomes through a small pool, every wait bounded. Starts without a database, and finds it when it comes."""

    def __init__(self, settings: ApiSettings) -> None:
        self._settings = settings
        self._pool: asyncpg.Pool | None = None
        self._by_token = (SQL / "read_token_outcomes.sql").read_text()
        self._by_record = (SQL / "read_record_outcomes.sql").read_text()
        self._last_error = ""

    async def start(self) -> None:
        """Make the pool. It opens no connection yet (min_size=0), so a database that is away delays nothing."""
        self._pool = await asyncpg.create_pool(
            self._settings.database_url.get_secret_value(),
            min_size=0,
            max_size=self._settings.api_database_connections,
            timeout=CONNECT_SECONDS,
            command_timeout=QUERY_SECONDS,
            server_settings={"application_name": "tokenflow-api"},
        )

    async def stop(self) -> None:
        """Close the pool, by force after QUERY_SECONDS; safe in every state."""
        if self._pool is None:
            return
        try:
            async with asyncio.timeout(QUERY_SECONDS):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    async def read(self, tokens: Collection[str], record_ids: Collection[str]) -> Found:
        """Read the latest outcome of each token and the outcome of each record, with one query for each kind asked for.

        Raises:
            DatabaseUnavailableError: no answer within the limits, or a refusal.

        """
        found = Found()
        async with self._connection() as connection:
            if tokens:
                rows = await connection.fetch(self._by_token, list(tokens))
                found.tokens = {row["token"]: _outcome(row) for row in rows}
            if record_ids:
                rows = await connection.fetch(self._by_record, list(record_ids))
                found.records = {str(row["record_id"]): _outcome(row) for row in rows}
        return found

    async def fetch(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        """Run a statement of another noun.

        Raises:
            DatabaseUnavailableError: no answer within the limits, or a refusal.

        """
        async with self._connection() as connection:
            rows: list[asyncpg.Record] = await connection.fetch(statement, *arguments)
        return rows

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        assert self._pool is not None, "start() comes first"  # noqa: S101 - a mistake of the caller, not of the data
        try:
            async with self._pool.acquire(timeout=CONNECT_SECONDS) as connection:
                yield connection
        except AWAY as error:
            self._log_once(error)
            raise DatabaseUnavailableError("The database does not answer; tokens can still be posted.") from error
        self._last_error = ""

    async def why_not_ready(self, *, timeout_seconds: float) -> str | None:
        """Return None if outcomes can be read now, else a sentence that says why not."""
        if self._pool is None:
            return "The pool has not started yet."
        try:
            async with asyncio.timeout(timeout_seconds), self._pool.acquire() as connection:
                await connection.fetchval("SELECT 1 FROM outcomes LIMIT 1")
        except asyncpg.UndefinedTableError:
            return "The table outcomes does not exist; run: tokenflow migrate"
        except TimeoutError:
            return f"The database of DATABASE_URL did not answer within {timeout_seconds:g} s."
        except AWAY as error:
            return f"The database of DATABASE_URL cannot be read: {error}"
        return None

    def _log_once(self, error: Exception) -> None:
        """Log each kind of trouble once until a read succeeds again: waiting GETs ask several times a second."""
        if repr(error) != self._last_error:
            self._last_error = repr(error)
            log.warning("outcomes cannot be read: %r", error)


def encode_outcome(outcome: Outcome) -> bytes:
    """Write an outcome as JSON, its result byte for byte as it was read."""
    return msgspec.json.encode(outcome)


def _outcome(row: asyncpg.Record) -> Outcome:
    return Outcome(
        token=row["token"],
        record_id=str(row["record_id"]),
        outcome=row["outcome"],
        attempt=row["attempt"],
        redrive_count=row["redrive_count"],
        result=None if row["result"] is None else msgspec.Raw(row["result"].encode()),
        error=None if row["error_kind"] is None else OutcomeError(row["error_kind"], row["error_message"]),
        source=Source(row["source_topic"], row["source_partition"], row["source_offset"], row["source_timestamp"]),
        settled_at=row["settled_at"],
    )
