"""The wish to stop, as signals tell it. Mutated by the event loop's thread alone."""

import asyncio
from collections.abc import Sequence

from infra.local.parts import Calls


class StopRequest:
    """Whether to stop, and whether to stop waiting for what is still running.

    SIGTERM asks, however often: a second `make down`, or a `kill` that reaches the process and its make, costs no call.
    Only Ctrl-C, which a person pressed who reads the screen, insists.
    """

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        """Set by the first signal."""
        self.hurry = asyncio.Event()
        """Set by Ctrl-C during a stop: kill instead of waiting."""

    def ask(self) -> None:
        """Take a SIGTERM or SIGHUP."""
        self.asked.set()

    def insist(self) -> None:
        """Take a Ctrl-C: the first asks, the next one hurries."""
        if self.asked.is_set():
            self.hurry.set()
        self.asked.set()


def farewell(calls: Sequence[Calls], *, hint: str = "") -> str:
    """Say what a stop waits for, by the workers' own numbers; `hint` follows where there is something to wait for."""
    calling = sum(answer.calling for answer in calls)
    if not calling:
        return "stopping"
    limit = max(answer.drain_limit_seconds for answer in calls)
    return f"finishing {calling:,} {'call' if calling == 1 else 'calls'} (at most {limit:.0f} s){hint}"
