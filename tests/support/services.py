"""The Kafka and the PostgreSQL of a test run: its own, in a temporary folder on free ports, by the code of the local stack.

TEST_KAFKA_BOOTSTRAP_SERVERS and TEST_DATABASE_URL name others to use. The user's own variables are never looked at.
"""

import asyncio
import socket
import threading
import uuid
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from infra.local.errors import LocalStackError
from infra.local.kafka import LocalKafka
from infra.local.postgres import LocalPostgres
from infra.local.service import LocalService
from infra.postgres.migrate import connect, migrate, read_migrations

START_ATTEMPTS = 3
"""A port that was free can be taken by somebody else before the server opens it."""
PATIENCE_SECONDS = 30

Service = TypeVar("Service", bound=LocalService)
Result = TypeVar("Result")


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that nothing listens on now, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def make_kafka(folder: Path) -> LocalKafka:
    """Describe a broker in `folder`, on ports that are free now."""
    port, controller_port = free_ports(2)
    return LocalKafka(folder / "kafka", port, controller_port=controller_port, log_path=folder / "kafka.log")


def make_postgres(folder: Path) -> LocalPostgres:
    """Describe a database server in `folder`, on a port that is free now."""
    return LocalPostgres(folder / "postgres", free_ports(1)[0], log_path=folder / "postgres.log")


@contextmanager
def running(make: Callable[[], Service]) -> Iterator[Service]:
    """Run a service until the block ends; it serves when the block begins."""
    service = started(make)
    try:
        yield service
    finally:
        service.stop()


def started(make: Callable[[], Service]) -> Service:
    """Start a service, on other ports if somebody took its own; it serves when this returns."""
    for attempt in range(1, START_ATTEMPTS + 1):
        service = make()
        service.prepare(lambda _: None)
        service.start()
        try:
            service.wait_ready()
        except LocalStackError as error:
            service.process.kill()
            service.process.wait(PATIENCE_SECONDS)
            if attempt == START_ATTEMPTS or "ddress already in use" not in str(error):
                raise
        else:
            return service
    raise AssertionError


def with_database(url: str, name: str) -> str:
    """Name another database of the same server."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()


async def create_template(url: str) -> str:
    """Make a database by the real migrations; return its name. Nobody stays connected to it, so it can be cloned."""
    name = f"template_{uuid.uuid4().hex}"
    await execute(url, f'CREATE DATABASE "{name}"')
    connection = await connect(with_database(url, name), patience_seconds=PATIENCE_SECONDS)
    try:
        await migrate(connection, read_migrations())
    finally:
        await connection.close()
    return name


async def clone_database(url: str, template: str) -> str:
    """Make a fresh copy of the template; return its name."""
    name = f"test_{uuid.uuid4().hex}"
    await execute(url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    return name


async def drop_database(url: str, name: str) -> None:
    """Drop a database, ending who is still connected to it."""
    await execute(url, f'DROP DATABASE "{name}" WITH (FORCE)')


async def execute(url: str, statement: str) -> None:
    """Run one statement on a connection of its own."""
    connection = await connect(url, patience_seconds=PATIENCE_SECONDS)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def run_apart(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run a coroutine to its end on a loop and a thread of its own: for fixtures that are not async."""
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(asyncio.run(work()))
        except BaseException as error:  # noqa: BLE001 - raised again below, in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, name="run_apart")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
