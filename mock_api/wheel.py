"""Timers on a common tick: calls that are due in the same 5 ms share one wake-up of the event loop.

A timer of the event loop for each call costs a wake-up each, which is most of what a call costs when calls are due at
different times (docs/mock-api.md has the figures). A timer here is never early, and late by at most a tick and what the
event loop is late. Only the event loop's thread comes here.
"""

import asyncio
import heapq
import math
import time
from collections.abc import Callable
from typing import Final

TICK_SECONDS: Final = 0.005
LOOP_ROUNDING_SECONDS: Final = 0.001
"""uvloop counts in whole milliseconds, rounded to the nearest: without this a tick could come early."""


class Timer:
    """One thing to do later; `cancel` is legal at any time, also twice and after it was done."""

    __slots__ = ("act",)

    def __init__(self, act: Callable[[], None]) -> None:
        self.act: Callable[[], None] | None = act

    def cancel(self) -> None:
        """Do not do it; nothing of it is kept alive."""
        self.act = None


class Wheel:
    """All timers of one event loop: tick number -> those that are due at it, in no order."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float] = time.monotonic) -> None:
        self._loop = loop
        self._clock = clock
        self._due: dict[int, list[Timer]] = {}
        self._ticks: list[int] = []  # a heap of the keys of _due
        self._armed: asyncio.TimerHandle | None = None
        self._armed_tick = 0

    def later(self, delay_seconds: float, act: Callable[[], None]) -> Timer:
        """Do it once, at the first tick that is not before the delay is over."""
        tick = math.ceil((self._clock() + delay_seconds) / TICK_SECONDS)
        timer = Timer(act)
        timers = self._due.get(tick)
        if timers is None:
            self._due[tick] = timers = []
            heapq.heappush(self._ticks, tick)
            self._arm()
        timers.append(timer)
        return timer

    def close(self) -> None:
        """Do nothing any more."""
        self._due.clear()
        self._ticks.clear()
        if self._armed is not None:
            self._armed.cancel()
            self._armed = None

    def _arm(self) -> None:
        """See that the event loop wakes at the nearest tick."""
        if not self._ticks or (self._armed is not None and self._armed_tick <= self._ticks[0]):
            return
        if self._armed is not None:
            self._armed.cancel()
        self._armed_tick = self._ticks[0]
        delay = max(0.0, self._armed_tick * TICK_SECONDS - self._clock())
        self._armed = self._loop.call_later(delay + LOOP_ROUNDING_SECONDS, self._turn)

    def _turn(self) -> None:
        """Do everything that is due; if something of it raises, the rest follows in the next turn of the loop."""
        self._armed = None
        try:
            while self._ticks and self._ticks[0] * TICK_SECONDS <= self._clock():
                timers = self._due[self._ticks[0]]
                while timers:
                    act = timers.pop().act
                    if act is not None:
                        act()
                if self._ticks:  # nothing closed the wheel meanwhile
                    del self._due[heapq.heappop(self._ticks)]
        finally:
            self._arm()
