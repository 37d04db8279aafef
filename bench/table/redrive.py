"""A redrive of a million dead letters: how fast, in how much memory, each sent exactly once."""

import asyncio
import time
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.harness import subject
from bench.harness.bench import Bench, Result
from bench.harness.stack import PARTITIONS, Stage
from bench.harness.subject import Subject, SubjectError

LETTERS, QUICK_LETTERS = 1_000_000, 20_000
LOOK_SECONDS = 0.5
SLOWEST_A_SECOND = 200
MOST_MIB = 300
STORE_OUTCOMES = """
INSERT INTO outcomes (record_id, token, outcome, attempt, error_kind, error_message,
                      source_topic, source_partition, source_offset, source_timestamp)
SELECT gen_random_uuid(), (10000000 + n)::text, 'dead_lettered', 1, 'rejected', 'HTTP 403: no',
       $1, n % $3::int, n / $3::int, clock_timestamp()
FROM generate_series(0, $2::int - 1) AS n
"""
STORE_LETTERS = """
INSERT INTO dead_letters (record_id, token, attempt, error_kind, error_message, key, payload, headers,
                          source_topic, source_partition, source_offset, source_timestamp)
SELECT record_id, token, attempt, error_kind, error_message, token::bytea, token::bytea, '[]'::bytea,
       source_topic, source_partition, source_offset, source_timestamp
FROM outcomes
"""
STATES = "SELECT state::text, count(*) FROM dead_letters GROUP BY 1"


async def run(bench: Bench) -> Sequence[Result]:
    """Store them, redrive them by the command, and count what the topic has."""
    count = QUICK_LETTERS if bench.quick else LETTERS
    async with bench.stack.stage() as stage:
        await stage.rows(STORE_OUTCOMES, stage.topic, count, PARTITIONS)
        await stage.rows(STORE_LETTERS)
        await stage.rows("ANALYZE")
        arguments = ("dlq", "redrive", "--all")
        with subject.running(stage, "infra.cli", *arguments, cores=bench.stack.cores.all) as command:
            seconds, memory = await _watch(command, count)
        states = {row["state"]: row["count"] for row in await stage.rows(STATES)}
        sent = await _sent(stage)
    once = (states, sent) == ({"redriven": count}, count)
    return [
        Result(f"{count:,} dead letters redriven", f"{count / seconds:,.0f}/s, at most {memory:.0f} MiB"),
        Result(
            "the same: memory, and sent exactly once",
            f"{memory:.0f} MiB; {sent:,} copies, states {states}",
            goal=f"< {MOST_MIB} MiB; {count:,}",
            met=memory < MOST_MIB and once,
        ),
    ]


async def _sent(stage: Stage) -> int:
    """Count what the tokens topic holds."""
    consumer = AIOKafkaConsumer(bootstrap_servers=stage.kafka)
    await consumer.start()
    try:
        ends = await consumer.end_offsets([TopicPartition(stage.topic, number) for number in range(PARTITIONS)])
        return sum(ends.values())
    finally:
        await consumer.stop()


async def _watch(command: Subject, count: int) -> tuple[float, float]:
    """Wait for the command's end; return its seconds and the largest memory that was seen."""
    started, memory = time.monotonic(), 0.0
    while command.process.poll() is None:
        memory = max(memory, command.memory_mib)
        if time.monotonic() - started > count / SLOWEST_A_SECOND + 60:
            raise SubjectError(f"it does not come to its end:\n{command.log_end}")
        await asyncio.sleep(LOOK_SECONDS)
    if command.process.returncode:
        raise SubjectError(command.log_end)
    return time.monotonic() - started, memory
