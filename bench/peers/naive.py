"""The loop that one writes first: poll a batch, call for all of it at once, store it, commit. `CALLS` = its size.

Each batch waits for its slowest call. At-least-once; a call that fails ends the process, and the batch is called again.
"""

import asyncio
import sys

import uvloop
from aiokafka import AIOKafkaConsumer

from bench.peers.surroundings import INSERT, ask, open_pool, open_session, read_surroundings


async def run(calls: int) -> None:
    """Work until killed."""
    around = read_surroundings()
    pool = await open_pool(around)
    consumer = AIOKafkaConsumer(
        around.topic,
        bootstrap_servers=around.kafka,
        group_id=around.group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    async with open_session() as session:
        while True:
            polled = await consumer.getmany(timeout_ms=500, max_records=calls)
            tokens = [record.value.decode() for records in polled.values() for record in records]
            if tokens:
                answers = await asyncio.gather(*(ask(session, around.url, token) for token in tokens))
                await pool.executemany(INSERT, zip(tokens, answers, strict=True))
                await consumer.commit()


if __name__ == "__main__":
    uvloop.run(run(int(sys.argv[1])))
