"""A planned rebalance: how much longer a token takes because members join and leave, 1 -> 2 -> 3 -> 2.

Tokens come at a steady rate that one worker can take. The pause of a token is its time from the broker's append to its row,
beyond the latency of its call.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

import aiohttp
from aiokafka import AIOKafkaProducer

from bench.harness import subject
from bench.harness.bench import Bench, Result
from bench.harness.stack import PARTITIONS, Stage
from bench.harness.subject import Subject
from bench.harness.window import first_row
from topics.headers import RECORD_ID
from topics.identity import new_record_id

CALLS = 1_000
LATENCY_SECONDS = 1.0
A_SECOND = 400
BEAT_SECONDS = 0.05
QUIET_SECONDS = 8.0
READY_SECONDS = 60.0
AFTER_SECONDS = 4.0
PAUSES = """
SELECT extract(epoch FROM source_timestamp)::float8 AS appended,
       extract(epoch FROM settled_at - source_timestamp)::float8 - $1::float8 AS pause
FROM outcomes
"""


async def run(bench: Bench) -> Sequence[Result]:
    """Let members join and leave under load."""
    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(
            bench.stack.stage(latency_min_seconds=LATENCY_SECONDS, latency_max_seconds=LATENCY_SECONDS)
        )
        stopping = asyncio.Event()
        feeding = asyncio.create_task(_feed_steadily(stage, stopping))
        phases = await _play(bench, stage, stack)
        stopping.set()
        await feeding
        await asyncio.sleep(LATENCY_SECONDS + AFTER_SECONDS)
        rows = await stage.rows(PAUSES, LATENCY_SECONDS)
        calls = stage.mock.stats()
    return [_result(name, start, end, rows) for name, start, end in phases] + [
        Result("the same: calls repeated", f"{calls['repeated_calls']}", goal="0", met=calls["repeated_calls"] == 0)
    ]


def _result(name: str, start: float, end: float, rows: Sequence[object]) -> Result:
    pauses = sorted(row["pause"] for row in rows if start <= row["appended"] < end)  # type: ignore[index]  # a record
    p50, p99 = (pauses[int(len(pauses) * part)] for part in (0.5, 0.99))
    return Result(f"pause of a token, {name}", f"p99 {p99:.2f} s (p50 {p50:.2f}, largest {pauses[-1]:.2f})")


async def _play(bench: Bench, stage: Stage, stack: AsyncExitStack) -> list[tuple[str, float, float]]:
    """Return the phases: name, from, to."""
    phases = []
    environment = subject.slots(CALLS)
    cores = bench.stack.cores.all
    first = stack.enter_context(subject.worker(stage, cores=cores, environment=environment))
    await first_row(stage, [first])
    await asyncio.sleep(QUIET_SECONDS)  # what waited for the first worker is done
    quiet = time.time()
    await asyncio.sleep(QUIET_SECONDS)
    phases.append(("one member, quiet", quiet, time.time()))
    members = [first]
    for count in (2, 3):
        start = time.time()
        members.append(stack.enter_context(subject.worker(stage, cores=cores, environment=environment)))
        await _ready(members[-1])
        await asyncio.sleep(AFTER_SECONDS)
        phases.append((f"{count - 1} -> {count} members", start, time.time() - AFTER_SECONDS / 2))
    start = time.time()
    members[-1].process.terminate()
    await members[-1].ended(timeout_seconds=READY_SECONDS)
    await asyncio.sleep(AFTER_SECONDS)
    phases.append(("3 -> 2 members", start, time.time() - AFTER_SECONDS / 2))
    return phases


async def _ready(worker: Subject) -> None:
    """Wait until a worker has joined and works."""
    async with asyncio.timeout(READY_SECONDS), aiohttp.ClientSession() as session:
        while True:
            worker.check()
            try:
                async with session.get(f"http://127.0.0.1:{worker.port}/health/ready") as response:
                    if response.status == 200:  # noqa: PLR2004 - HTTP's own number
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(BEAT_SECONDS)


async def _feed_steadily(stage: Stage, stopping: asyncio.Event) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=stage.kafka, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        number, due = 0, time.monotonic()
        while not stopping.is_set():
            for _ in range(int(A_SECOND * BEAT_SECONDS)):
                headers = [(RECORD_ID, new_record_id().encode())]
                token = b"%d" % (10_000_000 + number)
                await producer.send(stage.topic, token, key=token, partition=number % PARTITIONS, headers=headers)
                number += 1
            due += BEAT_SECONDS
            await asyncio.sleep(max(0.0, due - time.monotonic()))
    finally:
        await producer.stop()
