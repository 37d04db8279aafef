"""The database is slow.

Situation: two workers, hundreds of calls in flight.
Fault: for half a minute each statement, reading or writing, takes 2 s; in it one worker is stopped and another one joins.
Must hold: no worker ends by itself; nothing lost, no row twice, no call repeated: a drain waits for the rows.
"""

import asyncio

from tests.support.database_faults import slow_statements
from tests.support.faults import hold_fault
from tests.support.world import World

STATEMENT_SECONDS = 2
SLOW_SECONDS = 30


async def test_a_database_that_takes_two_seconds_a_statement_costs_no_call(world: World) -> None:
    """Slow is not away: the work goes on at the database's pace."""
    await world.produce()
    workers = await world.start_workers(2)
    await world.moment(high=0.2)

    async with slow_statements(world.system.database, seconds=STATEMENT_SECONDS):
        await hold_fault(world.random.uniform(0, SLOW_SECONDS / 3))
        await asyncio.gather(world.random.choice(workers).terminate(), world.start_worker().ready())
        await hold_fault(SLOW_SECONDS / 3)
    await world.finish()
