"""The API is away for long.

Situation: two workers, hundreds of calls in flight.
Fault: the API cuts every call and listens no more, for half a minute and longer; tokens go on being produced.
Must hold: no dead letter; a worker spends attempts on the failures before its breaker closed the gate, and on nothing
afterwards; polling stops, so the lag grows; the first answer is stored within a probe's pause and one call after the API is
back.
"""

import time

from tests.support.faults import hold_fault
from tests.support.waiting import eventually
from tests.support.world import SMOKE, World

OUTAGE_SECONDS = {True: 15, False: 60}
"""By whether it is the smoke set: ten minutes, scaled."""
BREAKER_CALLS = 100
GATED_AHEAD = 100
CLOSED_SECONDS = 20
PROBE_SECONDS = 2
CALL_SECONDS = 2
BUSY_MACHINE_SECONDS = 4


async def test_a_provider_away_for_long_spends_nothing_beyond_the_breakers_opening(world: World) -> None:
    """An outage is waited out in the topic."""
    await world.retry()
    await world.produce(world.size.tokens // 2)
    workers = await world.start_workers(2)
    await world.moment(high=0.3)
    world.mock.go_down("refuse")

    def both_closed() -> None:
        assert all("gate breaker closed" in worker.log for worker in workers)

    await eventually(both_closed, timeout_seconds=CLOSED_SECONDS)
    await hold_fault(2)  # what was cut has ended, and copies lie in the topic
    spent, committed = await world.tried(), dict(world.watch.committed)
    assert len(spent) < len(workers) * BREAKER_CALLS
    await world.produce(world.size.tokens // 2, prefix="later")
    await hold_fault(OUTAGE_SECONDS[world.size == SMOKE])
    assert await world.tried() == spent, "something was spent behind the closed gate"
    assert world.watch.committed == committed, "the lag did not grow by what was produced"
    in_hand = [int(float(line.split()[1])) for worker in workers for line in (await worker.get("/metrics"))[1].splitlines()
               if line.startswith("tokens_in_flight ")]  # fmt: skip
    assert sum(in_hand) <= 2 * world.size.in_flight + len(workers) * 2 * GATED_AHEAD, in_hand

    before = await world.progress.count()
    assert before is not None
    world.mock.come_up()
    back = time.monotonic()
    await world.progress.rows_reach(before + 1)
    seconds = time.monotonic() - back
    assert seconds < PROBE_SECONDS + CALL_SECONDS + BUSY_MACHINE_SECONDS
    world.notes.append(f"{len(spent)} attempts spent, first answer {seconds:.1f} s after the API was back")
    result = await world.finish(beyond_at_most=world.size.in_flight, uncalled_at_most=len(spent))
    assert (result.retries, result.dead) == (len(spent), 0)
