"""Ends a process whose event loop does not run any more: a call that never awaits holds up everything, health included.

Nothing on the loop can notice, and no thread of Python either: a regular expression, and much else in C, lets none run until
it is done. So faulthandler's own thread does it, which needs no interpreter. The stacks of all threads go to standard error
first, then the process ends at once: what was in flight is repeated by the next owner of its partition.
"""

import asyncio
import contextlib
import faulthandler
from typing import Final, Self

BEATS: Final = 10
"""Beats within the time after which the loop counts as stuck."""
EXIT_STUCK: Final = 1
"""What faulthandler ends a process with."""


class LoopGuard:
    """Watches the running loop from `async with` to the end of its block. One a process: there is one such thread."""

    def __init__(self, *, stuck_seconds: float) -> None:
        self._stuck_seconds = stuck_seconds
        self._beating: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._beating = asyncio.get_running_loop().create_task(self._keep_beating())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._beating is not None:
            self._beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._beating
        faulthandler.cancel_dump_traceback_later()

    async def _keep_beating(self) -> None:
        """Put the end off, again and again."""
        while True:
            faulthandler.dump_traceback_later(self._stuck_seconds, exit=True)
            await asyncio.sleep(self._stuck_seconds / BEATS)
