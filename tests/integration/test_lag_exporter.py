"""The lag exporter as a real process before a real broker that goes away and comes back."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import NotCoordinatorForGroupError

from infra.lag.metrics import CATALOGUE
from infra.local.kafka import LocalKafka
from tests.support.lag import commit_offsets
from tests.support.lag_exporter import ExporterProcess, running_exporter
from tests.support.services import make_kafka, running
from tests.support.waiting import eventually
from topics.connection import KafkaConnectionError
from topics.lag_reader import LagReader
from topics.lag_requests import committed_offsets
from topics.provision import create_topics
from topics.settings import KafkaSettings

BASE = "queue"
GROUP = "readers"


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[LocalKafka]:
    """A broker of this test alone, which may be stopped."""
    with running(lambda: make_kafka(tmp_path)) as broker:
        yield broker


@pytest.fixture
async def exporter(own_broker: LocalKafka, tmp_path: Path) -> AsyncIterator[ExporterProcess]:
    """Two partitions each; `queue` has 5 records in partition 0, 3 of them committed, and 4 in partition 1, none."""
    settings = KafkaSettings(kafka_bootstrap_servers=own_broker.bootstrap_servers, tokens_topic=BASE, tokens_partitions=2)
    await asked_too_early(own_broker)
    await create_topics(settings)
    await produce(own_broker.bootstrap_servers, [0] * 5 + [1] * 4)
    await commit_offsets(own_broker.bootstrap_servers, GROUP, {TopicPartition(BASE, 0): 3})
    with running_exporter(
        tmp_path, KAFKA_BOOTSTRAP_SERVERS=own_broker.bootstrap_servers, TOKENS_TOPIC=BASE, KAFKA_GROUP_ID=GROUP
    ) as exporter:
        await exporter.live()
        yield exporter


async def asked_too_early(broker: LocalKafka) -> None:
    """A broker that has no coordinator yet does not know of commits, which is another answer than that there are none."""
    client = AIOKafkaClient(bootstrap_servers=broker.bootstrap_servers)
    await client.bootstrap()
    try:
        with pytest.raises(NotCoordinatorForGroupError):
            await committed_offsets(client, client.get_random_node(), GROUP)
    finally:
        await client.close()


async def produce(kafka: str, partitions: list[int]) -> None:
    """Produce one record to each partition named."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all")
    await producer.start()
    try:
        await asyncio.gather(*[await producer.send(BASE, b"1", partition=number) for number in partitions])
    finally:
        await producer.stop()


async def test_the_exporter_tells_what_is_known_and_nothing_else(own_broker: LocalKafka, exporter: ExporterProcess) -> None:
    """Every name of the catalogue with its series; then the broker goes, its series go, and both come back."""
    retry = f"{BASE}.retry.5m"
    found = await exporter.scrape()
    assert found["kafka_consumergroup_lag"] == {
        (GROUP, "0", BASE): 2, (GROUP, "1", BASE): 4, (GROUP, "0", retry): 0, (GROUP, "1", retry): 0
    }  # fmt: skip
    assert found["kafka_consumergroup_current_offset"] == {(GROUP, "0", BASE): 3}
    assert found["kafka_consumergroup_lag_sum"] == {(GROUP, BASE): 6, (GROUP, retry): 0}
    assert found["kafka_consumergroup_members"] == {(GROUP,): 0}
    assert found["kafka_topic_partitions"] == {(BASE,): 2, (retry,): 2}
    assert found["kafka_topic_partition_current_offset"] == {
        ("0", BASE): 5, ("1", BASE): 4, ("0", retry): 0, ("1", retry): 0
    }  # fmt: skip
    assert set(found["kafka_topic_partition_oldest_offset"].values()) == {0}
    seconds = found["kafka_consumergroup_lag_seconds"]
    assert 0 < seconds[GROUP, "0", BASE] < 60
    assert 0 < seconds[GROUP, "1", BASE] < 60
    assert (seconds[GROUP, "0", retry], seconds[GROUP, "1", retry]) == (0, 0)
    assert set(CATALOGUE) <= set(found)
    assert (await exporter.get("/health/ready"))[0] == 200

    assert await asyncio.to_thread(own_broker.stop) == 143
    await eventually(lambda: _broker_is_missed(exporter), timeout_seconds=20)
    status, text = await exporter.get("/health/ready")
    assert status == 503
    assert "KAFKA_BOOTSTRAP_SERVERS" in text
    assert (await exporter.get("/health/live"))[0] == 200

    own_broker.start()
    await asyncio.to_thread(own_broker.wait_ready)
    await produce(own_broker.bootstrap_servers, [1])

    told: set[float | None] = set()

    async def it_is_back() -> None:
        lag = (await exporter.scrape()).get("kafka_consumergroup_lag", {})
        told.add(lag.get((GROUP, "0", BASE)))
        assert lag.get((GROUP, "1", BASE)) == 5

    await eventually(it_is_back, timeout_seconds=20, interval_seconds=0.3)
    assert told - {None} == {2}, "a coordinator that still loads is not taken for one that knows of no commit"
    assert exporter.log.count("cannot be reached") == exporter.log.count("Kafka answers again") == 1, exporter.log
    assert exporter.terminate() == 0, exporter.log
    await falls_silent(own_broker)


async def test_many_scrapes_at_once_are_one_reading(kafka: str, topic_base: str, tmp_path: Path) -> None:
    """Fifty scrapes within a moment cost the broker at most one reading a second."""
    with running_exporter(tmp_path, KAFKA_BOOTSTRAP_SERVERS=kafka, TOKENS_TOPIC=topic_base) as exporter:
        await exporter.live()
        started = asyncio.get_running_loop().time()
        await asyncio.gather(*(exporter.scrape() for _ in range(50)))
        seconds = asyncio.get_running_loop().time() - started
        readings = (await exporter.scrape())["tokens_lag_readings_total"]
        assert 1 <= sum(readings.values()) <= seconds + 2
        assert readings["failed",] == 0


async def falls_silent(broker: LocalKafka) -> None:
    """A broker that is frozen costs a reading its deadline and no more; the next one after it is whole."""
    settings = KafkaSettings(kafka_bootstrap_servers=broker.bootstrap_servers, tokens_topic=BASE, kafka_group_id=GROUP)
    reader = LagReader(settings, timeout_seconds=1.0)
    try:
        assert (await reader.read()).lag == 7
        broker.process.signal(signal.SIGSTOP)
        try:
            # The signal goes by way of the guard. The first failure has a connection, the second has none.
            await eventually(partial(_fails, reader), timeout_seconds=10)
            async with asyncio.timeout(3):
                await _fails(reader)
        finally:
            broker.process.signal(signal.SIGCONT)
        await eventually(partial(_whole, reader), timeout_seconds=15)
    finally:
        await reader.close()


async def _fails(reader: LagReader) -> None:
    failed = False
    try:
        await reader.read()
    except KafkaConnectionError:
        failed = True
    assert failed


async def _whole(reader: LagReader) -> None:
    try:
        assert (await reader.read()).lag == 7
    except KafkaConnectionError as error:
        raise AssertionError from error


async def _broker_is_missed(exporter: ExporterProcess) -> None:
    found = await exporter.scrape()
    assert [name for name in found if name.startswith("kafka_")] == []
    assert found["tokens_lag_readings_total"]["failed",] >= 1
