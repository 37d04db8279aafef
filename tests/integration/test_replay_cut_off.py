"""What a replay must not do: look at what was set aside, pace past a stop, end without a word."""

import asyncio
import re
import signal
import time
from pathlib import Path

from tests.support.dlq import begin_tokenflow, dlq, tokenflow
from tests.support.system import System
from tests.support.waiting import eventually

POISON = b"a" * 200
PATTERN = "t[0-9]+|(a+)+b"


async def test_what_was_set_aside_is_neither_looked_at_nor_sent_again(system: System, tmp_path: Path) -> None:
    """A TOKEN_PATTERN that never comes to an end on it would hang the replay, and every worker behind it."""
    await system.produce(b"t%d" % n for n in range(20))
    worker = system.start_worker()
    await system.wait_for(20)
    await system.drained()
    await worker.terminate()
    system.environment["TOKEN_PATTERN"] = PATTERN
    (at,) = await system.produce([POISON])
    done = await dlq(system, "set-aside", system.topic, str(at.partition), str(at.offset), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    worker = system.start_worker()
    await system.drained()
    replay = begin_tokenflow(system, "replay", "--since", "1h", folder=tmp_path)
    try:
        out, err = await asyncio.to_thread(replay.communicate, timeout=20)
    finally:
        replay.kill()
        replay.wait()
    assert replay.returncode == 0, err
    assert b" 0 produced" in out, out
    assert b"1 records that were set aside are left alone" in err
    await worker.terminate()


async def test_a_slow_replay_is_stopped_soon(system: System, tmp_path: Path) -> None:
    """And what it did not produce, the next one does."""
    await system.produce(b"t%d" % n for n in range(60))
    worker = system.start_worker()
    await system.wait_for(60)
    await system.drained()
    await system.rows("DELETE FROM outcomes")
    replay = begin_tokenflow(system, "replay", "--since", "1h", "--rate", "1", folder=tmp_path)

    async def has_begun() -> None:
        assert replay.poll() is None
        assert await system.count() >= 1

    try:
        await eventually(has_begun, timeout_seconds=20)
        began = time.monotonic()
        replay.send_signal(signal.SIGINT)
        out, err = await asyncio.to_thread(replay.communicate, timeout=20)
    finally:
        replay.kill()
        replay.wait()
    assert time.monotonic() - began < 5
    assert replay.returncode == 1, (out, err)
    assert b"stopped before the end" in out
    ((status,),) = await system.rows("SELECT status FROM operations")
    assert status == "stopped"
    done = await tokenflow(system, "replay", "--since", "1h", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    await system.wait_for(60)
    await worker.terminate()


async def test_a_replay_is_stopped_by_its_operation(system: System, tmp_path: Path) -> None:
    """From any terminal: the row says stopped, and so does the replay."""
    await system.produce(b"t%d" % n for n in range(60))
    worker = system.start_worker()
    await system.wait_for(60)
    await system.drained()
    await worker.terminate()
    await system.rows("DELETE FROM outcomes")
    replay = begin_tokenflow(system, "replay", "--since", "1h", "--rate", "1", folder=tmp_path)

    async def has_begun() -> None:
        assert replay.poll() is None
        assert await system.rows("SELECT 1 FROM operations")

    try:
        await eventually(has_begun, timeout_seconds=20)
        ((operation_id,),) = await system.rows("SELECT id FROM operations")
        stopped = await dlq(system, "redrive", "--stop", str(operation_id), folder=tmp_path)
        out, err = await asyncio.to_thread(replay.communicate, timeout=20)
    finally:
        replay.kill()
        replay.wait()
    assert (stopped.returncode, replay.returncode) == (0, 1), err
    assert b"stopped before the end" in out


async def test_a_forced_replay_tells_its_run_first_and_a_failed_one_is_closed(system: System, tmp_path: Path) -> None:
    """Whoever is cut off can go on without paying again."""
    await system.produce(b"t%d" % n for n in range(10))
    worker = system.start_worker()
    await system.wait_for(10)
    await system.drained()
    await worker.terminate()
    replay = begin_tokenflow(system, "replay", "--since", "1h", "--force", "--rate", "1", folder=tmp_path)

    async def has_begun() -> None:
        assert replay.poll() is None
        assert await system.rows("SELECT 1 FROM operations")

    try:
        await eventually(has_begun, timeout_seconds=20)
        await system.rows("ALTER TABLE operations RENAME TO elsewhere")
        _, err = await asyncio.to_thread(replay.communicate, timeout=20)
    finally:
        replay.kill()
        replay.wait()
    await system.rows("ALTER TABLE elsewhere RENAME TO operations")
    assert replay.returncode == 2, err
    (run,) = set(re.findall(rb"run ([0-9a-f-]{36})", err))
    again = await tokenflow(system, "replay", "--since", "1h", "--force", "--run", run.decode(), folder=tmp_path)
    assert again.returncode == 0, again.stderr
    worker = system.start_worker()
    await system.wait_for(20)
    await system.drained()
    assert await system.count() == 20
    assert system.mock.stats()["repeated_calls"] == 10
    await worker.terminate()
