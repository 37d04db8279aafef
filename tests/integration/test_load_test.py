"""The load test as its users start it: against the real API, Kafka, PostgreSQL, a worker and the mock."""

import asyncio
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from infra.local.kafka import LocalKafka
from tests.support.api import api_settings, metric, read_topic, serving, until_ready
from tests.support.load_test import load_test
from tests.support.mock_processes import MockProcess
from tests.support.processes import END_SECONDS, ROOT
from tests.support.services import free_ports, make_kafka, running
from tests.support.system import System, running_system
from tests.support.waiting import eventually
from topics.provision import create_topics
from topics.settings import KafkaSettings


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[LocalKafka]:
    """A broker of this test alone, which may be frozen."""
    with running(lambda: make_kafka(tmp_path)) as broker:
        yield broker


async def test_the_figures_are_those_of_the_database_and_the_mock(system: System) -> None:
    """2,000 requests, an eighth of them repeats, some calls failing: every number has its witness."""
    system.mock.behave(latency_min_seconds=0.05, latency_max_seconds=0.2, error_ratio=0.05)
    worker = system.start_worker(MAX_RETRIES="0")
    settings = api_settings(
        kafka_bootstrap_servers=system.kafka,
        kafka_group_id=system.topic,
        tokens_topic=system.topic,
        database_url=system.database,
    )
    async with serving(settings) as api:
        await asyncio.gather(worker.ready(), until_ready(api))
        before = await api.post("/tokens", json={"token": "not of the run"})
        options = ("--requests", "2_000", "--concurrency", "8", "--duplicates", "0.125", "--wait")
        async with load_test("--url", str(api.base_url), *options) as run:
            assert await run.ended() == 0, run.output
        assert await metric(api, 'tokens_ingested_total{source="http"}') == 2_001
        await eventually(lambda: _tells_lag(api, tokens=0, seconds=0.0, members=1), timeout_seconds=15)

    assert before.status_code == 202
    assert "asyncio" in run.output, "nothing but the standard library"
    assert run.number(r"^accepted +([\d,]+) of 2,000") == 2_000
    assert re.search(r"^errors +none$", run.output, re.MULTILINE)
    assert run.number(r"^stored +([\d,]+) of 2,000, the last after") == 2_000
    rows = await system.rows("SELECT outcome::text, count(*) FROM outcomes WHERE token LIKE 'load-%' GROUP BY 1")
    stored = {row[0]: row[1] for row in rows}
    assert sum(stored.values()) == 2_000
    assert stored["dead_lettered"] > 0
    assert {outcome: run.number(rf"^outcomes .*\b{outcome} ([\d,]+)") for outcome in stored} == stored
    assert run.number(r"([\d,]+) different tokens") == 1_750
    assert system.mock.stats()["distinct_tokens"] == 1_750 + 1
    await worker.terminate()


async def test_a_broker_that_falls_silent_costs_no_accepted_token(
    own_broker: LocalKafka, database: str, topic_base: str, mock_process: MockProcess, tmp_path: Path
) -> None:
    """Situation: a load test runs. Fault: Kafka freezes until POSTs get 503. Must hold: all are accepted and stored."""
    async with running_system(
        kafka=own_broker.bootstrap_servers, database=database, topic_base=topic_base, mock=mock_process, folder=tmp_path
    ) as system:
        worker = system.start_worker()
        settings = api_settings(
            kafka_bootstrap_servers=system.kafka,
            tokens_topic=system.topic,
            database_url=database,
            api_produce_timeout_seconds=0.5,
        )
        async with serving(settings) as api:
            await asyncio.gather(worker.ready(), until_ready(api))
            async with load_test("--url", str(api.base_url), "--requests", "800", "--concurrency", "4", "--wait") as run:
                await eventually(lambda: _counted(api, "202", 100), timeout_seconds=20, interval_seconds=0.01)
                own_broker.process.signal(signal.SIGSTOP)
                try:
                    await eventually(lambda: _counted(api, "503", 4), timeout_seconds=20)
                finally:
                    own_broker.process.signal(signal.SIGCONT)
                assert await run.ended(timeout_seconds=60) == 0, run.output
        assert run.number(r"^accepted +([\d,]+) of 800") == 800
        waited = run.number(r"^waited +([\d,]+) times told to wait: 503 not-acknowledged")
        assert waited >= 4
        records = Counter(record.value for record in await read_topic(system.kafka, system.topic))
        assert len(records) == 800
        assert 800 < records.total() <= 800 + waited
        assert run.number(r"^stored +([\d,]+) of 800, the last") == 800
        await system.wait_for(records.total())
        (row,) = await system.rows("SELECT count(DISTINCT token) FROM outcomes")
        assert row[0] == 800


