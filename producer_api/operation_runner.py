"""Runs what operators ordered over HTTP, and goes on with what others left: operations whose holder is gone.

State: `_running`, changed by `start` and by tasks that end. A process that is stopped lets go of its leases, so another goes
on at once; one that is killed loses them after 10 s.
"""

import asyncio
import logging
from typing import Final

from producer_api.gate_orders import Fetch
from producer_api.metrics import Metrics
from producer_api.problems import DatabaseUnavailableError
from producer_api.redrive.operations import Operation, new_holder, take_over
from producer_api.redrive.redriver import Redriver
from producer_api.settings import ApiSettings

LOOK_SECONDS: Final = 2.0
STOP_SECONDS: Final = 10.0

log = logging.getLogger(__name__)


class OperationRunner:
    """Each operation in a task of its own. `run` until cancelled, then `stop`."""

    def __init__(self, settings: ApiSettings, metrics: Metrics, fetch: Fetch) -> None:
        self._settings = settings
        self._metrics = metrics
        self._fetch = fetch
        self._running: set[asyncio.Task[None]] = set()
        metrics.operations.set_function(lambda: len(self._running))

    def start(self, operation: Operation) -> None:
        """Run an operation whose lease this process holds. Does not block."""
        task = asyncio.create_task(self._run(operation), name=f"operation {operation.id}")
        self._running.add(task)
        task.add_done_callback(self._ended)

    async def run(self) -> None:
        """Take over what nobody holds, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                operation = await take_over(self._fetch, holder=new_holder())
            except DatabaseUnavailableError as error:
                log.debug("no operation is taken over now: %s", error)
                continue
            if operation is not None:
                log.info("goes on with the operation %s (%s), whose holder is gone", operation.id, operation.action)
                self.start(operation)

    async def stop(self) -> None:
        """Cut short what runs: its rows say how far it is, and whoever holds it next goes on. Idempotent."""
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=STOP_SECONDS)

    async def _run(self, operation: Operation) -> None:
        redriver = Redriver(
            self._settings,
            self._settings.database_url.get_secret_value(),
            operation,
            on_taken=lambda action, count: self._metrics.letters_taken.labels(action).inc(count),
        )
        await redriver.run()
        log.info("the operation %s (%s) is %s", operation.id, operation.action, redriver.status)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical("%s ended by a bug; its lease runs out, and it is tried again", task.get_name(), exc_info=error)
