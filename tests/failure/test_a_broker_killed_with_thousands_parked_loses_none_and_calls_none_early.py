"""The broker dies while thousands of records wait for their next try.

Situation: two workers; half as many records as a scenario has tokens lie in the retry topic, hundreds of them held.
Fault: kill -9 of the broker; it is started again at once, which takes it many seconds: some come due meanwhile.
Must hold: no worker ends; each is tried once more, when it is due or later, never early and never twice.
"""

from tests.support.servers import bring_back, kill_server
from tests.support.world import World, breaks_servers

UNREADABLE_ONCE = {"pattern": "parked.*", "behaviour": {"fail_first_calls": 1, "fail_first_with": "not_json"}}
"""No sign of an outage, so the breaker lets all of them fail."""
DELAY_MINUTES = 0.25


@breaks_servers
async def test_a_broker_killed_with_thousands_parked_loses_none_and_calls_none_early(world: World) -> None:
    """What is parked lies on the broker's disk, and its due time with it."""
    await world.retry(delay_minutes=DELAY_MINUTES)
    world.mock.change(rules=[UNREADABLE_ONCE])
    parked = await world.produce(world.size.tokens // 2, prefix="parked")
    workers = await world.start_workers(2)
    await world.waiting(len(parked))

    await kill_server(world.kafka)
    await bring_back(world.kafka)
    result = await world.finish()
    assert (result.retries, result.dead) == (len(parked), 0)
    assert list(world.fleet) == workers
