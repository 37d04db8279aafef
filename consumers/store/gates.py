"""The tables of gates: what operators ordered, and what this worker reports. An order waits for no batch of outcomes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import asyncpg

from consumers.gate_board import GateOrder, GateReport, Standing
from consumers.store.postgres import CONNECT_SECONDS, close_pool, open_pool, sorted_errors

STATEMENT_SECONDS = 5.0
"""For a statement of a few rows: longer, and the database counts as away."""

_SQL = Path(__file__).parent / "sql"
SELECT_STANDING_ORDER = (_SQL / "select_standing_order.sql").read_text()
SELECT_GATE_ORDERS = (_SQL / "select_gate_orders.sql").read_text()
UPSERT_PROVIDER_GATES = (_SQL / "upsert_provider_gates.sql").read_text()
DELETE_PROVIDER_GATES = (_SQL / "delete_provider_gates.sql").read_text()


class PostgresGates:
    """Implements consumers.gate_board.GateTables, for one provider and one worker, on a connection of its own."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", *, provider: str, worker: str) -> None:
        self._pool = pool
        self._provider = provider
        self._worker = worker

    @classmethod
    async def connect(cls, url: str, *, provider: str, worker: str) -> Self:
        """Make the connection's pool. Raises StoreUnavailableError."""
        return cls(
            await open_pool(url, connections=1, statement_seconds=STATEMENT_SECONDS), provider=provider, worker=worker
        )

    async def close(self) -> None:
        """Close the connection. Idempotent."""
        await close_pool(self._pool)

    async def standing(self, gate: str) -> Standing:
        """Read the last order of a gate, and how far all orders go. Raises StoreUnavailableError."""
        row = (await self._fetch(SELECT_STANDING_ORDER, self._provider, gate))[0]
        return Standing(newest=row["newest"], closed_why=row["why"] if row["action"] == "close" else None)

    async def orders(self, *, after: int) -> list[GateOrder]:
        """Read the orders that came after this id, in their order. Raises StoreUnavailableError."""
        return [GateOrder(*row) for row in await self._fetch(SELECT_GATE_ORDERS, self._provider, after)]

    async def report(self, closed: Sequence[GateReport], *, applied: int) -> None:
        """Report every gate that is closed, and the id of the last order that was carried out. Idempotent.

        Raises StoreUnavailableError.
        """
        columns = (
            [each.gate for each in closed],
            [each.why for each in closed],
            [each.closed_seconds for each in closed],
            [each.opens_in_seconds for each in closed],
        )
        await self._fetch(UPSERT_PROVIDER_GATES, self._provider, self._worker, applied, *columns)

    async def withdraw(self) -> None:
        """Take back everything that was reported. Idempotent. Raises StoreUnavailableError."""
        await self._fetch(DELETE_PROVIDER_GATES, self._provider, self._worker)

    async def _fetch(self, statement: str, *arguments: object) -> Sequence[asyncpg.Record]:
        async with sorted_errors(), self._pool.acquire(timeout=CONNECT_SECONDS) as connection:
            rows: Sequence[asyncpg.Record] = await connection.fetch(statement, *arguments)
        return rows
