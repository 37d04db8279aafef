"""The database is there and lets nobody in.

Situation: two workers, hundreds of calls in flight.
Fault: every connection is ended, and each new one refused with an error, for 10 s.
Must hold: no worker ends; nothing lost, no row twice, no call repeated.
"""

from tests.support.database_faults import connections_refused
from tests.support.faults import hold_fault
from tests.support.world import World

REFUSED_SECONDS = 10


async def test_a_database_that_refuses_connections_costs_no_call(world: World) -> None:
    """An error of the server is an outage like a server that is gone."""
    await world.produce()
    workers = await world.start_workers(2)
    await world.moment(high=0.3)

    async with connections_refused(world.system.database):
        await hold_fault(REFUSED_SECONDS)
    await world.finish()
    assert list(world.fleet) == workers
