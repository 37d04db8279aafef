"""Ends a process whose event loop does not run any more: a call that never awaits holds up everything, health included.

A thread, since nothing on the loop can notice. The stacks of all threads go to the log first, then the process ends at once:
what was in flight is repeated by the next owner of its partition.
"""

import asyncio
import contextlib
import faulthandler
import logging
import os
import threading
from time import monotonic
from typing import Self

log = logging.getLogger(__name__)

BEATS = 10
"""Beats, and looks of the thread, within the time after which the loop counts as stuck."""
EXIT_STUCK = 70


class LoopGuard:
    """Watches the running loop from `async with` to the end of its block."""

    def __init__(self, *, stuck_seconds: float) -> None:
        self._stuck_seconds = stuck_seconds
        self._beat = monotonic()
        self._ended = threading.Event()
        self._beating: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._beating = asyncio.get_running_loop().create_task(self._keep_beating())
        threading.Thread(target=self._watch, name="loop-guard", daemon=True).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ended.set()
        if self._beating is not None:
            self._beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._beating

    async def _keep_beating(self) -> None:
        while True:
            self._beat = monotonic()
            await asyncio.sleep(self._stuck_seconds / BEATS)

    def _watch(self) -> None:
        while not self._ended.wait(self._stuck_seconds / BEATS):
            if monotonic() - self._beat >= self._stuck_seconds:
                log.critical(
                    "the event loop has not run for %.0f s; what was in flight will be repeated", self._stuck_seconds
                )
                faulthandler.dump_traceback()
                os._exit(EXIT_STUCK)
