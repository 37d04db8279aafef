"""The database is away while partitions change hands.

Situation: three workers, hundreds of calls in flight.
Fault: PostgreSQL is stopped; when the answers wait to be stored, a worker is killed, and the group rebalances; then
PostgreSQL is back.
Must hold: no other worker ends; nothing lost, no row twice; what is repeated had no row when the partitions changed hands.
Answers that wait in a worker are stored by it later, whoever has the partition by then.
"""

import asyncio

from tests.support.servers import bring_back
from tests.support.waiting import eventually
from tests.support.world import World, breaks_servers

REBALANCE_SECONDS = 60


@breaks_servers
async def test_a_database_away_during_a_rebalance_loses_no_row(world: World) -> None:
    """Without the database nobody can know what is stored: the one time that a rebalance may cost calls."""
    await world.produce()
    workers = await world.start_workers(3)
    await world.moment(high=0.3)
    await asyncio.to_thread(world.postgres.stop)

    def answers_wait() -> None:
        assert world.mock.stats()["in_flight"] < 0.2 * world.size.in_flight

    await eventually(answers_wait, timeout_seconds=REBALANCE_SECONDS)
    victim, *others = world.random.sample(workers, 3)
    before = {worker: worker.log.count("assigned") for worker in others}
    victim.kill()
    for worker in workers:
        world.account.put_at_risk(world.fleet.partitions(worker), world.mock.stats("?tokens=true")["calls_by_token"])

    def changed_hands() -> None:
        assert all(worker.log.count("assigned") > before[worker] for worker in others), world.log_tails()

    await eventually(changed_hands, timeout_seconds=REBALANCE_SECONDS)
    await bring_back(world.postgres)
    await world.finish(paid_again_at_most=world.size.in_flight)
    assert all(worker.process.returncode == 0 for worker in others)
