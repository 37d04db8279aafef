"""Every commit is refused.

Situation: two workers, hundreds of calls in flight.
Fault: the broker refuses all commits for a while; in it a worker is killed, far ahead of its committed offsets.
Must hold: answers go on being stored, offsets stay; who reads them again skips what is stored; what is repeated was in
flight and unsaved on the victim.
"""

from tests.support.faults import hold_fault
from tests.support.topic_faults import commits_refused
from tests.support.world import World, breaks_servers

SETTLED_SECONDS = 1.0


@breaks_servers
async def test_commits_that_fail_cost_no_call(world: World) -> None:
    """Offsets are a matter of time; the rows decide what is called."""
    await world.produce()
    workers = await world.start_workers(2)
    await world.moment(high=0.2)

    async with commits_refused(world.system.kafka):
        await hold_fault(SETTLED_SECONDS)  # a commit that was under way has ended
        offsets, rows = dict(world.watch.committed), len(await world.rows())
        await hold_fault(world.random.uniform(3, 6))
        assert world.watch.committed == offsets, "a commit was taken: this is not the fault that was meant"
        assert len(await world.rows()) > rows + world.size.in_flight
        await world.kill(world.random.choice(workers))
        await hold_fault(world.random.uniform(0, 5))
    await world.finish()
