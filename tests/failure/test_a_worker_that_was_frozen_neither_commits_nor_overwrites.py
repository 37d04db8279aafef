"""A zombie.

Situation: two workers, hundreds of calls in flight.
Fault: SIGSTOP of one past the session timeout, as by a paused machine; it goes on once the other has its partitions and
repeats what it had in flight.
Must hold: no committed offset goes back or past an unsettled record; no row that was final changes; nothing else is
repeated, but for calls that had their slot and were not sent yet; it joins again and works.
"""

import signal

from tests.support.faults import hold_fault
from tests.support.waiting import eventually
from tests.support.world import World

TAKEOVER_SECONDS = 60
NOT_SENT_RATIO = 0.05
"""Of all calls in flight: those of the zombie that begin when it goes on. Seen: up to 3 of 500."""


async def test_a_worker_that_was_frozen_neither_commits_nor_overwrites(world: World) -> None:
    """Whoever comes back from the dead finds its partitions taken, and its answers harmless."""
    await world.feed()
    survivor, zombie = await world.start_workers(2)
    await world.moment(high=0.3)
    await world.freeze(zombie)

    def taken_over() -> None:
        assert len(world.fleet.last_partitions(survivor)) == world.system.partitions
        assert world.mock.stats()["repeated_calls"]

    await eventually(taken_over, timeout_seconds=TAKEOVER_SECONDS)
    await hold_fault(world.random.uniform(0, 3))
    before = {row.token: row.settled_at for row in await world.rows()}
    zombie.process.send_signal(signal.SIGCONT)

    def works_again() -> None:
        assert 0 < len(world.fleet.last_partitions(zombie)) < world.system.partitions

    await eventually(works_again, timeout_seconds=TAKEOVER_SECONDS)
    in_flight = world.size.in_flight // 2  # the survivor may have checked, but not called, what the zombie stores
    await world.finish(paid_again_at_most=in_flight, beyond_at_most=round(NOT_SENT_RATIO * world.size.in_flight))
    after = {row.token: row.settled_at for row in await world.rows()}
    assert before.items() <= after.items(), "a row that was final has changed"
