"""One record ends whoever reads it, each time.

Situation: a TOKEN_PATTERN that takes exponential time on some texts, a worker with hundreds of calls in flight.
Fault: a record with such a text. Reading it stops the event loop; the worker ends itself, and the next one reads it again.
Must hold: `dlq set-aside` makes a dead letter of it while a worker hangs in it, and whoever starts next goes on past it;
what is repeated was in flight and unsaved on the workers that ended; nothing lost, no row twice.
"""

from consumers.loop_guard import EXIT_STUCK
from tests.support.dlq import dlq
from tests.support.system import WorkerProcess
from tests.support.waiting import eventually
from tests.support.world import World

POISON = "a" * 200
SETTINGS = {
    "TOKEN_PATTERN": "t[0-9]+|(a+)+b",
    "PROVIDER_TIMEOUT_SECONDS": "3",
    "WATCHDOG_MINUTES": "0.01",
}


async def _hangs(world: World, worker: WorkerProcess) -> None:
    """Wait until the worker runs and answers nobody any more."""

    async def is_deaf() -> None:
        assert worker.process.poll() is None, worker.log
        assert "assigned" in worker.log
        assert not await world.fleet.scrape(worker)

    await eventually(is_deaf, timeout_seconds=30)
    await world.note_loss(worker)


async def test_a_record_that_ends_every_worker_can_be_set_aside(world: World) -> None:
    """An operator needs its coordinates and one command."""
    await world.produce()
    (first,) = await world.start_workers(1, **SETTINGS)
    await world.moment(0.1, 0.3)
    (at,) = await world.system.produce([POISON.encode()])
    world.account.placed[POISON] = (at.partition, at.offset)

    await _hangs(world, first)
    assert await first.ended() == EXIT_STUCK, first.log
    second = world.start_worker(share=1, **SETTINGS)
    await _hangs(world, second)
    where = ("set-aside", world.system.topic, str(at.partition), str(at.offset))
    done = await dlq(world.system, *where, folder=second.log_path.parent)
    assert (done.returncode, done.stderr) == (0, b"")
    second.kill()

    await world.start_workers(1, **SETTINGS)
    await world.finish()
    rows = await world.system.rows("SELECT token, error_kind FROM dead_letters")
    assert [tuple(row) for row in rows] == [(POISON, "set_aside")]
    assert POISON not in world.mock.stats("?tokens=true")["calls_by_token"]
