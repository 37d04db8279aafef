"""Rows go when they are old enough, and never while a log could still bring their record back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry, Counter

from producer_api.retention import Retention
from producer_api.settings import ApiSettings
from tests.support.system import System
from tests.support.topic_faults import set_otherwise
from tests.support.waiting import eventually
from topics.oldest import oldest_record_ms
from topics.settings import KafkaSettings

RULES = [{"pattern": "gone.*", "behaviour": {"statuses": {"404": 1}}}]
LOOK_SECONDS = 0.2
CREATE_TIME = 0
LOCKS = """
SELECT count(*) AS held FROM pg_locks
WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@asynccontextmanager
async def _running(
    system: System, counter: Counter, *, oldest: Callable[[], Awaitable[int]] | None = None, **days: float
) -> AsyncIterator[None]:
    """Run the task of an API process."""
    retention = Retention(
        ApiSettings.model_validate(
            {
                "kafka_bootstrap_servers": system.kafka,
                "tokens_topic": system.topic,
                "database_url": system.database,
                **days,
            }
        ),
        counter,
        look_seconds=LOOK_SECONDS,
        margin=timedelta(0),
        oldest=oldest,
    )
    task = asyncio.create_task(retention.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _work(system: System) -> None:
    """Store 50 answers and 5 dead letters, a long time ago as their rows say."""
    system.mock.behave(rules=RULES)
    await system.produce([*(b"good%d" % n for n in range(50)), *(b"gone%d" % n for n in range(5))])
    worker = system.start_worker()
    await system.wait_for(50)
    await system.wait_for(5, "dead_lettered")
    await system.drained()
    await worker.terminate()
    await system.rows("UPDATE outcomes SET settled_at = settled_at - interval '40 days'")
    await system.rows("UPDATE dead_letters SET dead_lettered_at = dead_lettered_at - interval '40 days'")


async def _delete_records(system: System) -> None:
    """Empty the tokens topic, as its retention does."""
    admin = AIOKafkaAdminClient(bootstrap_servers=system.kafka)
    await admin.start()
    try:
        partitions = [TopicPartition(system.topic, number) for number in range(system.partitions)]
        await admin.delete_records({at: RecordsToDelete(before_offset=-1) for at in partitions})  # -1: all of them
    finally:
        await admin.close()


async def test_a_row_stays_while_the_log_has_its_record(system: System) -> None:
    """Old rows go once the records are gone from the log; dead letters by their own age, and their outcomes behind them."""
    await _work(system)
    await system.rows("UPDATE outcomes SET settled_at = clock_timestamp() - interval '0.5 seconds' WHERE token LIKE 'good%'")
    counter = Counter("pruned", "Rows.", ["table"], registry=CollectorRegistry())
    async with _running(system, counter, outcomes_retention_days=1e-9, dead_letters_retention_days=30):

        async def dead_letters_are_gone() -> None:
            assert await system.rows("SELECT 1 FROM dead_letters") == []
            assert await system.count("dead_lettered") == 0  # its row says that it was settled before the log began

        await eventually(dead_letters_are_gone, timeout_seconds=20)
        assert await system.count() == 50  # their records lie in the log
        await _delete_records(system)

        async def rows_are_gone() -> None:
            assert await system.count() == 0

        await eventually(rows_are_gone, timeout_seconds=20)
    samples = [sample for metric in counter.collect() for sample in metric.samples]
    deleted = {sample.labels["table"]: sample.value for sample in samples if sample.name == "pruned_total"}
    assert deleted == {"outcomes": 55, "dead_letters": 5}


async def test_what_is_kept_is_not_deleted(system: System) -> None:
    """Young enough, without a limit, being redriven, or with a dead letter that is kept: such rows stay."""
    await _work(system)
    await _delete_records(system)
    counter = Counter("pruned", "Rows.", ["table"], registry=CollectorRegistry())
    await system.rows("UPDATE dead_letters SET state = 'redriving' WHERE token = 'gone1'")
    async with _running(system, counter, outcomes_retention_days=39, dead_letters_retention_days=41):

        async def answers_are_gone() -> None:
            assert await system.count() == 0

        await eventually(answers_are_gone, timeout_seconds=20)
    assert await system.count("dead_lettered") == 5
    async with _running(system, counter, dead_letters_retention_days=39):

        async def one_is_left() -> None:
            assert [row["token"] for row in await system.rows("SELECT token FROM dead_letters")] == ["gone1"]

        await eventually(one_is_left, timeout_seconds=20)
    assert await system.count("dead_lettered") == 5


async def test_nothing_goes_where_producers_set_the_timestamps(system: System) -> None:
    """A topic with CreateTime does not tell when its records came: nobody knows what may go, so nothing does."""
    async with set_otherwise(system.kafka, system.topic, {"message.timestamp.type": "CreateTime"}):

        async def takes_effect() -> None:
            (placed,) = await system.produce([b"gone"])
            assert placed.timestamp_type == CREATE_TIME

        await eventually(takes_effect, timeout_seconds=20)
        await _work(system)
        asked: list[BaseException] = []

        async def oldest() -> int:
            try:
                return await oldest_record_ms(KafkaSettings(kafka_bootstrap_servers=system.kafka, tokens_topic=system.topic))
            except KafkaError as error:
                asked.append(error)
                raise

        counter = Counter("pruned", "Rows.", ["table"], registry=CollectorRegistry())
        async with _running(system, counter, oldest=oldest, outcomes_retention_days=39):

            def asked_often() -> None:
                assert len(asked) > 3

            await eventually(asked_often, timeout_seconds=20)
        assert "LogAppendTime" in str(asked[0])
        assert await system.count() == 50


async def test_one_process_at_a_time_and_none_without_kafka(system: System) -> None:
    """A second task waits for the first one's lock; where the logs cannot be asked, nothing is deleted."""
    await _work(system)
    await _delete_records(system)
    counter = Counter("pruned", "Rows.", ["table"], registry=CollectorRegistry())
    days = 1_000
    async with (
        _running(system, counter, outcomes_retention_days=days),
        _running(system, counter, outcomes_retention_days=days),
    ):

        async def one_holds_it() -> None:
            assert [row["held"] for row in await system.rows(LOCKS)] == [1]

        await eventually(one_holds_it, timeout_seconds=20)
    asked: list[int] = []

    async def nobody_tells() -> int:
        asked.append(1)
        raise KafkaError

    async with _running(system, counter, oldest=nobody_tells, outcomes_retention_days=39):

        def asked_often() -> None:
            assert len(asked) > 3

        await eventually(asked_often, timeout_seconds=20)
    assert await system.count() == 50
