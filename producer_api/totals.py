"""Exact totals of outcomes, counted by Postgres: never more than one count at a time, each used for as long as it was dear.

State: `_kept` is changed by `read` and `stop`; a count ends in its own task. All on one event loop: no lock.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

import asyncpg

from producer_api.outcomes import AWAY, CONNECT_SECONDS, SQL
from producer_api.problems import DatabaseUnavailableError
from producer_api.settings import ApiSettings

ANSWER_SECONDS: Final = 2.0
"""How long a request waits for a running count before it is told the one before."""
COUNT_SECONDS: Final = 120.0
"""Limit of one count: enough for some hundred million rows (docs/decisions/0008)."""
FRESH_SECONDS: Final = 1.0
COST_FACTOR: Final = 10
"""A count is used again for ten times as long as it took: counting keeps at most a tenth of one database process busy."""
MAX_KEPT: Final = 8
STOP_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Counted:
    """One count. `records`: outcome -> number of records, those that are 0 left out; `at`: the monotonic clock."""

    records: dict[str, int]
    at: float
    seconds: float

    def is_fresh(self, now: float) -> bool:
        """Say whether it is used again rather than counted anew."""
        return now - self.at <= max(FRESH_SECONDS, COST_FACTOR * self.seconds)


@dataclass(slots=True)
class _Kept:
    """What is known of one prefix: its last count, and the task that counts now or counted last."""

    counted: Counted | None = None
    task: asyncio.Task[DatabaseUnavailableError | None] | None = None


class OutcomeTotals:
    """Counts on a connection of its own, so that a long count takes none from those who wait for an outcome."""

    def __init__(self, settings: ApiSettings) -> None:
        self._url = settings.database_url.get_secret_value()
        self._all = (SQL / "count_outcomes.sql").read_text()
        self._of_prefix = (SQL / "count_outcomes_of_prefix.sql").read_text()
        self._kept: dict[str, _Kept] = {}
        self._one_at_a_time = asyncio.Lock()

    async def read(self, prefix: str = "") -> Counted | None:
        """Return the latest count of the tokens with this prefix; None while the first one takes longer than ANSWER_SECONDS.

        Raises:
            DatabaseUnavailableError: it could not be counted now.

        """
        kept = self._keep(prefix)
        if kept.counted is not None and kept.counted.is_fresh(time.monotonic()):
            return kept.counted
        if kept.task is None or kept.task.done():
            kept.task = asyncio.create_task(self._count(prefix, kept), name="count outcomes")
        task = kept.task
        await asyncio.wait({task}, timeout=ANSWER_SECONDS)
        if task.done() and not task.cancelled() and (error := task.result()) is not None:
            raise error
        return kept.counted

    async def stop(self) -> None:
        """End what is counted; safe in every state."""
        tasks = [kept.task for kept in self._kept.values() if kept.task is not None]
        self._kept.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)

    def _keep(self, prefix: str) -> _Kept:
        """Find what is known of a prefix; the one asked for least recently gives way."""
        kept = self._kept.pop(prefix, None) or _Kept()
        self._kept[prefix] = kept
        if len(self._kept) > MAX_KEPT:
            oldest = self._kept.pop(next(iter(self._kept)))
            if oldest.task is not None:
                oldest.task.cancel()
        return kept

    async def _count(self, prefix: str, kept: _Kept) -> DatabaseUnavailableError | None:
        """Count, and keep the count; return what prevented it, since perhaps nobody waits for this any more."""
        try:
            async with self._one_at_a_time, asyncio.timeout(CONNECT_SECONDS + COUNT_SECONDS):
                kept.counted = await self._ask(prefix)
        except AWAY as error:
            unavailable = DatabaseUnavailableError("The database does not tell its totals; tokens can still be posted.")
            unavailable.__cause__ = error
            return unavailable
        return None

    async def _ask(self, prefix: str) -> Counted:
        connection = await asyncpg.connect(
            self._url,
            timeout=CONNECT_SECONDS,
            command_timeout=COUNT_SECONDS,
            server_settings={"application_name": "tokenflow-api-totals"},
        )
        try:
            started = time.monotonic()
            rows = await (connection.fetch(self._of_prefix, prefix) if prefix else connection.fetch(self._all))
            records = {row["outcome"]: row["records"] for row in rows}
            return Counted(records, at=started, seconds=time.monotonic() - started)
        finally:
            connection.terminate()  # nothing is left to say, and a close would wait for a database that fell silent
