"""A worker is killed while it drains.

Situation: two workers, hundreds of calls in flight, one of them told to stop.
Fault: kill -9 at a random moment of its drain, as by a supervisor without patience.
Must hold: nothing lost; what is repeated was in flight and unsaved at that moment, so what the drain had saved is not.
"""

import signal

from tests.support.faults import hold_fault
from tests.support.waiting import eventually
from tests.support.world import World

LONGEST_CALL_SECONDS = 2.0


async def test_a_worker_killed_in_its_drain_repeats_only_what_was_left(world: World) -> None:
    """Half a drain is worth what it has saved."""
    await world.feed()
    workers = await world.start_workers(2)
    await world.moment()
    victim = world.random.choice(workers)
    victim.process.send_signal(signal.SIGTERM)

    async def drains() -> None:
        status, text = await victim.get("/health/ready")
        assert status == 503, text

    await eventually(drains, timeout_seconds=5, interval_seconds=0.02)
    await hold_fault(world.random.uniform(0, 0.6 * LONGEST_CALL_SECONDS))
    assert victim.process.poll() is None, "it had drained before it could be killed"
    await world.kill(victim)
    await world.finish()
