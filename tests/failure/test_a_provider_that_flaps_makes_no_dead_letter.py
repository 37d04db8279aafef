"""The API flaps.

Situation: two workers, hundreds of calls in flight.
Fault: five times the API cuts every call and is away, for a second or for some, in either way of being so; then it is up
for as long.
Must hold: no dead letter; each outage costs a worker fewer attempts than its breaker looks at; what is called again is what
was cut.
"""

from tests.support.faults import hold_fault
from tests.support.world import World

FLAPS = 5
BREAKER_CALLS = 100


async def test_a_provider_that_flaps_makes_no_dead_letter(world: World) -> None:
    """However often it goes: an outage is not a reason to give a token up."""
    await world.retry(max_retries=FLAPS)
    await world.feed()
    workers = await world.start_workers(2)
    await world.moment(high=0.1)
    for _ in range(FLAPS):
        world.mock.go_down(world.random.choice(["refuse", "close"]))
        await hold_fault(world.random.uniform(1, 4))
        world.mock.come_up()
        await hold_fault(world.random.uniform(1, 3))
    spent = FLAPS * len(workers) * BREAKER_CALLS
    result = await world.finish(beyond_at_most=FLAPS * world.size.in_flight, uncalled_at_most=spent)
    assert result.dead == 0
    assert result.retries < spent
