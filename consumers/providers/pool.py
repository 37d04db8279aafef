"""Connections to one address: made on demand, kept between calls, never limited in number (slots are the limit).

The last one used is taken first, so that those that are too many grow old and are closed. One timer serves the deadlines of
all calls: they all have the same time, so the oldest call is the first that is due, and a call costs no timer of its own.
"""

import asyncio
import socket
import ssl
from collections import deque
from typing import Final

from consumers.errors import UnavailableError
from consumers.providers.connection import Connection

IDLE_SECONDS: Final = 30.0
"""Below what servers and balancers between us and them keep a quiet connection for (60 s and more)."""
ADDRESS_SECONDS: Final = 10.0
"""How long a resolved name is believed: ten thousand connections are one question, and a provider that moves is found."""

CLOSE_SECONDS: Final = 1.0

Address = tuple[str, int]


class Pool:
    """The connections to `host`:`port`. Built inside the running loop; `close` ends all of them."""

    def __init__(self, host: str, port: int, *, tls: bool) -> None:
        self._host = host
        self._port = port
        self._tls = ssl.create_default_context() if tls else None
        self._idle: deque[Connection] = deque()
        self._all: set[Connection] = set()
        self._resolving: asyncio.Task[list[Address]] | None = None
        self._resolved_at = 0.0
        self._turn = 0

    def take(self, now: float) -> Connection | None:
        """Take a kept connection, if there is one."""
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable and now - connection.idle_since < IDLE_SECONDS:
                return connection
            self.drop(connection)
        return None

    async def connect(self) -> Connection:
        """Make a connection. Raises UnavailableError; cancel it at the call's deadline."""
        loop = asyncio.get_running_loop()
        try:
            addresses = await self._addresses(loop)
            self._turn += 1
            for number in range(len(addresses)):
                address = addresses[(self._turn + number) % len(addresses)]
                try:
                    return await self._connect_to(loop, address)
                except OSError:
                    if number == len(addresses) - 1:
                        raise
        except OSError as error:  # refused, unreachable, unknown name, TLS that fails
            raise UnavailableError(f"Cannot connect to {self._host}:{self._port}: {error}") from error
        raise UnavailableError(f"Cannot connect to {self._host}:{self._port}: the name has no address")

    def give_back(self, connection: Connection, now: float) -> None:
        """Keep a connection for the next call, or close it where none may follow."""
        if not connection.reusable:
            self.drop(connection)
            return
        connection.idle_since = now
        self._idle.append(connection)
        while self._idle and now - self._idle[0].idle_since >= IDLE_SECONDS:
            self.drop(self._idle.popleft())

    def drop(self, connection: Connection) -> None:
        """Close a connection. Idempotent."""
        self._all.discard(connection)
        connection.close()

    async def close(self) -> None:
        """Close all. Idempotent."""
        if self._resolving is not None:
            self._resolving.cancel()
            await asyncio.wait({self._resolving}, timeout=CLOSE_SECONDS)
        for connection in tuple(self._all):
            self.drop(connection)
        self._idle.clear()

    async def _connect_to(self, loop: asyncio.AbstractEventLoop, address: Address) -> Connection:
        name = self._host if self._tls is not None else None
        _, connection = await loop.create_connection(Connection, address[0], address[1], ssl=self._tls, server_hostname=name)
        self._all.add(connection)
        return connection

    async def _addresses(self, loop: asyncio.AbstractEventLoop) -> list[Address]:
        """Resolve the name, once for all that ask at the same time; a failure is not remembered."""
        resolving = self._resolving
        if resolving is None or (resolving.done() and self._is_old(resolving, loop.time())):
            resolving = self._resolving = loop.create_task(self._resolve(loop))
        return await asyncio.shield(resolving)

    def _is_old(self, resolved: "asyncio.Task[list[Address]]", now: float) -> bool:
        failed = resolved.cancelled() or resolved.exception() is not None
        return failed or now - self._resolved_at > ADDRESS_SECONDS

    async def _resolve(self, loop: asyncio.AbstractEventLoop) -> list[Address]:
        found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        self._resolved_at = loop.time()
        return [(each[4][0], each[4][1]) for each in found]  # type: ignore[misc]  # TCP addresses have both


class Deadlines:
    """Fails the connections whose call has outlasted `seconds`; one timer, the oldest call first. No call waits on it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due: dict[Connection, float] = {}  # in order, for every call has the same time
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0  # the handle cannot be asked: uvloop's for what is due now does not know

    def begin(self, connection: Connection, due: float) -> None:
        """Let a call end at `due`, on the loop's clock. One that began before and connected long comes out of its turn."""
        self._due[connection] = due
        if self._timer is None or due < self._timer_due:
            self._set(due)

    def end(self, connection: Connection) -> None:
        """Forget a call that is over. Idempotent."""
        self._due.pop(connection, None)

    def close(self) -> None:
        """End the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _set(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(due, self._look)
        self._timer_due = due

    def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in [each for each, due in self._due.items() if due <= now]:
            self.end(connection)
            connection.fail(TimeoutError(f"no answer within {self._seconds:g} s"))
        self._timer = None
        if self._due:
            self._set(min(self._due.values()))
