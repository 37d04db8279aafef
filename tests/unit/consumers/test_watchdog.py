"""Invariant 11: a worker that is stuck ends; one that has no work, or whose world is away, does not."""

import asyncio
import subprocess
import sys

import pytest
from aiokafka.errors import KafkaConnectionError

from consumers.engine.watchdog import Stillness, StuckError, due_records
from consumers.loop_guard import EXIT_STUCK
from tests.support.engine_world import P0, P1, SECONDS, World, running_world
from topics.positions import Position

STUCK_SECONDS = 0.2


def test_stillness_is_the_time_since_the_count_changed() -> None:
    """Looks at 0, 5, 7 and 9 s; the count changed at the third one."""
    still = Stillness(now=0)
    assert [still.seconds(count, now=now) for count, now in ((3, 0), (3, 5), (4, 7), (4, 9))] == [0, 5, 0, 2]


def test_due_is_what_lies_above_the_committable_offsets() -> None:
    """A partition whose position is not known here counts nothing."""
    positions = {P0: Position(0, "", 0, 10), P1: Position(0, "", 0, 10)}
    assert due_records(positions, {P0: 4}) == 6


async def _stuck(world: World) -> None:
    """A claim that nobody releases: the record behind it waits for ever, which only a bug can bring about."""
    world.engine._check._on_ready = lambda: None
    world.source.append("a")
    await world.until(ready=1)


async def test_a_worker_that_could_move_and_does_not_ends() -> None:
    """One record is ready and nobody starts it: the engine fails, and says why."""
    async with running_world(stuck_seconds=STUCK_SECONDS) as world:
        await _stuck(world)
        async with asyncio.timeout(SECONDS):
            await world.engine.failed()
        assert isinstance(world.engine.failure.result(), StuckError)
        assert "1 records are due" in str(world.engine.failure.result())


@pytest.mark.parametrize("away", ["kafka", "database", "neither, and nothing is due"])
async def test_an_outage_or_an_empty_queue_is_no_reason_to_end(away: str) -> None:
    """Three times as long as would be too long."""
    async with running_world(stuck_seconds=STUCK_SECONDS) as world:
        world.store.away = away == "database"
        world.source.positions_error = KafkaConnectionError() if away == "kafka" else None
        if away in {"kafka", "database"}:
            await _stuck(world)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3 * STUCK_SECONDS):
                await world.engine.failed()


@pytest.mark.parametrize("block", ["time.sleep(30)", "re.fullmatch('(a+)+b', 'a' * 200)"])
def test_a_loop_that_is_blocked_ends_the_process_with_its_stacks(block: str) -> None:
    """A call that never awaits: shown where, and ended; also one in C that lets no thread of Python run meanwhile."""
    code = (
        "import asyncio, re, time\n"
        "from consumers.loop_guard import LoopGuard\n"
        "async def blocked():\n"
        "    async with LoopGuard(stuck_seconds=0.3):\n"
        "        await asyncio.sleep(0.5)\n"
        f"        {block}\n"
        "asyncio.run(blocked())\n"
    )
    ended = subprocess.run(  # noqa: S603 - the code above
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=False
    )
    assert ended.returncode == EXIT_STUCK
    assert "in blocked" in ended.stderr


def test_a_loop_that_runs_is_left_alone_and_after_the_block_nobody_watches() -> None:
    """Three times the limit while it runs; blocked after the end of the block."""
    code = (
        "import asyncio, time\n"
        "from consumers.loop_guard import LoopGuard\n"
        "async def runs():\n"
        "    async with LoopGuard(stuck_seconds=0.3):\n"
        "        await asyncio.sleep(0.9)\n"
        "asyncio.run(runs())\n"
        "time.sleep(0.6)\n"
    )
    done = subprocess.run(  # noqa: S603 - the code above
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
