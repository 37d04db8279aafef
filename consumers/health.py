"""Health, metrics and a look inside, over HTTP.

Starts before the worker joins its group: a joiner waits for everybody's drain, and must be seen to be alive meanwhile.
"""

import json
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Self

from aiohttp import web
from prometheus_client import REGISTRY
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest


class ListenError(Exception):
    """The port of health and metrics cannot be opened; the text says which setting to change."""


class HealthServer:
    """`/health/live`, `/health/ready`, `/metrics`, `/status` (JSON). `ready` says None, or why not.

    `gates` names the closed gates. They are told, and make nobody unready: who holds calls back works as it should.
    """

    def __init__(
        self,
        *,
        address: str,
        port: int,
        ready: Callable[[], str | None],
        gates: Callable[[], Sequence[str]] = tuple,
        status: Callable[[], Mapping[str, object]],
    ) -> None:
        self._address = address
        self._port = port
        self._ready = ready
        self._gates = gates
        self._status = status
        app = web.Application()
        app.router.add_get("/health/live", self._get_live)
        app.router.add_get("/health/ready", self._get_ready)
        app.router.add_get("/metrics", self._get_metrics)
        app.router.add_get("/status", self._get_status)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._address, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise ListenError(
                f"cannot listen on {self._address}:{self._port} ({reason_of(error)}): stop what listens there, "
                "or set WORKER_PORT, WORKER_INDEX or BIND_ADDRESS."
            ) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _get_live(self, _: web.Request) -> web.Response:
        return _json({"status": "live"})

    async def _get_ready(self, _: web.Request) -> web.Response:
        reason = self._ready()
        if reason is not None:
            return _json({"status": "not ready", "reason": reason}, status=503)
        closed = list(self._gates())
        return _json({"status": "ready", **({"closed_gates": closed} if closed else {})})

    async def _get_metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _get_status(self, _: web.Request) -> web.Response:
        return _json(self._status())


def reason_of(error: OSError) -> str:
    """Say what the system says: asyncio's text repeats the address, and a name without an address has numbers of its own."""
    return error.strerror or str(error) if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)


def _json(body: Mapping[str, object], *, status: int = 200) -> web.Response:
    return web.Response(text=json.dumps(body), status=status, content_type="application/json")
