"""What every peer needs: addresses, a session, a table of its own."""

import os
from dataclasses import dataclass

import aiohttp
import asyncpg

CONNECTIONS = 10
CREATE = """
CREATE TABLE IF NOT EXISTS results (
    token text PRIMARY KEY, result jsonb NOT NULL, stored_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""
INSERT = """
INSERT INTO results (token, result) VALUES ($1, $2)
ON CONFLICT (token) DO UPDATE SET result = EXCLUDED.result, stored_at = clock_timestamp()
"""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Addresses, from the environment that the benchmark makes for every subject."""

    kafka: str
    topic: str
    group: str
    database: str
    url: str


def read_surroundings() -> Surroundings:
    """Read the addresses."""
    there = os.environ
    return Surroundings(
        there["KAFKA_BOOTSTRAP_SERVERS"],
        there["TOKENS_TOPIC"],
        there["KAFKA_GROUP_ID"],
        there["DATABASE_URL"],
        there["PROVIDER_URL"],
    )


def open_session() -> aiohttp.ClientSession:
    """Open a session without a limit: the default of 100 connections would be the peer's own."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=20))


async def open_pool(surroundings: Surroundings) -> "asyncpg.Pool[asyncpg.Record]":
    """Open a pool, and make the table."""
    pool = await asyncpg.create_pool(surroundings.database, min_size=CONNECTIONS, max_size=CONNECTIONS)
    await pool.execute(CREATE)
    return pool


async def ask(session: aiohttp.ClientSession, url: str, token: str) -> str:
    """Call the API for a token; JSON text."""
    async with session.get(url.replace("{token}", token)) as response:
        response.raise_for_status()
        return await response.text()
