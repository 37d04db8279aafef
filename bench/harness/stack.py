"""A Kafka, a PostgreSQL and a mock API of the benchmark's own, on one core; what is measured runs on the other.

A child inherits the cores of its parent, so this process moves to the core of the servers before it starts them. Where the
machine has more cores, the servers and this process have all but the one that is measured.
"""

import os
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import psutil

from tests.support import services
from tests.support.mock_processes import MockProcess, running_mock_api
from topics.provision import create_topics
from topics.settings import KafkaSettings

PARTITIONS = 12


@dataclass(frozen=True, slots=True)
class Cores:
    """Which cores are measured and which serve."""

    measured: tuple[int, ...]
    serving: tuple[int, ...]

    @property
    def all(self) -> tuple[int, ...]:
        """Every core, for rows that measure the machine."""
        return (*self.measured, *self.serving)


def split_cores() -> Cores:
    """Take the first core for what is measured; a machine with one core shares it."""
    first, *others = sorted(os.sched_getaffinity(0))
    return Cores((first,), tuple(others) or (first,))


@dataclass(frozen=True, slots=True)
class Stage:
    """One run's own topics, database and mock."""

    kafka: str
    database: str
    topic: str
    mock: MockProcess
    folder: Path
    cores: Cores
    servers: Mapping[str, int]
    """Name -> process id."""
    retry_delay_seconds: float

    @property
    def environment(self) -> dict[str, str]:
        """What a subject needs to find them; WORKER_ settings come on top."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka,
            "KAFKA_GROUP_ID": self.topic,
            "TOKENS_TOPIC": self.topic,
            "TOKENS_PARTITIONS": str(PARTITIONS),
            "RETRY_DELAY_MINUTES": str(self.retry_delay_seconds / 60),
            "DATABASE_URL": self.database,
            "PROVIDER_URL": f"http://127.0.0.1:{self.mock.port}/score/{{token}}",
            "PROVIDER_TIMEOUT_SECONDS": "20",
        }

    @property
    def batch_url(self) -> str:
        """The mock's endpoint for many ids."""
        return f"http://127.0.0.1:{self.mock.port}/scores"

    def server_cpu(self) -> dict[str, float]:
        """CPU seconds of each server so far, the processes that it started included."""
        return {name: tree_cpu(psutil.Process(pid)) for name, pid in self.servers.items()}

    async def rows(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        """Query this run's database."""
        connection = await asyncpg.connect(self.database, timeout=30)
        try:
            return await connection.fetch(query, *arguments)
        finally:
            await connection.close()


def tree_cpu(root: psutil.Process) -> float:
    """CPU seconds of a process and of all below it, those that have ended included."""
    used = 0.0
    for process in (root, *root.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        used += times.user + times.system + times.children_user + times.children_system
    return used


@dataclass(frozen=True, slots=True)
class Stack:
    """The servers of a whole benchmark."""

    kafka: str
    database_server: str
    postgres_pid: int
    kafka_pid: int
    template: str
    folder: Path
    cores: Cores

    @asynccontextmanager
    async def stage(self, *, retry_delay_seconds: float = 300.0, **profile: object) -> AsyncIterator[Stage]:
        """Make a run's topics, database and mock; dropped when the block ends, so that one run does not slow the next."""
        name = await services.clone_database(self.database_server, self.template)
        topic = f"bench-{uuid.uuid4().hex[:8]}"
        await create_topics(
            KafkaSettings(
                kafka_bootstrap_servers=self.kafka,
                tokens_topic=topic,
                tokens_partitions=PARTITIONS,
                retry_delay_minutes=retry_delay_seconds / 60,
            )
        )
        with running_mock_api(self.folder) as mock:
            mock.behave(**profile)
            database = services.with_database(self.database_server, name)
            servers = {"Kafka": self.kafka_pid, "PostgreSQL": self.postgres_pid, "mock": mock.process.pid}
            yield Stage(self.kafka, database, topic, mock, self.folder, self.cores, servers, retry_delay_seconds)
        await services.drop_database(self.database_server, name)


@contextmanager
def running_stack(folder: Path) -> Iterator[Stack]:
    """Run the servers until the block ends."""
    cores = split_cores()
    os.sched_setaffinity(0, cores.serving)
    with ExitStack() as stack:
        kafka = stack.enter_context(services.running(lambda: services.make_kafka(folder)))
        postgres = stack.enter_context(services.running(lambda: services.make_postgres(folder)))
        template = services.run_apart(lambda: services.create_template(postgres.database_url))
        yield Stack(
            kafka.bootstrap_servers,
            postgres.database_url,
            postgres.process.pid,
            kafka.process.pid,
            template,
            folder,
            cores,
        )
