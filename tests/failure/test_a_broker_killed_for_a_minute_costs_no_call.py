"""The broker is away for longer than every timeout but one.

Situation: two workers, hundreds of calls in flight.
Fault: kill -9 of the broker at a random moment; it is started again after 60 s, and one worker is started meanwhile.
Must hold: the workers that had joined live through it; what they had polled is called and stored; nothing lost, no call
repeated; the one that could not join says so and is started again, as a supervisor would.
"""

from tests.support.faults import hold_fault
from tests.support.servers import bring_back, kill_server
from tests.support.world import World, breaks_servers

OUTAGE_SECONDS = 60


@breaks_servers
async def test_a_broker_killed_for_a_minute_costs_no_call(world: World) -> None:
    """An outage costs time."""
    await world.produce()
    workers = await world.start_workers(2)
    await world.moment(high=0.3)

    await kill_server(world.kafka)
    newcomer = world.start_worker()
    assert await newcomer.ended() != 0, newcomer.log
    assert "KAFKA_BOOTSTRAP_SERVERS" in newcomer.log
    assert "Traceback" not in newcomer.log
    await hold_fault(OUTAGE_SECONDS)
    await bring_back(world.kafka)
    assert world.fleet.running == workers
    await world.start_worker().ready()
    await world.finish()
