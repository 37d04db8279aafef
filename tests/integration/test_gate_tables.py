"""The tables between operators and workers, on a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from consumers.gate_board import GateOrder, GateReport, Standing
from consumers.store.gates import PostgresGates
from infra.postgres.gates import gate_tables
from producer_api.gate_orders import INSERT_GATE_ORDER, Done, Order, carry_out, list_closed_gates
from tests.support.stores import fetch

SECONDS = 10.0
BREAKER = GateReport("breaker", "19 x refused", closed_seconds=60.0, opens_in_seconds=None)
LIMIT = GateReport("rate_limited", "the provider asks for a pause", closed_seconds=1.0, opens_in_seconds=30.0)


@asynccontextmanager
async def tables(url: str, *, worker: str) -> AsyncIterator[PostgresGates]:
    """A worker's side of the tables."""
    one = await PostgresGates.connect(url, provider="default", worker=worker)
    try:
        yield one
    finally:
        await one.close()


async def _told(url: str) -> list[tuple[str, Sequence[str], str]]:
    async with gate_tables(url) as run:
        return [(each.gate, each.workers, each.why) for each in await list_closed_gates(run)]


async def test_what_workers_report_is_told_together_until_it_opens_or_grows_old(database: str) -> None:
    """One line a gate; a report that leaves a gate out opens it; ten seconds without a report are the end of one."""
    async with tables(database, worker="a:1") as one, tables(database, worker="b:1") as other:
        await one.report([BREAKER, LIMIT], applied=0)
        await other.report([GateReport("breaker", "20 x reset", closed_seconds=90.0, opens_in_seconds=None)], applied=0)
        limit = ("rate_limited", ("a:1",), LIMIT.why)
        assert await _told(database) == [("breaker", ("a:1", "b:1"), "20 x reset"), limit]
        async with gate_tables(database) as run:
            breaker, limited = await list_closed_gates(run)
            assert limited.until is not None
            assert 28 < (limited.until - limited.since).total_seconds() < 32
            assert 28 < (limited.since - breaker.since).total_seconds() - 60 < 32
        await other.report([], applied=0)
        assert await _told(database) == [("breaker", ("a:1",), "19 x refused"), limit]
        await fetch(database, "UPDATE provider_gates SET seen_at = seen_at - interval '11 s'")
        assert await _told(database) == []
        await one.withdraw()
        assert await fetch(database, "SELECT worker FROM provider_gates") == []
        assert await fetch(database, "SELECT worker FROM provider_workers") == [("b:1",)]


async def test_orders_are_read_from_where_one_left_off(database: str) -> None:
    """The standing order is the last one of that gate, whatever came for others."""
    async with tables(database, worker="a:1") as one, gate_tables(database) as run:
        assert await one.standing("operator") == Standing(0, None)
        assert await carry_out(run, Order("close", "operator", "why", "me")) == Done("close", "default", ("operator",))
        assert await one.standing("operator") == Standing(1, "why")
        await run(INSERT_GATE_ORDER, "default", "breaker", "open", "", "me")
        assert await one.standing("operator") == Standing(2, "why")
        assert await one.orders(after=1) == [GateOrder(2, "breaker", "open", "", "me")]
        assert await carry_out(run, Order("open", None, "", "me")) == Done("open", "default", ("operator",))
        assert await one.standing("operator") == Standing(3, None)
        assert await carry_out(run, Order("open", None, "", "me")) == Done("open", "default", ())
        assert await carry_out(run, Order("open", None, "", "me", provider="other")) == Done("open", "other", ())


async def test_an_order_becomes_visible_after_those_with_smaller_ids(database: str) -> None:
    """Who inserts while another one has inserted and not committed waits for it: no reader sees the ids out of turn."""
    words = ("default", "operator", "close", "", "me")
    first = await asyncpg.connect(database, timeout=SECONDS)
    second = await asyncpg.connect(database, timeout=SECONDS)
    try:
        transaction = first.transaction()
        await transaction.start()
        (row,) = await first.fetch(INSERT_GATE_ORDER, *words)
        inserting = asyncio.create_task(second.fetch(INSERT_GATE_ORDER, *words))
        done, _ = await asyncio.wait({inserting}, timeout=0.3)
        assert not done, "it would be read before the one that is not committed"
        await transaction.commit()
        later: Any = await asyncio.wait_for(inserting, SECONDS)
        assert (row["id"], later[0]["id"]) == (1, 2)
    finally:
        await first.close()
        await second.close()
