"""The mock's process: its listening sockets on one event loop, started and stopped here, and closed while it plays down.

`start` listens, `run` waits for the end, `stop` closes everything; calls in flight are not waited for, because the outside
world does not wait either.
"""

import asyncio
import errno
import gc
import os
import resource
import signal
import time
from contextlib import suppress

from mock_api.profile import profile_of
from mock_api.protocol import MockProtocol
from mock_api.settings import MockApiSettings
from mock_api.state import Mock
from mock_api.wheel import LOOP_ROUNDING_SECONDS, Wheel

BACKLOG = 8192
"""Connections that may wait to be accepted; the kernel cuts it to net.core.somaxconn (4,096 by default)."""
STOP_SECONDS = 0.5


class ListenError(OSError):
    """The address cannot be listened on; the text says why and what to change."""


class MockServer:
    """The mock API on one address. `mock` is its state: profile and ledger, readable while it runs."""

    def __init__(self, settings: MockApiSettings) -> None:
        self._settings = settings
        self._ended = asyncio.Event()
        self._outage_changed = asyncio.Event()
        self._listening: asyncio.Server | None = None
        self._control: asyncio.Server | None = None
        self._doorkeeper: asyncio.Task[None] | None = None
        self._wheel: Wheel | None = None
        self.mock = Mock(profile_of(settings))
        self.port = settings.mock_api_port
        """The port that is listened on: after `start` a real one, also where the setting says 0."""
        self.control_port = settings.mock_api_control_port

    async def start(self) -> None:
        """Listen.

        Raises:
            ListenError: a port is in use, or the address is not one of this machine.

        """
        self._wheel = Wheel(asyncio.get_running_loop())
        self._listening = await self._listen(self.port, "MOCK_API_PORT")
        self.port = _port_of(self._listening)
        if self.control_port is not None:
            self._control = await self._listen(self.control_port, "MOCK_API_CONTROL_PORT")
            self.control_port = _port_of(self._control)
            self.mock.refusal_needs_an_end = False
        self.mock.on_outage = self._outage_changed.set
        self._doorkeeper = asyncio.create_task(self._keep_the_door())

    def end_on_signals(self) -> None:
        """Let SIGTERM and SIGINT end `run`. Only for the process that is the mock; a test's process has its own signals."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ended.set)

    async def run(self) -> None:
        """Return when a signal has come; the one wait without a deadline, because serving has none.

        Raises:
            ListenError: the port was taken while the mock refused connections.

        """
        assert self._doorkeeper is not None  # noqa: S101 - `start` comes before
        signalled = asyncio.create_task(self._ended.wait())
        await asyncio.wait({signalled, self._doorkeeper}, return_when=asyncio.FIRST_COMPLETED)
        if not signalled.done():
            signalled.cancel()
            await self._doorkeeper

    async def stop(self) -> None:
        """Stop listening and cut every connection; safe to call twice, and before `start`."""
        if self._doorkeeper is not None:
            self._doorkeeper.cancel()
            await asyncio.wait({self._doorkeeper}, timeout=STOP_SECONDS)
        if self._wheel is not None:
            self._wheel.close()
        servers, self._listening, self._control = (self._listening, self._control), None, None
        for server in servers:
            if server is not None:
                server.close()
        for transport in tuple(self.mock.connections):
            transport.abort()
        for server in servers:
            if server is not None:
                await _wait_closed(server)

    async def _listen(self, port: int, setting: str) -> asyncio.Server:
        assert self._wheel is not None  # noqa: S101 - `start` makes it
        mock, wheel, address = self.mock, self._wheel, self._settings.bind_address
        loop = asyncio.get_running_loop()
        try:
            return await loop.create_server(lambda: MockProtocol(mock, wheel), address, port, backlog=BACKLOG)
        except OSError as error:
            raise ListenError(_sentence(error, address, port, setting)) from error

    async def _keep_the_door(self) -> None:
        """Play the outages that `mock.outage` asks for, one after the other, until cancelled."""
        while True:
            await self._wait_for_change()
            outage = self.mock.outage
            if outage is not None:
                for transport in tuple(self.mock.callers):
                    transport.abort()
            if outage is not None and outage.how == "refuse":
                if self._listening is not None:
                    self._listening.close()
                    self._listening = None
            elif self._listening is None:
                self._listening = await self._listen(self.port, "MOCK_API_PORT")

    async def _wait_for_change(self) -> None:
        """Return when the outage has changed, or its time is over."""
        outage = self.mock.outage
        until = outage.until if outage is not None else None
        left = None if until is None else max(0.0, until - time.monotonic()) + LOOP_ROUNDING_SECONDS
        try:
            async with asyncio.timeout(left):
                await self._outage_changed.wait()
        except TimeoutError:
            if self.mock.outage is outage:  # not another that came in the same moment
                self.mock.come_up()
        self._outage_changed.clear()


def prepare_process() -> None:
    """Let this process hold 10,000 connections: file descriptors up to the hard limit, and rare garbage collections.

    The default collector walks every waiting call again and again; with 10,000 of them it takes half of the time.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for soft in (hard, 65_536, 10_240):  # macOS refuses "unlimited" and has a maximum of its own
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            break
    gc.set_threshold(50_000, 20, 1000)


def _port_of(server: asyncio.Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


async def _wait_closed(server: asyncio.Server) -> None:
    """Wait for a closed server's end; cut connections cannot hold it back."""
    with suppress(TimeoutError):
        async with asyncio.timeout(STOP_SECONDS):
            await server.wait_closed()


def _sentence(error: OSError, address: str, port: int, setting: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {address} is in use: stop what listens there, or set {setting} to a free one."
    reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
    return f"The mock API cannot listen on {address}:{port} ({reason}): change BIND_ADDRESS or {setting}."
