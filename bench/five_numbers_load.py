"""The load of the five numbers: the console producer and the HTTP API, paced, with a burst; counts what it handed over."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp

from tests.support.processes import ROOT
from tests.support.services import free_ports
from tests.support.waiting import eventually

TICK_SECONDS: Final = 0.1
START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 30.0
DRAIN_SECONDS: Final = 10.0
CONSOLE_START_SECONDS: Final = 3.0
"""Lines that are written before its Java runs would wait in the pipe, and count as sent."""
CONSOLE_OPTIONS: Final = (
    *("--timeout", "100"),  # milliseconds that it gathers a batch; a second by default
    *("--reader-property", "parse.key=true", "--reader-property", "key.separator=,"),
)
"""Keyed, as docs/recipes.md has it: lines without a key would all go to one partition for seconds."""
TOKENFLOW: Final = (sys.executable, "-P", "-m", "infra.cli")


@asynccontextmanager
async def api_process(folder: Path, environment: Mapping[str, str]) -> AsyncIterator[str]:
    """Run `tokenflow serve` until the block ends; yields its URL once it accepts tokens."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    with (folder / "api.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: ASYNC220, S603 - our own command line, for the whole run
            [*TOKENFLOW, "serve"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment, "API_PORT": str(port)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        await eventually(lambda: _is_ready(url), timeout_seconds=START_SECONDS)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.wait, STOP_SECONDS)


@dataclass
class Load:
    """Tokens handed to Kafka, by way. `by_console` counts lines written, `by_api` those answered 202."""

    console_per_second: float
    api_per_second: float
    by_console: int = 0
    by_api: int = 0
    _begun: int = 0
    _posts: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def sent(self) -> int:
        """Tokens handed over by now."""
        return self.by_console + self.by_api

    async def run(self, *, seconds: float, url: str, environment: Mapping[str, str], burst_at: float, burst: int) -> None:
        """Send for so long; after `burst_at` seconds `burst` more at once. Ends when everything is acknowledged."""
        console = await asyncio.create_subprocess_exec(
            *(*TOKENFLOW, "kafka", "console-producer", "--topic", environment["TOKENS_TOPIC"], *CONSOLE_OPTIONS),
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stdin=asyncio.subprocess.PIPE,
        )
        await asyncio.sleep(CONSOLE_START_SECONDS)
        try:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=STOP_SECONDS)) as session:
                begun, due_burst = time.monotonic(), burst
                while (passed := time.monotonic() - begun) < seconds:
                    extra, due_burst = (due_burst, 0) if passed >= burst_at else (0, due_burst)
                    await self._write(console, int(passed * self.console_per_second) + burst - due_burst - self.by_console)
                    self._post(session, url, int(passed * self.api_per_second) - self._begun)
                    await asyncio.sleep(TICK_SECONDS if not extra else 0)
                await asyncio.wait_for(asyncio.gather(*self._posts), STOP_SECONDS)  # one that fails has said so
            assert console.stdin is not None  # noqa: S101 - asked for above
            console.stdin.close()
            await asyncio.wait_for(console.wait(), STOP_SECONDS)
        finally:
            if console.returncode is None:
                console.kill()
                await console.wait()

    async def _write(self, console: asyncio.subprocess.Process, lines: int) -> None:
        """Write the next lines, one token each."""
        assert console.stdin is not None  # noqa: S101 - asked for above
        if lines > 0:
            console.stdin.write(b"".join(b"c%d,c%d\n" % ((self.by_console + number,) * 2) for number in range(lines)))
            await asyncio.wait_for(console.stdin.drain(), DRAIN_SECONDS)
            self.by_console += lines

    def _post(self, session: aiohttp.ClientSession, url: str, count: int) -> None:
        """Start that many POSTs."""
        for _ in range(count):
            task = asyncio.get_running_loop().create_task(self._post_one(session, url, f"a{self._begun}"))
            self._begun += 1
            self._posts.add(task)
            task.add_done_callback(self._posts.discard)

    async def _post_one(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        async with session.post(f"{url}/tokens", json={"token": token}) as answer:
            if answer.status != 202:  # noqa: PLR2004 - accepted
                raise AssertionError(f"{answer.status}: {await answer.text()}")
        self.by_api += 1


async def _is_ready(url: str) -> None:
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/health/ready", timeout=_ONE_SECOND) as answer:
            assert answer.status == 200, await answer.text()  # noqa: PLR2004, S101 - an assertion to wait for
    except (aiohttp.ClientError, TimeoutError) as error:
        raise AssertionError(str(error)) from error


_ONE_SECOND: Final = aiohttp.ClientTimeout(total=1)
