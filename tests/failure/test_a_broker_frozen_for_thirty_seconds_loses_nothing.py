"""The broker stops answering without closing a connection.

Situation: two workers, hundreds of calls in flight.
Fault: SIGSTOP of the broker for 30 s, five session timeouts, at a random moment.
Must hold: no worker ends; nothing lost, no row twice, no offset past an unsettled record; nothing stored is paid for again.
"""

import signal

from tests.support.faults import hold_fault
from tests.support.world import World, breaks_servers

FREEZE_SECONDS = 30


@breaks_servers
async def test_a_broker_frozen_for_thirty_seconds_loses_nothing(world: World) -> None:
    """A broker that comes back may have expelled everybody; who was expelled finishes, stores, and joins again."""
    await world.produce()
    workers = await world.start_workers(2)
    await world.moment(high=0.3)

    world.kafka.process.signal(signal.SIGSTOP)
    await hold_fault(FREEZE_SECONDS)
    world.kafka.process.signal(signal.SIGCONT)
    await world.finish()
    assert list(world.fleet) == workers
