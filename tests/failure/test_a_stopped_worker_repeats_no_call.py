"""A worker is stopped with work in flight.

Situation: two workers, hundreds of calls in flight.
Fault: SIGTERM to one at a random moment.
Must hold: it ends with 0 within its grace; nothing lost, no call repeated.
"""

from tests.support.world import World


async def test_a_stopped_worker_repeats_no_call(world: World) -> None:
    """A planned stop finishes what it has paid for."""
    await world.feed()
    workers = await world.start_workers(2)
    await world.moment()
    await world.random.choice(workers).terminate()
    await world.finish()
