"""The mock's process: one listening socket, one event loop, started and stopped here.

`start` listens, `run` waits for the end, `stop` closes everything; calls in flight are not waited for, because the outside
world does not wait either.
"""

import asyncio
import errno
import gc
import os
import resource
import signal
from contextlib import suppress

from mock_api.control import Mock
from mock_api.profile import profile_of
from mock_api.protocol import MockProtocol
from mock_api.settings import MockApiSettings

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
        self._server: asyncio.Server | None = None
        self.mock = Mock(profile_of(settings))
        self.port = settings.mock_api_port
        """The port that is listened on: after `start` a real one, also where the setting says 0."""

    async def start(self) -> None:
        """Listen.

        Raises:
            ListenError: the port is in use, or the address is not one of this machine.

        """
        address, port = self._settings.bind_address, self._settings.mock_api_port
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: MockProtocol(self.mock), address, port, backlog=BACKLOG)
        except OSError as error:
            raise ListenError(_sentence(error, address, port)) from error
        self.port = self._server.sockets[0].getsockname()[1]

    def end_on_signals(self) -> None:
        """Let SIGTERM and SIGINT end `run`. Only for the process that is the mock; a test's process has its own signals."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ended.set)

    async def run(self) -> None:
        """Return when a signal has come; the one wait without a deadline, because serving has none."""
        await self._ended.wait()

    async def stop(self) -> None:
        """Stop listening and cut every connection; safe to call twice, and before `start`."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for transport in tuple(self.mock.connections):
            transport.abort()
        with suppress(TimeoutError):  # cut connections cannot hold the end back
            async with asyncio.timeout(STOP_SECONDS):
                await server.wait_closed()


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


def _sentence(error: OSError, address: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {address} is in use: stop what listens there, or set MOCK_API_PORT to a free one."
    reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
    return f"The mock API cannot listen on {address}:{port} ({reason}): change BIND_ADDRESS or MOCK_API_PORT."
