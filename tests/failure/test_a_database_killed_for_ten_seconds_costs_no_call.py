"""The database dies and comes back.

Situation: two workers, hundreds of calls in flight, statements under way.
Fault: kill -9 of PostgreSQL at a random moment, a commit of unknown fate included; it is started again after 10 s.
Must hold: no worker ends; nothing lost, no row twice, no call repeated: answers wait in the workers and are stored later.
"""

from tests.support.faults import hold_fault
from tests.support.servers import bring_back, kill_server
from tests.support.world import World, breaks_servers

OUTAGE_SECONDS = 10


@breaks_servers
async def test_a_database_killed_for_ten_seconds_costs_no_call(world: World) -> None:
    """An answer that was paid for outlives the outage in its worker."""
    await world.produce()
    workers = await world.start_workers(2)
    await world.moment(high=0.3)

    await kill_server(world.postgres)
    await hold_fault(OUTAGE_SECONDS)
    await bring_back(world.postgres)
    await world.finish()
    assert list(world.fleet) == workers
