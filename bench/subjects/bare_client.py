"""The limit of a client: calls and nothing else, a URL per token. `python -m bench.subjects.bare_client CLIENT URL CALLS`.

So many tasks, each with one call after the other; an answer is read and thrown away. The collector is set as in the worker.
"""

import asyncio
import itertools
import sys
from collections.abc import Awaitable, Callable

import aiohttp
import uvloop
import yarl

from consumers import cli

Call = Callable[[int], Awaitable[None]]


async def call_forever(call: Call, numbers: "itertools.count[int]") -> None:
    """Make one call after the other."""
    while True:
        await call(next(numbers))


async def with_aiohttp(url: str, calls: int) -> None:
    """Aiohttp as the facts say it is cheapest: one session, no limit, no cookies, one total time-out."""
    before, after = url.split("{token}")
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=20),
    )

    async def call(number: int) -> None:
        async with session.get(yarl.URL(f"{before}{number}{after}", encoded=True)) as response:
            await response.read()

    async with session:
        await _call_all(call, calls)


async def _call_all(call: Call, calls: int) -> None:
    numbers = itertools.count(10_000_000)
    async with asyncio.TaskGroup() as group:
        for _ in range(calls):
            group.create_task(call_forever(call, numbers))


CLIENTS = {"aiohttp": with_aiohttp}

if __name__ == "__main__":
    cli._tune_collector()  # noqa: SLF001 - as the worker does
    uvloop.run(CLIENTS[sys.argv[1]](sys.argv[2], int(sys.argv[3])))
