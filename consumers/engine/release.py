"""Sends held records on their way at the moment when they are due: to the check, since an outcome may be stored by now."""

import asyncio
from collections.abc import Callable, Sequence

from consumers.engine.record import Record
from consumers.engine.state import EngineState

LOOK_SECONDS = 1.0
"""The clock is looked at as often at least: it may be set, or known better, while we wait."""


class Release:
    """One timer for the nearest due time. Never early; late by what the event loop takes."""

    def __init__(self, state: EngineState, *, check: Callable[[Sequence[Record]], None]) -> None:
        self._state = state
        self._check = check

    async def run(self) -> None:
        """Release until cancelled."""
        state = self._state
        while True:
            state.held_more.clear()
            now_ms = state.broker_clock.now_ms()
            due = state.release(now_ms)
            if due:
                self._check(due)
                continue
            next_due_ms = state.hold.next_due_ms
            wait = LOOK_SECONDS if next_due_ms is None else min(LOOK_SECONDS, (next_due_ms - now_ms) / 1000)
            try:
                async with asyncio.timeout(max(0.0, wait)):
                    await state.held_more.wait()
            except TimeoutError:
                continue
