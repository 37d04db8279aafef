"""Kafka away, at the start and later: a bounded wait, 503 with Retry-After, never a lost 202, and recovery by itself."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from infra.local.kafka import LocalKafka
from tests.support.api import api_settings, metric, read_topic, serving, text_headers, until_ready
from tests.support.services import free_ports, make_kafka, running
from tests.support.waiting import eventually
from topics.provision import create_topics

RECOVERY_SECONDS = 30.0


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[LocalKafka]:
    """A broker of this test alone, which may be stopped."""
    with running(lambda: make_kafka(tmp_path)) as broker:
        yield broker


async def test_without_a_broker_the_api_is_live_not_ready_and_says_so(database: str) -> None:
    """Nobody listens at the address: the API starts all the same and answers 503 at once."""
    (port,) = free_ports(1)
    settings = api_settings(kafka_bootstrap_servers=f"127.0.0.1:{port}", database_url=database)
    async with serving(settings) as api:

        async def refused() -> None:
            answer = await api.post("/tokens", json={"token": "1"})
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "5"
            assert answer.json()["type"] == "urn:tokenflow:problem:kafka-unavailable"
            assert f"KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:{port}" in answer.json()["detail"]

        await eventually(refused, timeout_seconds=10)
        assert (await api.get("/health/live")).status_code == 200
        ready = await api.get("/health/ready")
        assert ready.status_code == 503
        assert ready.json()["status"] == "unavailable"
        assert ready.json()["dependencies"]["postgres"]["status"] == "ok"
        assert await metric(api, "tokens_producer_connected") == 0


async def test_a_topic_that_is_created_later_is_found(kafka: str, topic_base: str, database: str) -> None:
    """Before: 503 with the command to run. After: 202, without a restart."""
    settings = api_settings(kafka_bootstrap_servers=kafka, tokens_topic=topic_base, database_url=database)
    async with serving(settings) as api:

        async def told() -> None:
            detail = (await api.post("/tokens", json={"token": "1"})).json()["detail"]
            assert f"The topic {topic_base}: does not exist; run: tokenflow topics create" in detail

        await eventually(told, timeout_seconds=10)
        await create_topics(settings)
        await until_ready(api, timeout_seconds=RECOVERY_SECONDS)
        assert (await api.post("/tokens", json={"token": "1"})).status_code == 202


async def test_a_broker_that_falls_silent_costs_a_bounded_wait_and_no_record(
    own_broker: LocalKafka, topic_base: str, database: str
) -> None:
    """Frozen broker: 503 that names the record, a bound on those that wait, and each is there once when it comes back."""
    settings = api_settings(
        kafka_bootstrap_servers=own_broker.bootstrap_servers,
        tokens_topic=topic_base,
        database_url=database,
        api_produce_timeout_seconds=0.5,
        api_max_unacknowledged_produces=3,
    )
    await create_topics(settings)
    async with serving(settings) as api:
        await until_ready(api)
        assert (await api.post("/tokens", json={"token": "before"})).status_code == 202
        own_broker.process.signal(signal.SIGSTOP)
        try:
            waiting = await asyncio.gather(*(api.post("/tokens", json={"token": f"during{n}"}) for n in range(3)))
            over_the_bound = await api.post("/tokens", json={"token": "refused"})
            assert (await api.get("/health/ready")).status_code == 503
        finally:
            own_broker.process.signal(signal.SIGCONT)
        for answer in waiting:
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "5"
            assert answer.json()["type"] == "urn:tokenflow:problem:not-acknowledged"
            assert f"/records/{answer.json()['record_id']}" in answer.json()["detail"]
        assert over_the_bound.json()["type"] == "urn:tokenflow:problem:too-many-unacknowledged"

        await eventually(lambda: _acknowledged(api, 3), timeout_seconds=RECOVERY_SECONDS)
        assert (await api.post("/tokens", json={"token": "after"})).status_code == 202
        records = await read_topic(own_broker.bootstrap_servers, topic_base)
        assert sorted(record.value for record in records) == [b"after", b"before", b"during0", b"during1", b"during2"]
        told = {answer.json()["record_id"] for answer in waiting}
        assert {text_headers(record)["record-id"] for record in records if record.value.startswith(b"during")} == told


async def test_a_producer_that_lost_its_sequence_is_replaced(kafka: str, topic_base: str, database: str) -> None:
    """The broker refuses a record for good: 413, and the records after it are accepted by another producer."""
    settings = api_settings(kafka_bootstrap_servers=kafka, tokens_topic=topic_base, database_url=database)
    await _create_with_small_records(kafka, topic_base)
    await create_topics(settings)
    async with serving(settings) as api:
        await until_ready(api)
        refused = await api.post(
            "/tokens", json={"token": "large", "note": "".join(chr(33 + n % 90) for n in range(90_000))}
        )
        assert refused.status_code == 202, "lz4 makes a repeating text small"
        noise = "".join(f"{n * 2654435761 % 2**32:08x}" for n in range(10_000))
        refused = await api.post("/tokens", json={"token": "large", "note": noise})
        assert (refused.status_code, refused.json()["type"]) == (413, "urn:tokenflow:problem:record-too-large")

        async def accepted() -> None:
            assert (await api.post("/tokens", json={"token": "large"})).status_code == 202

        await eventually(accepted, timeout_seconds=RECOVERY_SECONDS)
        assert await metric(api, "tokens_producer_replacements_total") == 1


async def _acknowledged(api: httpx.AsyncClient, count: int) -> None:
    assert await metric(api, 'tokens_produce_late_total{result="acknowledged"}') == count
    assert await metric(api, "tokens_produce_unacknowledged") == 0


async def _create_with_small_records(kafka: str, topic: str) -> None:
    async with asyncio.timeout(20):
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(topic, 3, 1, topic_configs={"max.message.bytes": "10000"})])
        finally:
            await admin.close()
