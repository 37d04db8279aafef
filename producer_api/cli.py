"""`tokenflow serve`: the HTTP API as a process."""

import logging
import resource
import signal
import socket
from types import FrameType
from typing import Final

import typer
import uvicorn
from fastapi import FastAPI

from producer_api.app import create_app
from producer_api.services import Services
from producer_api.settings import ApiSettings
from topics.connection import calm_client_logs, security
from topics.settings import SettingsError, load_settings

GRACE_SECONDS: Final = 15
"""Above the produce timeout's default, so that a running POST gets its answer; waiting GETs are sent home at once."""
BACKLOG: Final = 2048
SPARE_FILES: Final = 200
"""Open files beside the GETs that wait: other requests, Kafka, PostgreSQL, logs, shared libraries."""

log = logging.getLogger(__name__)


class ApiServer(uvicorn.Server):
    """Uvicorn, which when told to stop lets the waiting GETs answer first."""

    def __init__(self, settings: ApiSettings) -> None:
        self.failed = False
        app = create_app(settings, give_up=self.give_up)
        self._services: Services = app.state.services
        super().__init__(_uvicorn_config(app, settings))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting and let running requests end, without waiting out the long polls."""
        self._services.watcher.close()
        await super().shutdown(sockets)

    def ask_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        """Stop; the handler of SIGINT and SIGTERM outside of Uvicorn's own time."""
        self.should_exit = True

    def give_up(self) -> None:
        """Stop, and remember that it was not asked for."""
        self.failed = True
        self.should_exit = True


def serve() -> None:
    """Run the HTTP API until it is told to stop (SIGTERM, Ctrl-C)."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    calm_client_logs()
    try:
        settings = load_settings(ApiSettings)
        security(settings)  # an unreadable CA file is told here, not by a task later
        raise_file_limit(settings)
        listening = listen(settings)
    except SettingsError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    server = ApiServer(settings)
    # Uvicorn, once stopped, raises the signal that stopped it again: caught here, so that a clean stop ends with 0.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, server.ask_to_stop)
    server.run([listening])
    if server.failed:
        raise typer.Exit(1)


def raise_file_limit(settings: ApiSettings) -> None:
    """Raise the soft limit of open files to the hard one, and say where that is too low: a GET that waits is a file."""
    needed = settings.api_max_waiters + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = 2 * needed if hard == resource.RLIM_INFINITY else hard  # macOS says unlimited, and refuses it
    if soft != resource.RLIM_INFINITY and soft < target:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    if target < needed:
        log.warning(
            "API_MAX_WAITERS=%d needs %d open files, and the hard limit is %d: lower it, or raise the limit (ulimit -Hn)",
            settings.api_max_waiters,
            needed,
            hard,
        )


def _uvicorn_config(app: FastAPI, settings: ApiSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing here looks at who asks
        backlog=BACKLOG,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=max(GRACE_SECONDS, int(settings.api_produce_timeout_seconds) + 5),
        log_config=None,
    )


def listen(settings: ApiSettings) -> socket.socket:
    """Open the listening socket before anything starts.

    Raises:
        SettingsError: the address or the port cannot be used.

    """
    host, port = settings.bind_address.strip("[]"), settings.api_port
    try:
        listening = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=BACKLOG
        )
    except OSError as error:
        reason = str(error.strerror).partition(" (while attempting to bind")[0]  # what follows repeats the address
        raise SettingsError(
            f"BIND_ADDRESS={host} with API_PORT={port} cannot be listened on ({reason}): "
            "set another API_PORT, or stop what uses it."
        ) from error
    # Inherited by what is accepted. uvloop sets it itself; asyncio's own loop does not for such a socket (its proto is 0),
    # and an answer, written as head and body, then waits 40 ms for a delayed ACK.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening
