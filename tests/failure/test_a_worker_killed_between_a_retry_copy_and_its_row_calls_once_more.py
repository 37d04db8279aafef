"""A worker is killed after a retry copy was acknowledged, and before its row was written.

Situation: two workers, hundreds of calls in flight; every second token fails at its first two calls,
and may be tried twice.
Fault: PostgreSQL is stopped; when the copies of what failed lie in the retry topic, one worker is killed; then PostgreSQL is
back.
Must hold: nothing lost, no row twice; whoever reads the records again makes second copies of the same id and attempt, and
one call more for each that was in flight and unsaved; each attempt after that is made once, whichever copy it came with.
"""

import asyncio
from collections import Counter

from tests.support.hops import read_hops
from tests.support.servers import bring_back
from tests.support.waiting import eventually
from tests.support.world import World, breaks_servers

UNREADABLE_TWICE = {"pattern": ".*[02468]", "behaviour": {"fail_first_calls": 2, "fail_first_with": "not_json"}}
MAX_RETRIES = 1
DELAY_MINUTES = 0.25
"""Longer than a session timeout: the record is read again before its first copy is due."""
PARKED_SECONDS = 30


@breaks_servers
async def test_a_worker_killed_between_a_retry_copy_and_its_row_calls_once_more(world: World) -> None:
    """A second copy is cheap; a record without any would be lost."""
    await world.retry(max_retries=MAX_RETRIES, delay_minutes=DELAY_MINUTES)
    world.mock.change(rules=[UNREADABLE_TWICE])
    tokens = await world.produce(world.size.tokens // 2)
    workers = await world.start_workers(2)
    await world.moment(low=0.02, high=0.1)
    tried = await world.tried()
    await asyncio.to_thread(world.postgres.stop)

    async def copies_without_rows() -> None:
        assert world.mock.stats()["in_flight"] < 0.1 * world.size.in_flight
        copies = await read_hops(world.system.kafka, f"{world.system.topic}.retry.")
        assert sum(copy.token not in tried for copy in copies) > 0.2 * world.size.in_flight

    await eventually(copies_without_rows, timeout_seconds=PARKED_SECONDS, interval_seconds=0.3)
    victim = world.random.choice(workers)
    await world.fleet.scrape_now(victim)
    victim.kill()
    calls = world.mock.stats("?tokens=true")["calls_by_token"]
    world.account.put_at_risk(world.fleet.partitions(victim), calls, tried)
    await bring_back(world.postgres)

    result = await world.finish()
    copies = await read_hops(world.system.kafka, f"{world.system.topic}.retry.")
    twice = [count for count in Counter((copy.record_id, copy.attempt) for copy in copies).values() if count > 1]
    assert twice, "no second copy: the worker was killed at another moment"
    assert set(twice) == {2}
    calls = world.mock.stats("?tokens=true")["calls_by_token"]
    mended = sum(count > 1 + MAX_RETRIES for count in calls.values())  # the call once more was its third
    assert result.dead == len(tokens) // 2 - mended
    world.notes.append(f"{len(twice)} second copies")
