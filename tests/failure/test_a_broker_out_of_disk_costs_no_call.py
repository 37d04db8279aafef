"""The broker's disk is full.

Situation: two workers, hundreds of calls in flight; some of them fail, so that there are dead letters to write.
Fault: no file of the broker may grow any more; Kafka takes its log folder offline, and ends. It is started again, with
room, after some seconds.
Must hold: no worker ends; nothing lost, no row twice, no call repeated; each dead letter has its row and its record.
"""

import resource

import psutil

from tests.support.contract import read_letters
from tests.support.faults import hold_fault
from tests.support.servers import bring_back
from tests.support.waiting import eventually
from tests.support.world import World, breaks_servers

FULL_SECONDS = 5
END_SECONDS = 60


@breaks_servers
async def test_a_broker_out_of_disk_costs_no_call(world: World) -> None:
    """A produce that was not acknowledged is produced again; a row waits for it."""
    world.mock.change(statuses={404: 0.2})
    await world.produce()
    workers = await world.start_workers(2)
    await world.moment(high=0.3)

    psutil.Process(world.kafka.process.pid).rlimit(resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))

    def has_ended() -> None:
        assert world.kafka.process.poll() is not None

    await eventually(has_ended, timeout_seconds=END_SECONDS)
    await hold_fault(FULL_SECONDS)
    await bring_back(world.kafka)
    await world.finish()
    assert list(world.fleet) == workers

    rows = await world.system.rows("SELECT source_partition, source_offset FROM dead_letters")
    letters = await read_letters(world.system.kafka, f"{world.system.topic}.dlq")
    assert len(rows) > 0
    assert {tuple(row) for row in rows} <= letters.keys()
