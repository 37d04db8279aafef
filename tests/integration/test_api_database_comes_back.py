"""A database that stops under a running API: 503 while it is away, answers again when it is back, in the same process."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from infra.local.postgres import LocalPostgres
from infra.postgres.migrate import connect, migrate, read_migrations
from tests.support.api import api_settings, serving, store_outcome
from tests.support.services import free_ports, make_postgres, run_apart, started
from tests.support.waiting import eventually
from topics.identity import new_record_id

RECOVERY_SECONDS = 30.0


@pytest.fixture
def own_postgres(tmp_path: Path) -> Iterator[LocalPostgres]:
    """A database server of this test alone, which may be stopped."""
    server = started(lambda: make_postgres(tmp_path))
    try:
        run_apart(lambda: _migrate(server.database_url))
        yield server
    finally:
        server.stop()


async def test_a_database_that_stops_and_starts_is_found_again(own_postgres: LocalPostgres) -> None:
    """Connections that broke in the pool cost a 503 at most; the API neither ends nor stays without a database."""
    (nobody,) = free_ports(1)
    settings = api_settings(kafka_bootstrap_servers=f"127.0.0.1:{nobody}", database_url=own_postgres.database_url)
    record_id = new_record_id()
    await store_outcome(own_postgres.database_url, record_id, "1", "succeeded", result="1")
    async with serving(settings) as api:
        assert (await api.get("/tokens/1")).status_code == 200
        own_postgres.stop()
        await eventually(lambda: _answers(api, 503), timeout_seconds=RECOVERY_SECONDS)
        own_postgres.start()
        own_postgres.wait_ready()
        await eventually(lambda: _answers(api, 200), timeout_seconds=RECOVERY_SECONDS)
        await _answers(api, 200)


async def _answers(api: httpx.AsyncClient, status: int) -> None:
    assert (await api.get("/tokens/1")).status_code == status
    assert (await api.get("/health/live")).status_code == 200


async def _migrate(url: str) -> None:
    connection = await connect(url, patience_seconds=RECOVERY_SECONDS)
    try:
        await migrate(connection, read_migrations())
    finally:
        await connection.close()
