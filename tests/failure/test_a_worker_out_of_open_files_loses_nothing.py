"""A worker runs out of open files.

Situation: two workers, hundreds of calls in flight, to an API that closes every fifth connection half way.
Fault: the limit of open files of one worker is lowered below what it has open, for 5 s, so that it can open nothing: no call
that needs a connection, none to the database, none for whoever asks how it is.
Must hold: it does not end; nothing lost, no row twice, no call repeated; what could not be called is a dead letter of kind
unavailable, and the rest goes on when there are files again.
"""

import resource

import psutil

from tests.support.faults import hold_fault
from tests.support.world import World

WITHOUT_SECONDS = 5
ENOUGH = 20
"""What a process needs for itself; each call takes one more."""


async def test_a_worker_out_of_open_files_loses_nothing(world: World) -> None:
    """A local shortage is an error of the call like any other, and no reason to stop."""
    world.mock.change(misbehaviours={"cut_half": 0.2})
    await world.produce()
    workers = await world.start_workers(2)
    await world.moment(high=0.3)

    process = psutil.Process(world.random.choice(workers).process.pid)
    before = process.rlimit(resource.RLIMIT_NOFILE)
    process.rlimit(resource.RLIMIT_NOFILE, (ENOUGH, before[1]))
    await hold_fault(WITHOUT_SECONDS)
    process.rlimit(resource.RLIMIT_NOFILE, before)
    await world.finish(beyond_at_most=world.mock.stats()["misbehaviours"]["cut_half"])
    assert list(world.fleet) == workers
    rows = await world.system.rows("SELECT error_kind, error_message FROM dead_letters")
    assert {row["error_kind"] for row in rows} == {"transient", "unavailable"}
    assert any("Too many open files" in row["error_message"] for row in rows)
