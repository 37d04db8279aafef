"""A rebalance storm.

Situation: two workers, hundreds of calls in flight.
Fault: ten times, after a random while, a worker joins or one leaves; nobody waits for the rebalance before.
Must hold: nothing lost, no call repeated, every worker that leaves ends with 0.
"""

import asyncio

from tests.support.faults import hold_fault
from tests.support.world import World

CHANGES = 10
MOST_WORKERS = 5


async def test_ten_joins_and_leaves_at_random_repeat_no_call(world: World) -> None:
    """However the group changes: what was paid for is stored by whoever paid."""
    await world.feed()
    members = await world.start_workers(2)
    await world.moment(high=0.1)

    async with asyncio.TaskGroup() as leaving:
        for _ in range(CHANGES):
            await hold_fault(world.random.uniform(0.1, 3))
            alive = [member for member in members if world.fleet.seen(member)]
            may_leave = len(alive) > 1
            if may_leave and (len(members) >= MOST_WORKERS or world.random.random() < 0.5):
                member = world.random.choice(alive)
                members.remove(member)
                leaving.create_task(member.terminate())
            else:
                members.append(world.start_worker())
    await world.finish()
