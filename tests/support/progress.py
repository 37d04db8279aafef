"""How far the work of a scenario is: final rows that were written, offsets that were committed. Waits for both."""

from typing import Final

import asyncpg

from tests.support.account import Account
from tests.support.offset_watch import OffsetWatch
from tests.support.system import System
from tests.support.waiting import eventually

PATIENCE_SECONDS: Final = 75.0
"""Without a new row for so long, what is missing is lost. A group waits up to 35 s for a member that is away."""
DRAINED_SECONDS: Final = 30.0
"""A broker that came back needs some of it, the commit half a second."""


class Progress:
    """Looks at the rows from outside, and at the offsets as the watch sees them."""

    def __init__(self, system: System, account: Account, watch: OffsetWatch) -> None:
        self._system = system
        self._account = account
        self._watch = watch

    async def count(self) -> int | None:
        """Count the final rows; None where the database is away."""
        try:
            ((count,),) = await self._system.rows("SELECT count(*) FROM outcomes WHERE outcome <> 'retrying'")
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            return None
        return int(count)

    async def rows_reach(self, wanted: int) -> None:
        """Wait for so many final rows; AssertionError where no row came for PATIENCE_SECONDS."""
        rows = -1

        async def more() -> None:
            now = await self.count()
            assert now is not None, f"the database is away; {rows} of {wanted} rows before"
            assert now > rows, f"{now} of {wanted} rows, and no new one"
            counted.append(now)

        while rows < wanted:
            counted: list[int] = []
            await eventually(more, timeout_seconds=PATIENCE_SECONDS, interval_seconds=0.1)
            rows = counted[-1]

    async def drained(self) -> None:
        """Wait until every offset is committed, of the retry topics too."""
        ends: dict[int, int] = {}
        for partition, offset in self._account.placed.values():
            ends[partition] = max(ends.get(partition, 0), offset + 1)

        def all_committed() -> None:
            assert self._watch.committed == ends
            assert self._watch.copies_behind == 0, f"{self._watch.copies_behind} retry copies are not committed"

        await eventually(all_committed, timeout_seconds=DRAINED_SECONDS, interval_seconds=0.1)
