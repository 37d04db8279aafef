"""Notices that this process stood still: stopped by a signal, swapped out, its machine suspended. Then it may be a zombie.

After a pause longer than the group waits, another member has the partitions, and the one that wakes up does not know it yet:
it would call its whole ready queue a second time. So a pause holds the calls back until the broker has accepted a commit,
which only a member can make; one that was replaced is refused, and the revoke that follows gives the queue back. An outage
is no pause: the process runs, nobody can take over, and the calls go on.
"""

import asyncio
from collections.abc import Awaitable, Callable

from consumers.engine.committer import CommitResult
from consumers.engine.state import EngineState

BEAT_SECONDS = 0.5


class Pulse:
    """Beats, and ends a pause by a commit."""

    def __init__(
        self,
        state: EngineState,
        *,
        commit: Callable[[], Awaitable[CommitResult]],
        on_ready: Callable[[], None],
    ) -> None:
        self._state = state
        self._commit = commit
        self._on_ready = on_ready

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            if not self._state.paused():
                self._state.pause.beat(self._state.uptime())
            elif await self._commit() is CommitResult.ACCEPTED:
                self._state.pause.end(self._state.uptime())
                self._on_ready()
