"""The wish to stop, as signals tell it: the first asks, the next one hurries. Mutated by the event loop's thread alone."""

import asyncio
from collections.abc import Sequence
from typing import Final

from infra.local.parts import Calls

SAME_WISH_SECONDS: Final = 0.5
"""Signals so close together are one wish: `kill` of a process group reaches us directly and again through make."""


class StopRequest:
    """Whether to stop, and whether to stop waiting for what is still running."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        """Set by the first request."""
        self.hurry = asyncio.Event()
        """Set by the second: kill instead of waiting."""
        self._last_seconds = 0.0

    def ask(self, now_seconds: float) -> None:
        """Take one signal at a time of the monotonic clock."""
        if not self.asked.is_set():
            self.asked.set()
        elif now_seconds - self._last_seconds < SAME_WISH_SECONDS:
            return
        else:
            self.hurry.set()
        self._last_seconds = now_seconds


def farewell(calls: Sequence[Calls], *, hint: str = "") -> str:
    """Say what a stop waits for, by the workers' own numbers; `hint` follows where there is something to wait for."""
    calling = sum(answer.calling for answer in calls)
    if not calling:
        return "stopping"
    limit = max(answer.drain_limit_seconds for answer in calls)
    return f"finishing {calling:,} {'call' if calling == 1 else 'calls'} (at most {limit:.0f} s){hint}"
