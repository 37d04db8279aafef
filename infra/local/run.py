"""One run of the stack in the current folder, from the lock to the last stop: what `tokenflow up` does."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

import psutil

from infra.local import preflight
from infra.local.errors import LocalStackError
from infra.local.own_parts import Service
from infra.local.parent import announced
from infra.local.parts import Kind
from infra.local.screen import Screen, Stream
from infra.local.stack import Builder, Stack, program
from infra.local.state import Addresses, StateFolder
from infra.local.summary import Summary, summary
from infra.local.supervisor import Supervisor
from infra.settings import LocalSettings

ORPHAN_SECONDS: Final = 6.0
"""After kill -9 of a parent its guards end everything within 5 s; whoever starts again that soon waits for them."""
RETRY_SECONDS: Final = 0.2


class Run:
    """What one `up` knows; used once."""

    def __init__(
        self,
        settings: LocalSettings,
        *,
        workers: int,
        environment: Mapping[str, str],
        stream: Stream = sys.stdout,
        detached: bool = False,
        when_ready: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._workers = workers
        self._environment = environment
        self._stream = stream
        self._detached = detached
        self._when_ready = when_ready
        self._state = StateFolder.here()
        self._began = time.monotonic()

    def run(self) -> int:
        """Run until asked to stop; the exit code: 0 after a stop that was asked for, 1 when the stack could not go on."""
        try:
            with self._state.hold(), announced(self._state) as was_killed:
                self._preflight(patience_seconds=ORPHAN_SECONDS if was_killed else 0)
                return 0 if asyncio.run(self._supervise()) else 1
        except LocalStackError as error:
            print(error, file=self._stream, flush=True)
            return 1

    def _preflight(self, *, patience_seconds: float) -> None:
        deadline = time.monotonic() + patience_seconds
        while True:
            try:
                return preflight.check(self._settings, workers=self._workers, folder=self._state.root)
            except preflight.PreflightError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(RETRY_SECONDS)

    async def _supervise(self) -> bool:
        builder = Builder(self._settings, workers=self._workers, state=self._state, environment=self._environment)
        stack = builder.build()
        screen = Screen((part.name for part in stack.parts), stream=self._stream)

        def ready() -> None:
            self._state.write_addresses(self._written(stack))
            screen.say(summary(self._summary(stack, builder)))
            self._when_ready()

        return await Supervisor(stack.parts, screen=screen, when_ready=ready).run()

    def _written(self, stack: Stack) -> Addresses:
        urls = {part.name.lower().replace(" ", "-"): part.endpoint.url for part in stack.parts if isinstance(part, Service)}
        return Addresses(stack.bootstrap_servers, stack.database_url, pids={"up": os.getpid()}, urls=urls)

    def _summary(self, stack: Stack, builder: Builder) -> Summary:
        workers = [part for part in stack.parts if isinstance(part, Service) and part.kind is Kind.WORKER]
        local_postgres = f"127.0.0.1:{self._settings.postgres_port}"
        return Summary(
            api_url=builder.endpoint(self._settings.api_port).url,
            mock_api_url=builder.endpoint(self._settings.mock_api_port).url,
            kafka=stack.bootstrap_servers,
            postgres="as DATABASE_URL says" if isinstance(stack.postgres, str) else local_postgres,
            worker_urls=[worker.endpoint.url for worker in workers],
            concurrency=self._settings.worker_concurrency,
            batch_size=self._settings.queue_batch_size,
            topic=self._settings.tokens_topic,
            folder=self._state.root.parent,
            program=program(),
            seconds=time.monotonic() - self._began,
            detached=self._detached,
        )


def leave(code: int) -> None:
    """End the process with a code, and with it what a preparation that was cut off left running.

    A download has threads that Python would wait for, and making the database a child that outlives its parent; either is
    done anew at the next start.
    """
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.kill()
    if threading.active_count() > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
