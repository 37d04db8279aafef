"""What a scenario produces, each token noted with its place; once, or on and on so that no worker runs dry."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Final

from tests.support.account import Account
from tests.support.fleet import pause
from tests.support.system import System

AHEAD: Final = 3
"""Produced and not stored, in times of the calls in flight: enough for two seconds at the least."""
LOOK_SECONDS: Final = 0.3


def traceparent_of(token: str) -> str:
    """The trace of a token, which nobody else has: W3C's form."""
    digest = hashlib.sha256(token.encode()).hexdigest()
    return f"00-{digest[:32]}-{digest[32:48]}-01"


def _traced(value: bytes | None) -> list[tuple[str, bytes]]:
    return [("traceparent", traceparent_of((value or b"").decode()).encode())]


class Feed:
    """Produces into the system's topic. Its task ends with `stop` or `cancel`."""

    def __init__(
        self, system: System, account: Account, *, in_flight: int, stored: Callable[[], Awaitable[int | None]]
    ) -> None:
        """`stored` counts the final rows, None where that cannot be known now."""
        self._system = system
        self._account = account
        self._portion = AHEAD * in_flight
        self._stored = stored
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def goes_on(self) -> bool:
        """Whether it was started."""
        return self._task is not None

    async def produce(self, count: int, *, prefix: str, keyed: bool = True) -> list[str]:
        """Produce tokens PREFIX0, PREFIX1, ..., with their trace; return them."""
        tokens = [f"{prefix}{number}" for number in range(count)]
        placed = await self._system.produce((token.encode() for token in tokens), headers=_traced, keyed=keyed)
        self._account.placed |= {token: (at.partition, at.offset) for token, at in zip(tokens, placed, strict=True)}
        return tokens

    async def start(self) -> None:
        """Produce a first portion, and keep as much ahead of the workers from now on."""
        await self._portion_more()
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """End it, if it was started; raises what went wrong in it. Idempotent."""
        self._stopping.set()
        if self._task is not None:
            await self._task

    async def cancel(self) -> None:
        """End it at once; legal at any time."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while not self._stopping.is_set():
            rows = await self._stored()
            if rows is not None and len(self._account.placed) - rows < self._portion:
                await self._portion_more()
            await pause(self._stopping, LOOK_SECONDS)

    async def _portion_more(self) -> None:
        await self.produce(self._portion, prefix=f"t{len(self._account.placed)}-")
