"""The worker as `tokenflow work` runs it, with a look at its event loop, and with another provider where one is named.

`python -m bench.subjects.worker LAG_FILE [timer SECONDS | aiohttp | wire | pyreqwest]`. Twenty times a second a timer notes
how late it came: a line of LAG_FILE, [epoch seconds, seconds late]. That costs 0.2 ms a second. With `timer`, a call is a
sleep: the engine alone.
"""

import asyncio
import json
import sys
import time
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Self

import uvloop

from consumers import cli, worker
from consumers.engine.answers import Answers
from consumers.engine.record import Record
from consumers.ports import Provider
from consumers.providers.http import HttpProvider
from consumers.providers.wire import WireProvider
from consumers.settings import WorkerSettings
from consumers.worker import MakeProvider, Worker
from topics.settings import load_settings

LOOK_SECONDS = 0.05
TICK_SECONDS = 0.005
DEFAULT = "default"


class TimerProvider:
    """Answers after a while by itself. Implements consumers.ports.Provider.

    Calls that are due in the same tick share a timer: one each would cost 4 us, which are not the engine's.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due: list[asyncio.Future[None]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def call(self, record: Record) -> str:
        """Wait, then answer as the mock would."""
        loop = asyncio.get_running_loop()
        answered = loop.create_future()
        if not self._due:
            loop.call_later(TICK_SECONDS, self._begin_next, loop)
        self._due.append(answered)
        await answered
        return f'{{"token":"{record.token}","score":462,"band":"poor"}}'

    def withdraw(self) -> None:
        """Nothing waits to be sent."""

    def _begin_next(self, loop: asyncio.AbstractEventLoop) -> None:
        due, self._due = self._due, []
        loop.call_later(self._seconds - TICK_SECONDS, _answer, due)


def _answer(due: "list[asyncio.Future[None]]") -> None:
    for answered in due:
        if not answered.done():
            answered.set_result(None)


def make_provider(
    name: str, seconds: float, settings: WorkerSettings, answers: Answers
) -> AbstractAsyncContextManager[Provider]:
    """Make a provider by name."""
    url, timeout = settings.provider_url, settings.provider_timeout_seconds
    match name:
        case "default":
            return worker.make_provider(settings, answers)
        case "timer":
            return TimerProvider(seconds)
        case "aiohttp":
            return HttpProvider(url, timeout_seconds=timeout, answers=answers)
        case "wire":
            return WireProvider(url, timeout_seconds=timeout, answers=answers)
        case _:
            from bench.subjects.pyreqwest_provider import PyreqwestProvider  # noqa: PLC0415 - costs the others nothing

            return PyreqwestProvider(url, timeout_seconds=timeout)


def main(lag_file: str, provider: str = DEFAULT, seconds: str = "0") -> int:
    """Run a worker until it is told to stop."""
    settings = load_settings(WorkerSettings)
    cli.raise_file_limit(settings)
    cli._tune_collector()  # noqa: SLF001 - what the command does
    return uvloop.run(_run(settings, Path(lag_file), partial(make_provider, provider, float(seconds))))


async def _run(settings: WorkerSettings, lag_file: Path, make: MakeProvider) -> int:
    looking = asyncio.create_task(look(lag_file))
    try:
        return await Worker(settings, make_provider=make).run()
    finally:
        looking.cancel()


async def look(path: Path) -> None:
    """Note how late the loop is, until cancelled."""
    loop = asyncio.get_running_loop()
    with path.open("w", buffering=1) as file:
        while True:
            due = loop.time() + LOOK_SECONDS
            await asyncio.sleep(LOOK_SECONDS)
            file.write(json.dumps([round(time.time(), 3), round(max(0.0, loop.time() - due), 5)]) + "\n")


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
