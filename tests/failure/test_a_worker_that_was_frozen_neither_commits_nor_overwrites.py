"""A zombie.

Situation: two workers, hundreds of calls in flight.
Fault: SIGSTOP of one past the session timeout, as by a paused machine; it goes on once the other has its partitions.
Must hold: no committed offset goes back or past an unsettled record; no row that was final changes; what the zombie had in
flight is repeated once at most; it joins again and works.
"""

import signal

from tests.support.faults import hold_fault
from tests.support.waiting import eventually
from tests.support.world import World

TAKEOVER_SECONDS = 60


async def test_a_worker_that_was_frozen_neither_commits_nor_overwrites(world: World) -> None:
    """Whoever comes back from the dead finds its partitions taken, and its answers harmless."""
    await world.produce()
    survivor, zombie = await world.start_workers(2)
    await world.moment(high=0.3)
    world.freeze(zombie)

    async def taken_over() -> None:
        assert len(world.fleet.last_partitions(survivor)) == world.system.partitions

    await eventually(taken_over, timeout_seconds=TAKEOVER_SECONDS)
    await hold_fault(world.random.uniform(0, 3))
    before = {row.token: row.settled_at for row in await world.rows()}
    zombie.process.send_signal(signal.SIGCONT)

    async def works_again() -> None:
        assert 0 < len(world.fleet.last_partitions(zombie)) < world.system.partitions

    await eventually(works_again, timeout_seconds=TAKEOVER_SECONDS)
    await world.finish()
    after = {row.token: row.settled_at for row in await world.rows()}
    assert before.items() <= after.items(), "a row that was final has changed"
