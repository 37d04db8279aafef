"""A running HTTP API for tests: the real server on a free port, in the test's own process."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
from aiokafka import AIOKafkaConsumer, ConsumerRecord

from producer_api.cli import ApiServer, listen
from producer_api.settings import ApiSettings
from tests.support.waiting import eventually

START_SECONDS = 10.0
STOP_SECONDS = 30.0
CLIENT_SECONDS = 30.0
READ_SECONDS = 20.0

INSERT = """
INSERT INTO outcomes (record_id, token, outcome, attempt, result, error_kind, error_message,
                      source_topic, source_partition, source_offset, source_timestamp)
VALUES ($1, $2, $3, $4, $5::text::jsonb, $6, $7, 'tokens', 0, 0, now())
ON CONFLICT (record_id) DO UPDATE SET outcome = EXCLUDED.outcome, attempt = EXCLUDED.attempt, result = EXCLUDED.result,
    error_kind = EXCLUDED.error_kind, error_message = EXCLUDED.error_message, settled_at = clock_timestamp()
"""


def api_settings(**changes: object) -> ApiSettings:
    """Make settings of an API on a free port; nothing comes from the environment."""
    return ApiSettings.model_validate({"api_port": 0, "tokens_partitions": 3, **changes})


@asynccontextmanager
async def serving(settings: ApiSettings) -> AsyncIterator[httpx.AsyncClient]:
    """Serve until the block ends; yields a client of the server."""
    server, listening = ApiServer(settings), listen(settings)
    task = asyncio.create_task(server.serve([listening]))
    try:
        await eventually(lambda: _is_true(server.started), timeout_seconds=START_SECONDS)
        host, port = listening.getsockname()[:2]
        async with httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=CLIENT_SECONDS, trust_env=False) as client:
            yield client
    finally:
        server.should_exit = True
        async with asyncio.timeout(STOP_SECONDS):
            await task
    assert not server.failed


async def until_ready(client: httpx.AsyncClient, *, timeout_seconds: float = START_SECONDS) -> None:
    """Wait until the API accepts tokens."""

    async def ready() -> None:
        assert (await client.get("/health/ready")).status_code == 200

    await eventually(ready, timeout_seconds=timeout_seconds)


async def read_topic(bootstrap_servers: str, topic: str) -> list[ConsumerRecord]:
    """Return every record that the topic holds now, in the order of partition and offset."""
    records: list[ConsumerRecord] = []
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest")
    async with asyncio.timeout(READ_SECONDS), consumer:
        partitions = sorted(consumer.assignment())  # without a group: every partition, once started
        ends = await consumer.end_offsets(partitions)
        for partition in partitions:
            while await consumer.position(partition) < ends[partition]:
                records += (await consumer.getmany(partition, timeout_ms=500)).get(partition, [])
    return records


async def store_outcome(database: str, record_id: str, token: str, outcome: str, **fields: Any) -> None:
    """Write an outcome as a worker would; `fields` are result (JSON text), error_kind, error_message, attempt."""
    connection = await asyncpg.connect(database, timeout=READ_SECONDS)
    try:
        values = (fields.get("attempt", 1), fields.get("result"), fields.get("error_kind"), fields.get("error_message"))
        await connection.execute(INSERT, record_id, token, outcome, *values)
    finally:
        await connection.close()


async def metric(client: httpx.AsyncClient, name: str) -> float:
    """Read one sample of /metrics by its name with labels; 0 while it has none."""
    for line in (await client.get("/metrics")).text.splitlines():
        sample, _, value = line.rpartition(" ")
        if sample == name:
            return float(value)
    return 0.0


def text_headers(record: ConsumerRecord) -> Mapping[str, str]:
    """Read a record's headers; every one of ours is text."""
    return {name: value.decode() for name, value in record.headers}


def _is_true(value: bool) -> None:  # noqa: FBT001 - an assertion as a function
    assert value
