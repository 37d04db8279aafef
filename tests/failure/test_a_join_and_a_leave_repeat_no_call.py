"""The group grows by one and shrinks by one.

Situation: one worker with hundreds of calls in flight.
Fault: a second one joins at a random moment; at another one the first leaves.
Must hold: nothing lost, no call repeated, and each rebalance is over within a drain.
"""

from tests.support.world import World


async def test_a_join_and_a_leave_repeat_no_call(world: World) -> None:
    """Who gives partitions back finishes what it has paid for, and the next owner skips what is stored."""
    await world.feed()
    first = world.start_worker(share=1.0)
    await first.ready()
    await world.moment(0.05, 0.2)
    second = world.start_worker(share=1.0)
    await second.ready()
    await world.moment(0.3, 0.6)
    await first.terminate()
    await world.finish()
