"""The API does not answer at all.

Situation: two workers, hundreds of calls in flight.
Fault: from a random moment on every call hangs, for longer than three call timeouts; in it a worker is stopped; then the API
answers again.
Must hold: never more calls than slots, memory stays what it was, a stop keeps to its limit; each hung call ends at its
timeout. The breaker closes for it: those before it was sure are dead letters of kind transient, those after it are called
again when the API answers, and only those; the others succeed; nothing lost, no row twice.
"""

import time

from consumers.settings import WorkerSettings
from tests.support.faults import hold_fault
from tests.support.memory import watched_memory
from tests.support.world import World

CALL_TIMEOUT_SECONDS = 3
HANG_SECONDS = 10
UNSCRAPED = 10
"""Calls of the stopped worker that end in its last 0.2 s, after its last scrape."""
MORE_MEMORY_MIB = 100


async def test_an_api_that_hangs_costs_no_memory_and_no_stop(world: World) -> None:
    """A slot is lent to a call for the call timeout, and not for ever."""
    await world.produce()
    workers = await world.start_workers(2, PROVIDER_TIMEOUT_SECONDS=str(CALL_TIMEOUT_SECONDS))
    async with watched_memory(workers) as memory:
        await world.moment(high=0.2)
        world.mock.change(misbehaviours={"hang": 1})
        await hold_fault(HANG_SECONDS / 2)
        began = time.monotonic()
        await world.random.choice(workers).terminate()
        limit = WorkerSettings(provider_timeout_seconds=CALL_TIMEOUT_SECONDS).termination_grace_seconds
        assert time.monotonic() - began < limit
        await hold_fault(HANG_SECONDS / 2)
        world.mock.change(misbehaviours={})
    assert memory.peak < memory.before + MORE_MEMORY_MIB
    assert world.mock.stats()["max_in_flight"] <= world.size.in_flight
    hung = world.mock.stats()["misbehaviours"].get("hang", 0) + world.mock.stats()["disconnected"]
    await world.finish(beyond_at_most=hung, unscraped_at_most=UNSCRAPED)

    rows = await world.system.rows("SELECT error_kind, count(*) FROM dead_letters GROUP BY 1")
    ((kind, count),) = [(row["error_kind"], row["count"]) for row in rows]
    assert kind == "transient"
    assert 0 < count <= hung
