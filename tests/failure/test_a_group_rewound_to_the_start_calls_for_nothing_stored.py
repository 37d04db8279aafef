"""Offsets are lost.

Situation: two workers, hundreds of calls in flight, then all stopped.
Fault: the group is set back to the start of every partition, as by an operator or by offsets that expired.
Must hold: what was stored is skipped, not called; the rest is called once; nothing lost.
"""

import asyncio

from tests.support.world import World


async def test_a_group_rewound_to_the_start_calls_for_nothing_stored(world: World) -> None:
    """The rows decide what is called, not the offsets."""
    await world.produce()
    workers = await world.start_workers(2)
    await world.moment(0.3, 0.7)
    await asyncio.gather(*(worker.terminate() for worker in workers))

    world.watch.expect_rewind()
    await world.system.rewind()
    await world.start_workers(2)
    await world.finish()
