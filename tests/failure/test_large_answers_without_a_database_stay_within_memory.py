"""Large answers, and nowhere to store them.

Situation: a worker with hundreds of calls in flight, each answered with 1 MB.
Fault: the database lets nobody in for 15 s.
Must hold: the worker's memory stays below its bound; no call starts while too much waits to be stored; nothing lost, no row
twice. A running call that finds no room for its answer ends at its timeout.
"""

from consumers.engine.answers import LIMIT_BYTES
from tests.support.database_faults import connections_refused
from tests.support.faults import hold_fault
from tests.support.memory import MIB, watched_memory
from tests.support.world import World

ANSWER_BYTES = 1_000_000
TOKENS = 1_500
REFUSED_SECONDS = 15
PROCESS_MIB, CALL_MIB = 300, 0.3
"""The process with its statements under way, and the buffers of a connection: 230 MiB measured with 500 calls, 380 MiB on a
busy machine. Without a bound it would be 1.5 GB."""


async def test_large_answers_without_a_database_stay_within_memory(world: World) -> None:
    """A thousand answers would be a gigabyte."""
    await world.produce(TOKENS)
    world.mock.change(misbehaviours={"huge_answer": 1}, huge_bytes=ANSWER_BYTES)
    (worker,) = await world.start_workers(1)
    async with watched_memory([worker]) as memory:
        await world.stored(0.05)
        async with connections_refused(world.system.database):
            await hold_fault(REFUSED_SECONDS)
        await world.stored(1)
    assert memory.peak < LIMIT_BYTES / MIB + PROCESS_MIB + CALL_MIB * world.size.in_flight
    # Calls whose answers waited for room until their timeout count as an outage, and are made again behind the breaker.
    await world.finish(beyond_at_most=world.size.in_flight)
    assert await world.system.count() > 0
