"""A connection for the operator's side of gates (producer_api/gate_orders.py), whose errors are sentences."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

from infra.errors import ExpectedError
from infra.postgres.migrate import connect
from producer_api.gate_orders import Fetch

QUERY_SECONDS: Final = 10.0


class GatesError(ExpectedError):
    """The database does not know gates; the text says what to do."""


@asynccontextmanager
async def gate_tables(database_url: str) -> AsyncIterator[Fetch]:
    """Connect until the block ends; what is yielded runs a statement.

    Raises:
        ExpectedError: the database cannot be reached, has no such tables, or falls silent.

    """
    connection = await connect(database_url, patience_seconds=0)

    async def fetch(statement: str, *arguments: Any) -> Sequence[asyncpg.Record]:
        try:
            return await connection.fetch(statement, *arguments, timeout=QUERY_SECONDS)
        except asyncpg.UndefinedTableError as error:
            raise GatesError("DATABASE_URL has no tables of gates: run `tokenflow migrate` first.") from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise GatesError(f"DATABASE_URL: the database does not answer ({error!r}): try again.") from error

    try:
        yield fetch
    finally:
        connection.terminate()
