"""Waiting for what becomes true by itself."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable


async def eventually(
    assertion: Callable[[], Awaitable[None] | None], *, timeout_seconds: float, interval_seconds: float = 0.05
) -> None:
    """Call `assertion` until it holds; raise its last AssertionError when it does not within the time.

    It is called at least twice, the last time after the time is over. Any other exception passes at once.
    """
    end = time.monotonic() + timeout_seconds
    while True:
        overdue = time.monotonic() > end
        try:
            result = assertion()
            if inspect.isawaitable(result):
                await result
        except AssertionError:
            if overdue:
                raise
        else:
            return
        await asyncio.sleep(interval_seconds)
