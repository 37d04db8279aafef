"""What a test asks of the outcomes in a database, beside the store under test."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from consumers.store.postgres import PostgresStore


@asynccontextmanager
async def open_store(url: str) -> AsyncIterator[PostgresStore]:
    """Open the worker's store until the block ends."""
    store = await PostgresStore.connect(url, connections=4)
    try:
        yield store
    finally:
        await store.close()


async def fetch(url: str, query: str, *arguments: Any) -> Sequence[Sequence[Any]]:
    """Run a query on a connection of its own; rows as tuples."""
    connection = await asyncpg.connect(url, timeout=10, command_timeout=10)
    try:
        return [tuple(row) for row in await connection.fetch(query, *arguments)]
    finally:
        await connection.close()


async def count(url: str, table: str) -> int:
    """Count the rows of a table."""
    ((rows,),) = await fetch(url, f"SELECT count(*) FROM {table}")  # noqa: S608 - a name from a test
    found: int = rows
    return found
