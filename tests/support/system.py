"""A whole system for one test: its own topics, group and database, the real mock API, workers as real processes.

`Promise` checks what must hold whatever happened, the same way everywhere.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import RecordMetadata

from tests.support.mock_processes import ROOT, MockProcess
from tests.support.services import free_ports
from tests.support.waiting import eventually
from topics.provision import create_topics
from topics.settings import KafkaSettings

START_SECONDS = 30.0
STOP_SECONDS = 30.0


class WorkerProcess:
    """`tokenflow work` as a process. Its log is a file, shown when a test fails on it."""

    def __init__(self, environment: dict[str, str], folder: Path, *, index: int) -> None:
        (self.port,) = free_ports(1)
        self.log_path = folder / f"worker-{index}-{self.port}.log"
        self.end_expected = False
        """Whether somebody waited for its end, or killed it."""
        own = {"WORKER_INDEX": "0", "WORKER_PORT": str(self.port)}
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "infra.cli", "work"],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), **environment, **own},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def log(self) -> str:
        """What it printed so far."""
        return self.log_path.read_text()

    async def get(self, path: str) -> tuple[int, str]:
        """Ask its health server; an AssertionError shows its log where it does not answer."""
        timeout = aiohttp.ClientTimeout(total=5)
        url = f"http://127.0.0.1:{self.port}{path}"
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
                return response.status, await response.text()
        except aiohttp.ClientError as error:
            raise AssertionError(self.log) from error

    async def ready(self) -> None:
        """Wait until it has joined its group and works."""

        async def is_ready() -> None:
            assert self.process.poll() is None, self.log
            status, text = await self.get("/health/ready")
            assert status == 200, text

        await eventually(is_ready, timeout_seconds=START_SECONDS)

    async def ended(self) -> int:
        """Wait for its end; return the exit code."""
        self.end_expected = True

        def is_over() -> None:
            assert self.process.poll() is not None, self.log

        await eventually(is_over, timeout_seconds=STOP_SECONDS)
        assert self.process.returncode is not None
        return self.process.returncode

    async def terminate(self) -> None:
        """Stop it as an operator would; it must end with 0."""
        self.process.send_signal(signal.SIGTERM)
        assert await self.ended() == 0, self.log

    def kill(self) -> None:
        """Kill -9."""
        self.end_expected = True
        self.process.kill()
        self.process.wait(STOP_SECONDS)


class System:
    """Everything that a scenario needs, apart from other tests by its topics, its group and its database."""

    def __init__(self, *, kafka: str, database: str, topic_base: str, mock: MockProcess, folder: Path) -> None:
        self.kafka = kafka
        self.database = database
        self.topic = topic_base
        self.mock = mock
        self._folder = folder
        self._workers: list[WorkerProcess] = []
        self.partitions = 6
        self.environment = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "KAFKA_GROUP_ID": topic_base,
            "TOKENS_TOPIC": topic_base,
            "TOKENS_PARTITIONS": str(self.partitions),
            "KAFKA_SESSION_TIMEOUT_SECONDS": "6",
            "DATABASE_URL": database,
            "PROVIDER_URL": f"http://127.0.0.1:{mock.port}/score/{{token}}",
            "PROVIDER_TIMEOUT_SECONDS": "10",
            "WORKER_CONCURRENCY": "10",
            "QUEUE_BATCH_SIZE": "20",
        }

    async def create_topics(self, *, retry_delay_minutes: float = 5) -> None:
        """Make this system's topics, with few partitions; workers that start later use this delay."""
        self.environment["RETRY_DELAY_MINUTES"] = str(retry_delay_minutes)
        await create_topics(
            KafkaSettings(
                kafka_bootstrap_servers=self.kafka,
                tokens_topic=self.topic,
                tokens_partitions=self.partitions,
                retry_delay_minutes=retry_delay_minutes,
            )
        )

    def start_worker(self, **settings: str) -> WorkerProcess:
        """Start a worker; `ready` tells when it works."""
        worker = WorkerProcess({**self.environment, **settings}, self._folder, index=len(self._workers) + 1)
        self._workers.append(worker)
        return worker

    def end(self) -> None:
        """Kill what still runs."""
        for worker in self._workers:
            if worker.process.poll() is None:
                worker.kill()

    async def produce(
        self,
        values: Iterable[bytes | None],
        *,
        headers: Sequence[tuple[str, bytes]] | Callable[[bytes | None], Sequence[tuple[str, bytes]]] = (),
        keyed: bool = True,
    ) -> list[RecordMetadata]:
        """Produce one record a value, acknowledged by the broker; return where each went.

        `headers`: those of every record, or of a value.
        """
        own = headers if callable(headers) else lambda _: headers
        producer = AIOKafkaProducer(bootstrap_servers=self.kafka, acks="all", enable_idempotence=True, linger_ms=5)
        await producer.start()
        try:
            sent = [
                # aiokafka refuses a record without key and value, which other clients send.
                await producer.send(
                    self.topic, value, key=value if keyed else b"" if value is None else None, headers=list(own(value))
                )
                for value in values
            ]
            return await asyncio.gather(*sent)
        finally:
            await producer.stop()

    async def rows(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        """Query this system's database."""
        connection = await asyncpg.connect(self.database, timeout=5)
        try:
            return await connection.fetch(query, *arguments)
        finally:
            await connection.close()

    async def count(self, outcome: str = "succeeded") -> int:
        """Count the stored outcomes of a kind."""
        (row,) = await self.rows("SELECT count(*) FROM outcomes WHERE outcome = $1::outcome", outcome)
        return int(row[0])

    async def wait_for(self, count: int, outcome: str = "succeeded", *, timeout_seconds: float = 60) -> None:
        """Wait until at least so many outcomes of a kind are stored."""

        async def enough() -> None:
            assert await self.count(outcome) >= count

        await eventually(enough, timeout_seconds=timeout_seconds)

    async def lag(self) -> int:
        """Records of the tokens topic above the committed offsets, as an outsider reads them."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka)
        await admin.start()
        await consumer.start()
        try:
            committed = await admin.list_consumer_group_offsets(self.topic)
            partitions = [TopicPartition(self.topic, number) for number in range(self.partitions)]
            ends = await consumer.end_offsets(partitions)
            return sum(end - max(0, committed[tp].offset if tp in committed else 0) for tp, end in ends.items())
        finally:
            await consumer.stop()
            await admin.close()

    async def rewind(self) -> None:
        """Set the group back to the start of the topic. No member may be in it."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka, group_id=self.topic, enable_auto_commit=False)
        partitions = [TopicPartition(self.topic, number) for number in range(self.partitions)]
        await consumer.start()
        try:
            consumer.assign(partitions)
            await consumer.commit(dict.fromkeys(partitions, 0))
        finally:
            await consumer.stop()

    async def assert_promise(self, tokens: Sequence[str], *, repeats_at_most: int = 0) -> None:
        """Every token has exactly one final row, was called as often as allowed, and nothing is left in the queue."""
        found = await self.rows("SELECT token, outcome::text FROM outcomes")
        stored = sorted(row["token"] for row in found if row["outcome"] in {"succeeded", "dead_lettered"})
        assert stored == sorted(tokens), f"{len(tokens)} tokens, {len(stored)} final rows"
        stats = self.mock.stats()
        assert stats["distinct_tokens"] == len(tokens)
        assert stats["repeated_calls"] <= repeats_at_most

        await self.drained()

    async def drained(self) -> None:
        """Wait until nothing is left in the queue: every offset is committed."""

        async def is_drained() -> None:
            assert await self.lag() == 0

        await eventually(is_drained, timeout_seconds=15, interval_seconds=0.3)


@asynccontextmanager
async def running_system(
    *, kafka: str, database: str, topic_base: str, mock: MockProcess, folder: Path
) -> AsyncIterator[System]:
    """Make a system's topics; when the block ends, nothing of it runs any more."""
    system = System(kafka=kafka, database=database, topic_base=topic_base, mock=mock, folder=folder)
    await system.create_topics()
    try:
        yield system
    finally:
        system.end()
