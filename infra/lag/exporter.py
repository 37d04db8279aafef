"""The lag exporter: each scrape reads the lag afresh, at most once a second however many scrape.

It is a member of no group and works while no worker runs. `/health/live` says that the process answers, `/health/ready` that
Kafka does. State: the last reading, replaced by whoever holds the lock.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from time import monotonic
from typing import Final

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from infra.errors import ExpectedError
from infra.lag.metrics import LAG, READINGS, REGISTRY
from infra.lag.settings import LagSettings
from topics.connection import KafkaConnectionError
from topics.lag import GroupLag
from topics.lag_reader import LagError, LagReader

FRESH_SECONDS: Final = 1.0
"""A reading, or a failure, serves every scrape that comes within this time."""
logger = logging.getLogger("tokenflow.lag")


class SharedReading:
    """The last reading, at most a second old, for all who ask; says every change between answering and not once."""

    def __init__(self, reader: LagReader, *, clock: Callable[[], float] = monotonic) -> None:
        self._reader = reader
        self._clock = clock
        self._lock = asyncio.Lock()
        self._taken_at = float("-inf")
        self._last: GroupLag | None = None
        self._failure: str | None = None

    async def fresh(self) -> tuple[GroupLag | None, str | None]:
        """Return a reading, or why there is none. Bounded by the reader's own deadline, twice that behind another's."""
        async with self._lock:
            if self._clock() - self._taken_at >= FRESH_SECONDS:
                await self._take()
                self._taken_at = self._clock()
            return self._last, self._failure

    async def _take(self) -> None:
        before, self._failure = self._failure, None
        try:
            self._last = await self._reader.read()
        except (KafkaConnectionError, LagError) as error:
            self._last, self._failure = None, str(error)
        READINGS.labels(_result(self._last)).inc()
        LAG.reading = self._last
        if self._failure != before:
            logger.log(logging.WARNING if self._failure else logging.INFO, self._failure or "Kafka answers again")


class LagExporter:
    """`/metrics`, `/health/live` and `/health/ready` on LAG_EXPORTER_PORT."""

    def __init__(self, settings: LagSettings) -> None:
        self._settings = settings
        self._reader = LagReader(settings)
        self._shared = SharedReading(self._reader)

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT.

        Raises:
            ExpectedError: the port cannot be opened.

        """
        ended = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        app = web.Application()
        app.router.add_get("/metrics", self._get_metrics)
        app.router.add_get("/health/live", self._get_live)
        app.router.add_get("/health/ready", self._get_ready)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await self._listen(runner)
            await ended.wait()  # no deadline: it serves until it is told to stop
        finally:
            await runner.cleanup()
            await self._reader.close()

    async def _listen(self, runner: web.AppRunner) -> None:
        address, port = self._settings.bind_address, self._settings.lag_exporter_port
        try:
            await web.TCPSite(runner, address, port).start()
        except OSError as error:
            raise ExpectedError(
                f"cannot listen on {address}:{port} ({os.strerror(error.errno or 0)}): stop what listens there, "
                "or set LAG_EXPORTER_PORT or BIND_ADDRESS."
            ) from error
        logger.info("lag of group %s on http://%s:%d/metrics", self._settings.kafka_group_id, address, port)

    async def _get_metrics(self, _: web.Request) -> web.Response:
        await self._shared.fresh()
        return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _get_live(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "live"})

    async def _get_ready(self, _: web.Request) -> web.Response:
        _reading, failure = await self._shared.fresh()
        if failure is None:
            return web.json_response({"status": "ready"})
        return web.json_response({"status": "not ready", "reason": failure}, status=503)


def _result(reading: GroupLag | None) -> str:
    if reading is None:
        return "failed"
    return "complete" if reading.is_complete else "partial"
