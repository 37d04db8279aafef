"""FastStream with faststream-concurrent-aiokafka, as its README says: a task per message, contiguous commits.

At-least-once for a killed process; a handler that raises is committed all the same, and a stop cuts the calls in flight.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import asyncpg
import uvloop
from faststream import AckPolicy, ContextRepo, FastStream
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream_concurrent_aiokafka import (
    KafkaConcurrentProcessingMiddleware,
    initialize_concurrent_processing,
    stop_concurrent_processing,
)

from bench.peers.surroundings import INSERT, ask, open_pool, open_session, read_surroundings

COMMIT_BATCH = 1_000
COMMIT_SECONDS = 1.0


async def run(calls: int) -> None:
    """Work until killed."""
    around = read_surroundings()
    broker = KafkaBroker(around.kafka, logger=None)
    broker.add_middleware(KafkaConcurrentProcessingMiddleware)
    tools: list[tuple[asyncpg.Pool[asyncpg.Record], aiohttp.ClientSession]] = []

    @asynccontextmanager
    async def lifespan(context: ContextRepo) -> AsyncIterator[None]:
        pool = await open_pool(around)
        async with open_session() as session:
            tools.append((pool, session))
            await initialize_concurrent_processing(
                context=context,
                concurrency_limit=calls,
                commit_batch_size=COMMIT_BATCH,
                commit_batch_timeout_sec=COMMIT_SECONDS,
            )
            try:
                yield
            finally:
                await stop_concurrent_processing(context)

    @broker.subscriber(around.topic, group_id=around.group, auto_offset_reset="earliest", ack_policy=AckPolicy.MANUAL)
    async def handle(message: KafkaMessage) -> None:
        pool, session = tools[0]
        token = message.body.decode()
        await pool.execute(INSERT, token, await ask(session, around.url, token))

    await FastStream(broker, lifespan=lifespan, logger=None).run()


if __name__ == "__main__":
    uvloop.run(run(int(sys.argv[1])))
