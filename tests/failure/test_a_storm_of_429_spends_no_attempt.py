"""The API answers 429 to everybody.

Situation: two workers, hundreds of calls in flight.
Fault: for some seconds every call is answered 429, with a Retry-After; later again, without one.
Must hold: nobody spends an attempt, nobody becomes a dead letter, all succeed; behind the closed gate no call starts, so a
storm costs no more than the slots for each pause.
"""

from tests.support.faults import hold_fault
from tests.support.world import World

STORM_SECONDS = 6
RETRY_AFTER = 2
PAUSE_WITHOUT = 1


async def test_a_storm_of_429_spends_no_attempt(world: World) -> None:
    """The API said when: that is waited for."""
    await world.retry()
    await world.produce()
    await world.start_workers(2)
    seen = 0
    for retry_after, pause in world.random.sample([(RETRY_AFTER, RETRY_AFTER), (None, PAUSE_WITHOUT)], 2):
        await world.moment(low=0.05, high=0.2)
        world.mock.change(statuses={"429": 1}, retry_after_seconds=retry_after)
        await hold_fault(STORM_SECONDS)
        world.mock.change(statuses={})
        refused = world.mock.stats()["statuses"].get("429", 0)
        assert 0 < refused - seen <= world.size.in_flight * (1 + STORM_SECONDS / pause)
        seen = refused
    await world.stored(1)
    refused = world.mock.stats()["statuses"]["429"]
    result = await world.finish(beyond_at_most=refused)
    assert (result.retries, result.dead) == (0, 0)
    world.notes.append(f"{refused:,} calls answered 429")
