"""The group changes while thousands of records wait for their next try.

Situation: two workers; half as many records as a scenario has tokens lie in the retry topic, hundreds of them held.
Fault: a worker joins, one leaves, one is killed.
Must hold: nothing lost; each is tried once more, when it is due or later, never early and never twice: nothing that is held
is in flight.
"""

from tests.support.world import World

UNREADABLE_ONCE = {"pattern": "parked.*", "behaviour": {"fail_first_calls": 1, "fail_first_with": "not_json"}}
DELAY_MINUTES = 0.25


async def test_a_rebalance_with_thousands_held_tries_each_once_more(world: World) -> None:
    """What is held is forgotten by who loses it, and read again by who gets it."""
    await world.retry(delay_minutes=DELAY_MINUTES)
    world.mock.change(rules=[UNREADABLE_ONCE])
    parked = await world.produce(world.size.tokens // 2, prefix="parked")
    leaves, dies = await world.start_workers(2)
    await world.waiting(len(parked))

    joined = world.start_worker()
    await joined.ready()
    await leaves.terminate()
    await world.kill(dies)
    world.start_worker()
    result = await world.finish()
    assert (result.retries, result.dead) == (len(parked), 0)
