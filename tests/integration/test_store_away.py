"""A database that is away, gone or hanging is StoreUnavailableError within its deadline; the same call works later."""

import asyncio
import time

import asyncpg
import pytest

from consumers.engine.record import DeadLettered, ErrorKind, Settled, Succeeded
from consumers.errors import StoreUnavailableError
from consumers.store import postgres
from tests.support.records import make_id, make_record
from tests.support.services import free_ports
from tests.support.stores import count, fetch, open_store
from tests.support.waiting import eventually

ONE = [Settled(make_record(1), Succeeded("1")), Settled(make_record(2), DeadLettered(ErrorKind.REJECTED, "why"))]
QUICK_SECONDS = 0.3
END_BACKENDS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tokenflow worker'"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines that a test can wait for."""
    monkeypatch.setattr(postgres, "STATEMENT_SECONDS", QUICK_SECONDS)
    monkeypatch.setattr(postgres, "CONNECT_SECONDS", QUICK_SECONDS)


async def _found(url: str, query: str) -> None:
    assert await fetch(url, query)


async def _refused(url: str) -> None:
    """Every call of the store is refused, within a few deadlines."""
    began = time.monotonic()
    async with open_store(url) as store:
        for work in (lambda: store.save(ONE), lambda: store.stored([make_id(1)]), lambda: store.claim_group("x")):
            with pytest.raises(StoreUnavailableError):
                await work()
    assert time.monotonic() - began < 10 * QUICK_SECONDS


@pytest.mark.usefixtures("quick")
async def test_a_port_that_nobody_listens_on() -> None:
    """Refused at once."""
    await _refused(f"postgresql://u:p@127.0.0.1:{free_ports(1)[0]}/d")


@pytest.mark.usefixtures("quick")
async def test_a_host_that_nobody_knows() -> None:
    """A name that does not resolve (RFC 6761 keeps it unknown)."""
    await _refused("postgresql://u:p@tokenflow.invalid/d")


@pytest.mark.usefixtures("quick")
async def test_a_server_that_accepts_and_says_nothing() -> None:
    """The deadline of the connection ends the wait."""

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        await _refused(f"postgresql://u:p@127.0.0.1:{server.sockets[0].getsockname()[1]}/d?sslmode=disable")


@pytest.mark.usefixtures("quick")
async def test_a_server_that_speaks_something_else() -> None:
    """HTTP on the database's port."""

    async def speak_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(speak_http, "127.0.0.1", 0) as server:
        await _refused(f"postgresql://u:p@127.0.0.1:{server.sockets[0].getsockname()[1]}/d?sslmode=disable")


@pytest.mark.usefixtures("quick")
async def test_a_url_with_an_option_that_does_not_exist() -> None:
    """Not a traceback: whoever set DATABASE_URL reads what is wrong with it."""
    await _refused("postgresql://h/d?sslmode=rubbish")


async def test_a_wrong_password_is_unavailable(database: str) -> None:
    """The operator mends it; nothing is dead-lettered meanwhile."""
    user, _, host = database.removeprefix("postgresql://").partition("@")
    await _refused(f"postgresql://{user.partition(':')[0]}:wrong@{host}")


async def test_the_server_ends_the_connections_between_two_calls(database: str) -> None:
    """A restart: at most the calls on the old connections fail, the next ones connect again."""
    async with open_store(database) as store:
        await asyncio.gather(store.stored([make_id(1)]), store.stored([make_id(1)]))
        await fetch(database, END_BACKENDS)
        for _ in range(3):
            try:
                await store.save(ONE)
            except StoreUnavailableError:
                continue
            break
        await store.save(ONE)
    assert (await count(database, "outcomes"), await count(database, "dead_letters")) == (2, 1)


async def test_the_server_ends_the_connection_in_the_middle_of_a_save(database: str) -> None:
    """Held by a lock, then cut: StoreUnavailableError, nothing written, and the same call works afterwards."""
    blocker = await asyncpg.connect(database, timeout=10, command_timeout=10)
    async with open_store(database) as store, blocker.transaction():
        await blocker.execute("LOCK TABLE dead_letters IN ACCESS EXCLUSIVE MODE")
        saving = asyncio.ensure_future(store.save(ONE))
        waiting = "SELECT pid FROM pg_stat_activity WHERE application_name = 'tokenflow worker' AND wait_event_type = 'Lock'"
        await eventually(lambda: _found(database, waiting), timeout_seconds=10)
        await fetch(database, END_BACKENDS)
        with pytest.raises(StoreUnavailableError):
            await saving
        assert await fetch(database, "SELECT count(*) FROM outcomes") == [(0,)]
        await blocker.execute("ROLLBACK; BEGIN")
        await store.save(ONE)
    await blocker.close()
    assert (await count(database, "outcomes"), await count(database, "dead_letters")) == (2, 1)


@pytest.mark.usefixtures("quick")
async def test_a_statement_that_hangs_ends_at_its_deadline(database: str) -> None:
    """Somebody holds a lock on the table: each call gives up in time, and all of them work once the lock is gone."""
    blocker = await asyncpg.connect(database, timeout=10, command_timeout=10)
    async with open_store(database) as store:
        await blocker.execute("BEGIN")
        await blocker.execute("LOCK TABLE outcomes IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        with pytest.raises(StoreUnavailableError):
            await store.save(ONE)
        with pytest.raises(StoreUnavailableError):
            await store.stored([make_id(1)])
        assert time.monotonic() - began < 10 * QUICK_SECONDS
        await blocker.execute("ROLLBACK")
        await store.save(ONE)
        assert len(await store.stored([make_id(1), make_id(2)])) == 2
    await blocker.close()


@pytest.mark.usefixtures("quick")
async def test_close_does_not_wait_for_a_statement_that_hangs(database: str) -> None:
    """The process can end whatever the database does; a second close is fine."""
    blocker = await asyncpg.connect(database, timeout=10, command_timeout=10)
    await blocker.execute("BEGIN")
    await blocker.execute("LOCK TABLE outcomes IN ACCESS EXCLUSIVE MODE")
    store = await postgres.PostgresStore.connect(database, connections=4)
    saving = asyncio.ensure_future(store.save(ONE))
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await store.close()
        await store.close()
        with pytest.raises(StoreUnavailableError):
            await saving
    await blocker.close()