async def test_an_interrupt_prints_what_was_done(kafka: str, topic_base: str, database: str) -> None:
    """Ctrl-C: the running requests end, the summary counts what Kafka has, exit code 130."""
    settings = api_settings(kafka_bootstrap_servers=kafka, tokens_topic=topic_base, database_url=database)
    await create_topics(KafkaSettings(kafka_bootstrap_servers=kafka, tokens_topic=topic_base, tokens_partitions=3))
    async with serving(settings) as api:
        await until_ready(api)
        async with load_test("--url", str(api.base_url), "--requests", "10_000_000", "--wait", bare=False) as run:
            await eventually(lambda: _counted(api, "202", 500), timeout_seconds=20)
            run.process.send_signal(signal.SIGINT)
            assert await run.ended() == 130, run.output
        accepted = run.number(r"^accepted +([\d,]+) of 10,000,000")
        assert accepted == await metric(api, 'tokens_ingested_total{source="http"}')
    assert "uvloop" in run.output
    assert run.number(r"^unsent +([\d,]+)") == 10_000_000 - accepted
    assert len(await read_topic(kafka, topic_base)) == accepted


async def test_a_refused_token_is_an_error_with_its_reason(kafka: str, topic_base: str, database: str) -> None:
    """What no repeat can mend is not sent again, and the exit code says so."""
    settings = api_settings(
        kafka_bootstrap_servers=kafka, tokens_topic=topic_base, database_url=database, token_pattern="[0-7]"
    )
    await create_topics(KafkaSettings(kafka_bootstrap_servers=kafka, tokens_topic=topic_base, tokens_partitions=3))
    async with serving(settings) as api:
        await until_ready(api)
        async with load_test("--url", str(api.base_url), "--requests", "10", "--prefix", "") as run:
            assert await run.ended() == 1, run.output
    assert run.number(r"^accepted +([\d,]+) of 10 ") == 8
    assert run.number(r"^error +([\d,]+) tokens: 422 malformed: ") == 2


async def test_the_queue_is_told_while_nobody_works(kafka: str, topic_base: str, database: str) -> None:
    """What was accepted and not called yet is the lag, as old as its oldest record; retry topics apart."""
    settings = api_settings(
        kafka_bootstrap_servers=kafka, kafka_group_id=topic_base, tokens_topic=topic_base, database_url=database
    )
    await create_topics(settings)
    async with serving(settings) as api:
        await until_ready(api)
        async with load_test("--url", str(api.base_url), "--requests", "100") as run:
            assert await run.ended() == 0, run.output
        await eventually(lambda: _tells_lag(api, tokens=100, retry=0, members=0), timeout_seconds=10)
        lag = (await api.get("/status")).json()["lag"]
        assert 0 < lag["seconds"] < 30
        assert 0 <= lag["age_seconds"] < 2


async def test_what_stays_away_ends_the_run(database: str) -> None:
    """Kafka away for longer than the patience: one token a connection is given up, the others are not tried in vain."""
    (port,) = free_ports(1)
    async with serving(api_settings(kafka_bootstrap_servers=f"127.0.0.1:{port}", database_url=database)) as api:
        options = ("--requests", "1_000_000", "--concurrency", "2", "--patience", "1")
        async with load_test("--url", str(api.base_url), *options) as run:
            assert await run.ended() == 1, run.output
    assert run.number(r"^waited +([\d,]+) times told to wait: 503 kafka-unavailable") == 2
    assert run.number(r"^error +([\d,]+) tokens: given up after 1 s: 503 kafka-unavailable") == 2
    assert run.number(r"^unsent +([\d,]+)") == 999_998


async def test_what_cannot_be_waited_for_is_not_begun() -> None:
    """--wait without a database: nothing is sent, and the problem is told."""
    kafka, postgres = free_ports(2)
    settings = api_settings(
        kafka_bootstrap_servers=f"127.0.0.1:{kafka}", database_url=f"postgresql://nobody@127.0.0.1:{postgres}/none"
    )
    async with serving(settings) as api, load_test("--url", str(api.base_url), "--wait") as run:
        assert await run.ended() == 2, run.output
    assert "503 database-unavailable" in run.output
    assert "accepted" not in run.output


async def test_nobody_there_is_told_at_once() -> None:
    """Exit code 2 and what to do, not a million errors."""
    (port,) = free_ports(1)
    async with load_test("--url", f"http://127.0.0.1:{port}", "--requests", "1_000_000") as run:
        assert await run.ended(timeout_seconds=10) == 2
    assert "Is the API running (make up)" in run.output


def test_beside_a_venv_it_goes_on_in_that() -> None:
    """Started by any Python, it becomes the checkout's own, whose uvloop it names."""
    (port,) = free_ports(1)
    command = ["python3", "scripts/load_test.py", "--url", f"http://127.0.0.1:{port}"]
    found = subprocess.run(  # noqa: S603 - our own script
        command, cwd=ROOT, capture_output=True, text=True, timeout=END_SECONDS, check=False
    )
    assert found.returncode == 2, found.stderr
    assert "uvloop" in found.stdout


async def _counted(api: httpx.AsyncClient, status: str, count: int) -> None:
    name = f'tokens_http_request_duration_seconds_count{{method="POST",route="/tokens",status="{status}"}}'
    assert await metric(api, name) >= count


async def _tells_lag(api: httpx.AsyncClient, **expected: float) -> None:
    document = (await api.get("/status")).json()
    assert document["lag"] is not None, document["lag_unknown_because"]
    assert {name: document["lag"][name] for name in expected} == expected
