"""Workers are killed faster than the group notices.

Situation: three workers, hundreds of calls in flight.
Fault: kill -9 of one, a replacement at once, kill -9 of another within the session timeout of the first.
Must hold: nothing lost, no row twice; what is repeated was in flight and unsaved on a victim, a stored answer never.
"""

from tests.support.faults import hold_fault
from tests.support.world import World

SESSION_TIMEOUT_SECONDS = 6


async def test_two_kills_within_a_session_timeout_lose_nothing(world: World) -> None:
    """A second death in a group that has not seen the first costs its own calls in flight, and nothing else."""
    await world.feed()
    workers = await world.start_workers(3)
    await world.moment(high=0.3)

    first, second = world.random.sample(workers, 2)
    await world.kill(first)
    world.start_worker(share=1 / 3)
    await hold_fault(world.random.uniform(0, SESSION_TIMEOUT_SECONDS - 1))
    await world.kill(second)
    await world.finish()
