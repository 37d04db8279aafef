"""Faults of one database of a server that others go on using."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final
from urllib.parse import urlsplit

import asyncpg

from tests.support.services import execute, with_database

CONNECT_SECONDS: Final = 10


@asynccontextmanager
async def connections_refused(database: str) -> AsyncIterator[None]:
    """Let the server end every connection to this database, and refuse each new one, until the block ends."""
    name = urlsplit(database).path.removeprefix("/")
    server = with_database(database, "postgres")
    await execute(server, f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false')
    try:
        await execute(server, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")  # noqa: S608 - our own name
        yield
    finally:
        await execute(server, f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS true')


@asynccontextmanager
async def slow_statements(database: str, *, seconds: float) -> AsyncIterator[None]:
    """Let every statement on the outcomes wait so long, until the block ends.

    One lock after the other, so long each: a statement that comes in one waits for its end, and gets its turn before the
    next one.
    """
    connection = await asyncpg.connect(database, timeout=CONNECT_SECONDS)
    locking = asyncio.get_running_loop().create_task(_lock_for_ever(connection, seconds))
    try:
        yield
    finally:
        locking.cancel()
        with suppress(asyncio.CancelledError):
            await locking
        await connection.close(timeout=CONNECT_SECONDS)


async def _lock_for_ever(connection: asyncpg.Connection, seconds: float) -> None:
    while True:
        async with connection.transaction():
            await connection.execute("LOCK TABLE outcomes IN ACCESS EXCLUSIVE MODE")
            await connection.fetchval("SELECT pg_sleep($1)", seconds)
