"""FastStream's own way to many calls at once: `max_workers=CALLS` on the subscriber, at its default, at-most-once.

With any other acknowledgement FastStream 0.7 makes `max_workers` consumers, each of them serial within its partitions: 12
calls at once on 12 partitions, whatever the number.
"""

import sys
from contextlib import AsyncExitStack

import uvloop
from faststream import FastStream
from faststream.kafka import KafkaBroker, KafkaMessage

from bench.peers.surroundings import INSERT, ask, open_pool, open_session, read_surroundings


async def run(calls: int) -> None:
    """Work until killed."""
    around = read_surroundings()
    broker = KafkaBroker(around.kafka, logger=None)
    async with AsyncExitStack() as stack:
        pool = await open_pool(around)
        session = await stack.enter_async_context(open_session())

        @broker.subscriber(around.topic, group_id=around.group, auto_offset_reset="earliest", max_workers=calls)
        async def handle(message: KafkaMessage) -> None:
            token = message.body.decode()
            await pool.execute(INSERT, token, await ask(session, around.url, token))

        await FastStream(broker, logger=None).run()


if __name__ == "__main__":
    uvloop.run(run(int(sys.argv[1])))
