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
from consumers.providers.pool import Pool

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


async def with_wire(url: str, calls: int) -> None:
    """The worker's own connections and pool (consumers/providers), without what the provider makes of an answer."""
    target = yarl.URL(url, encoded=True)
    pool = Pool(target.raw_host or "", target.port or 0, tls=False)
    before, after = target.raw_path_qs.split("{token}")
    loop = asyncio.get_running_loop()

    async def call(number: int) -> None:
        connection = pool.take(loop.time()) or await pool.connect()
        connection.send(f"GET {before}{number}{after} HTTP/1.1\r\nHost: mock\r\n\r\n".encode())
        await connection.more()
        pool.give_back(connection, loop.time())

    await _call_all(call, calls)


async def with_pyreqwest(url: str, calls: int) -> None:
    """Calls pass through pyreqwest: Rust, in a thread of its own."""
    from pyreqwest.client import ClientBuilder  # noqa: PLC0415 - costs the others nothing

    before, after = url.split("{token}")
    async with ClientBuilder().http1_only().no_proxy().build() as client:

        async def call(number: int) -> None:
            response = await client.get(f"{before}{number}{after}").build().send()
            await response.bytes()

        await _call_all(call, calls)


async def _call_all(call: Call, calls: int) -> None:
    numbers = itertools.count(10_000_000)
    async with asyncio.TaskGroup() as group:
        for _ in range(calls):
            group.create_task(call_forever(call, numbers))


CLIENTS = {"aiohttp": with_aiohttp, "wire": with_wire, "pyreqwest": with_pyreqwest}

if __name__ == "__main__":
    cli._tune_collector()  # noqa: SLF001 - as the worker does
    uvloop.run(CLIENTS[sys.argv[1]](sys.argv[2], int(sys.argv[3])))
