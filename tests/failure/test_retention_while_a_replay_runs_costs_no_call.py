"""Retention while a replay runs.

Situation: thousands of answers are stored, older than they are to be kept, as their rows say; Kafka still has the records
of most.
Fault: a replay reads the log slowly, while retention deletes what it may, and Kafka deletes the first records of the log.
Must hold: no row is deleted whose record the replay may still read, so nothing that was stored is called again.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import RecordMetadata
from prometheus_client import CollectorRegistry, Counter

from producer_api.retention import Retention
from producer_api.settings import ApiSettings
from tests.support.dlq import tokenflow
from tests.support.system import System
from tests.support.waiting import eventually

TOKENS = 2_000
FIRST = 500
LOOK_SECONDS = 2.0
"""Longer than a replay needs from a poll to the question for its rows."""


async def test_retention_while_a_replay_runs_costs_no_call(system: System, tmp_path: Path) -> None:
    """What is gone from the log is gone for the replay as well; its rows may go, the others stay."""
    system.mock.behave()
    first = await system.produce(b"t%d" % number for number in range(FIRST))
    worker = system.start_worker()
    await system.wait_for(FIRST)
    await system.produce(b"t%d" % number for number in range(FIRST, TOKENS))
    await system.wait_for(TOKENS)
    await system.drained()
    retention = Retention(_settings(system), _counter(), look_seconds=LOOK_SECONDS, margin=timedelta(0))
    task = asyncio.create_task(retention.run())
    replays = asyncio.create_task(_replays(system, tmp_path))
    await _delete_records(system, first)

    async def some_rows_are_gone() -> None:
        assert await system.count() == TOKENS - FIRST

    await eventually(some_rows_are_gone, timeout_seconds=40)
    await replays
    task.cancel()
    await asyncio.wait({task})
    await system.drained()
    assert system.mock.stats()["repeated_calls"] == 0
    await worker.terminate()


async def _replays(system: System, folder: Path) -> None:
    """Replay the whole log, and again."""
    for _ in range(3):
        done = await tokenflow(system, "replay", "--since", "1h", folder=folder)
        assert done.returncode == 0, done.stderr.decode()
        assert b" 0 produced" in done.stdout, done.stdout.decode()


async def _delete_records(system: System, placed: Sequence[RecordMetadata]) -> None:
    """Let the log begin behind these, as when a segment goes."""
    ends: dict[int, int] = {}
    for at in placed:
        ends[at.partition] = max(ends.get(at.partition, 0), at.offset + 1)
    admin = AIOKafkaAdminClient(bootstrap_servers=system.kafka)
    await admin.start()
    try:
        await admin.delete_records(
            {TopicPartition(system.topic, number): RecordsToDelete(before_offset=end) for number, end in ends.items()}
        )
    finally:
        await admin.close()


def _settings(system: System) -> ApiSettings:
    return ApiSettings.model_validate(
        {
            "kafka_bootstrap_servers": system.kafka,
            "tokens_topic": system.topic,
            "database_url": system.database,
            "outcomes_retention_days": 1e-9,
        }
    )


def _counter() -> Counter:
    return Counter("pruned", "Rows.", ["table"], registry=CollectorRegistry())
