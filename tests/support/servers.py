"""The Kafka and the PostgreSQL of the failure tests: a pair that scenarios may break, or one that is given.

A broken pair is made whole again before the next scenario (`heal`), so that a start of 4 s and a format are paid once.
"""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.local.kafka import LocalKafka
from infra.local.postgres import LocalPostgres
from tests.support import services

END_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a scenario happens: addresses, the template of its database, and the servers if it may break them."""

    kafka: str
    database_server: str
    template: str
    servers: "Servers | None" = None


@dataclass(frozen=True, slots=True)
class Servers:
    """Two servers of our own. Every method blocks: call it by `asyncio.to_thread` while something must go on."""

    kafka: LocalKafka
    postgres: LocalPostgres
    template: str

    @property
    def place(self) -> Place:
        """These servers, as a scenario is told."""
        return Place(self.kafka.bootstrap_servers, self.postgres.database_url, self.template, self)

    def heal(self) -> None:
        """Let both go on and serve, whatever a scenario did to them. Idempotent."""
        for server in (self.kafka, self.postgres):
            server.process.signal(signal.SIGCONT)
            if server.process.poll() is not None:
                server.start()
            server.wait_ready()


async def kill_server(server: LocalKafka | LocalPostgres) -> None:
    """Kill -9; nothing of it is left when this returns."""
    server.process.kill()
    await asyncio.to_thread(server.process.wait, END_SECONDS)


async def bring_back(server: LocalKafka | LocalPostgres) -> None:
    """Start a server that was killed, over its data; it serves when this returns."""
    server.start()
    await asyncio.to_thread(server.wait_ready)


@contextmanager
def running_servers(folder: Path) -> Iterator[Servers]:
    """Run a Kafka and a PostgreSQL with a template database until the block ends, whatever happened to them in it."""
    kafka = services.started(lambda: services.make_kafka(folder))
    try:
        postgres = services.started(lambda: services.make_postgres(folder))
        try:
            template = services.run_apart(lambda: services.create_template(postgres.database_url))
            yield Servers(kafka, postgres, template)
        finally:
            _end(postgres)
    finally:
        _end(kafka)


def _end(server: LocalKafka | LocalPostgres) -> None:
    server.process.signal(signal.SIGCONT)  # a frozen one would sit out the whole time for its stop
    server.stop()
