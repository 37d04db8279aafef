"""A deployment.

Situation: three workers, hundreds of calls in flight.
Fault: each is stopped and replaced, one after the other.
Must hold: nothing lost, no call repeated.
"""

from tests.support.world import World


async def test_a_rolling_restart_of_three_repeats_no_call(world: World) -> None:
    """A new version costs nothing."""
    await world.feed()
    workers = await world.start_workers(3)
    await world.moment(0.05, 0.2)
    for worker in world.random.sample(workers, 3):
        await worker.terminate()
        await world.start_worker(share=1 / 3).ready()
    await world.finish()
