"""The broker dies and comes back.

Situation: two workers, hundreds of calls in flight.
Fault: kill -9 of the broker at a random moment; it is started again after 10 s.
Must hold: no worker ends; nothing lost, no row twice, no call repeated; the group goes on by itself.
"""

from tests.support.faults import hold_fault
from tests.support.servers import bring_back, kill_server
from tests.support.world import World, breaks_servers

OUTAGE_SECONDS = 10


@breaks_servers
async def test_a_broker_killed_for_ten_seconds_costs_no_call(world: World) -> None:
    """Calls go on from what was polled, answers are stored, and the offsets follow when the broker is back."""
    await world.produce()
    workers = await world.start_workers(2)
    await world.moment(high=0.3)

    await kill_server(world.kafka)
    await hold_fault(OUTAGE_SECONDS)
    await bring_back(world.kafka)
    await world.finish()
    assert list(world.fleet) == workers
