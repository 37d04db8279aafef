"""A call of a provider does not end, and does not hear that it should.

Situation: a worker whose provider catches the cancellation of one of its calls, and goes on.
Fault: the worker is told to stop; the drain limit passes, the call is cut off, and it stays.
Must hold: the process ends all the same, with a code other than 0 and a line that says so; the record was given back, and
the next worker calls it; nothing lost, no row twice.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from consumers.cli import END_SECONDS
from consumers.engine.lanes import CUT_OFF_SECONDS
from consumers.settings import WorkerSettings
from tests.support.processes import ROOT
from tests.support.services import free_ports
from tests.support.waiting import eventually
from tests.support.world import World

TIMEOUT_SECONDS = 3.0
"""Longer than any answer of the mock here, so that only the deaf call outlasts it."""
WITH_A_DEAF_CALL = """
import asyncio, logging, sys
from consumers.cli import run_to_the_end
from consumers.providers.http import HttpProvider
from consumers.settings import WorkerSettings
from consumers.worker import Worker, make_provider

class Deaf(HttpProvider):
    async def call(self, record):
        while record.token == "deaf":
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                print("the call heard that it should end", flush=True)
        return await super().call(record)

def make(settings, answers):
    return Deaf(settings.provider_url, timeout_seconds=settings.provider_timeout_seconds, answers=answers)

logging.basicConfig(level=logging.INFO)
sys.exit(asyncio.run(run_to_the_end(lambda: Worker(WorkerSettings(), make_provider=make))))
"""


def _start(settings: dict[str, str], log: Path) -> "subprocess.Popen[bytes]":
    (port,) = free_ports(1)
    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603 - the code above
            [sys.executable, "-c", WITH_A_DEAF_CALL],
            cwd=log.parent,
            env={**os.environ, "PYTHONPATH": str(ROOT), **settings, "WORKER_INDEX": "0", "WORKER_PORT": str(port)},
            stdout=output,
            stderr=output,
        )


async def test_a_call_that_ignores_its_cancellation_keeps_no_process(world: World) -> None:
    """A slot that never comes back must not become a process that never ends."""
    log = world.system._folder / "deaf.log"
    worker = _start({**world.system.environment, "PROVIDER_TIMEOUT_SECONDS": str(TIMEOUT_SECONDS)}, log)
    try:
        await world.produce(200)
        (at,) = await world.system.produce([b"deaf"])
        world.account.placed["deaf"] = (at.partition, at.offset)
        await world.stored(200 / 201)
        worker.send_signal(signal.SIGTERM)
        asked = time.monotonic()

        def has_ended() -> None:
            assert worker.poll() is not None, log.read_text()

        await eventually(has_ended, timeout_seconds=60)
    finally:
        worker.kill()
        worker.wait(10)
    limit = WorkerSettings(provider_timeout_seconds=TIMEOUT_SECONDS).drain_limit_seconds + CUT_OFF_SECONDS + END_SECONDS
    assert time.monotonic() - asked < limit + 5
    assert worker.returncode == 1, log.read_text()
    assert "a task ignores its cancellation: the process ends without it" in log.read_text()
    assert "the call heard that it should end" in log.read_text()

    await world.start_workers(1)
    await world.finish()
