"""A worker is killed.

Situation: two workers, hundreds of calls in flight, answers out of order.
Fault: kill -9 of one at a random moment; nobody replaces it.
Must hold: nothing lost, no row twice; what is repeated was in flight and unsaved on the victim; what was stored is never
paid for again.
"""

from tests.support.world import World


async def test_a_killed_worker_repeats_only_what_it_had_in_flight(world: World) -> None:
    """Kill -9 costs the calls in flight, and nothing else."""
    await world.feed()
    workers = await world.start_workers(2)
    await world.moment()
    await world.kill(world.random.choice(workers))
    await world.finish()
