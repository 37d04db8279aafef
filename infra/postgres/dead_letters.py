"""A connection for whoever works with dead letters (producer_api/redrive), whose errors are sentences."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

from infra.errors import ExpectedError
from infra.postgres.migrate import Connection, connect
from producer_api.gate_orders import Fetch

PATIENCE_SECONDS: Final = 0.0
"""Who looks at a screen wants the sentence now, not after a wait."""
QUERY_SECONDS: Final = 60.0
"""A million dead letters are counted by error in some seconds."""


class DeadLettersError(ExpectedError):
    """The database has no dead letters to read; the text says what to do."""


@asynccontextmanager
async def dead_letter_tables(database_url: str) -> AsyncIterator[Fetch]:
    """Connect until the block ends; what is yielded runs a statement.

    Raises:
        ExpectedError: the database cannot be reached, has no such tables, or falls silent.

    """
    connection: Connection = await connect(database_url, patience_seconds=PATIENCE_SECONDS)

    async def fetch(statement: str, *arguments: Any) -> Sequence[asyncpg.Record]:
        try:
            return await connection.fetch(statement, *arguments, timeout=QUERY_SECONDS)
        except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError) as error:
            raise DeadLettersError(
                "DATABASE_URL has no table dead_letters as it is today: run `tokenflow migrate`."
            ) from error
        except asyncpg.DataError as error:
            raise DeadLettersError(f"PostgreSQL does not take that: {error}.") from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise DeadLettersError(f"DATABASE_URL: the database does not answer ({error!r}): try again.") from error

    try:
        yield fetch
    finally:
        connection.terminate()
