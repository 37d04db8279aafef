"""Long polling without a connection or a query per waiter: one task asks for everything that is awaited, together.

State: `_waits` and `_fresh` grow in `_ask` and shrink in the task `run`, on one event loop. A wait is fresh until its first
question, which is asked at once; after that it is asked again with all the others every `poll_seconds`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from prometheus_client import Counter

from producer_api.outcomes import Found, Outcome
from producer_api.problems import DatabaseUnavailableError, TooManyWaitersError

Read = Callable[[Collection[str], Collection[str]], Awaitable[Found]]


@dataclass(slots=True, eq=False)
class _Wait:
    """One GET: what it asks for (exactly one of the two), when it goes home, and where its answer goes."""

    token: str | None
    record_id: str | None
    until: float
    answer: asyncio.Future[Outcome | None]

    def found_in(self, found: Found) -> Outcome | None:
        return found.tokens.get(self.token) if self.token is not None else found.records.get(self.record_id or "")


class OutcomeWatcher:
    """Answers "what became of it", at once or when a final outcome is stored, whichever the caller asked for."""

    def __init__(
        self,
        read: Read,
        *,
        poll_seconds: float,
        max_waiters: int,
        reads: Counter,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._reads = reads
        self._poll_seconds = poll_seconds
        self._max_waiters = max_waiters
        self._clock = clock
        self._waits: set[_Wait] = set()
        self._fresh: list[_Wait] = []
        self._news = asyncio.Event()
        self._closing = False
        self._ended = False

    async def run(self) -> None:
        """Ask for fresh waits at once and for all every `poll_seconds`; runs until cancelled, and leaves none behind."""
        next_poll = self._clock()
        try:
            while True:
                await self._sleep_until(next_poll)
                self._news.clear()
                batch = self._fresh
                if self._clock() >= next_poll:
                    batch, next_poll = list(self._waits), self._clock() + self._poll_seconds
                self._fresh = []
                await self._answer([wait for wait in batch if not wait.answer.done()])
        finally:
            self._ended = True
            for wait in self._waits:
                _set_error(wait, DatabaseUnavailableError("The server is stopping."))

    def close(self) -> None:
        """Let every waiting GET go home with what is known at the next question, so that a stop waits for nobody."""
        self._closing = True
        for wait in self._waits:
            wait.until = 0
        self._news.set()

    async def latest_of_token(self, token: str, *, wait_seconds: float) -> Outcome | None:
        """Return the token's latest outcome, waiting up to `wait_seconds` for a final one; None: nothing is stored."""
        return await self._ask(token, None, wait_seconds)

    async def of_record(self, record_id: str, *, wait_seconds: float) -> Outcome | None:
        """Return the record's outcome, waiting up to `wait_seconds` for a final one; None: nothing is stored."""
        return await self._ask(None, record_id, wait_seconds)

    @property
    def waiting(self) -> int:
        """How many GETs are waiting now."""
        return len(self._waits)

    async def _ask(self, token: str | None, record_id: str | None, wait_seconds: float) -> Outcome | None:
        if self._ended:
            raise DatabaseUnavailableError("The server is stopping.")
        if len(self._waits) >= self._max_waiters:
            raise TooManyWaitersError(f"{len(self._waits)} requests wait already. Ask again in a moment.")
        until = 0 if self._closing else self._clock() + wait_seconds
        wait = _Wait(token, record_id, until, asyncio.get_running_loop().create_future())
        self._waits.add(wait)
        self._fresh.append(wait)
        self._news.set()
        try:
            # The bound is the watcher's: it answers at `until`, and answers all when it ends.
            return await wait.answer
        finally:
            self._waits.discard(wait)

    async def _sleep_until(self, next_poll: float) -> None:
        """Return when a fresh wait comes in, or at `next_poll` if anybody waits."""
        if not self._waits:
            await self._news.wait()
        try:
            async with asyncio.timeout(max(0.0, next_poll - self._clock())):
                await self._news.wait()
        except TimeoutError:
            return

    async def _answer(self, batch: list[_Wait]) -> None:
        """Ask one question for the whole batch and answer those that have a final outcome or whose time is over."""
        if not batch:
            return
        tokens = {wait.token for wait in batch if wait.token is not None}
        record_ids = {wait.record_id for wait in batch if wait.record_id is not None}
        try:
            found = await self._read(tokens, record_ids)
        except DatabaseUnavailableError as error:
            self._reads.labels("failed").inc()
            for wait in batch:
                _set_error(wait, error)
            return
        self._reads.labels("answered").inc()
        now = self._clock()
        for wait in batch:
            outcome = wait.found_in(found)
            over = now >= wait.until
            if (over or (outcome is not None and outcome.is_final)) and not wait.answer.done():
                wait.answer.set_result(outcome)


def _set_error(wait: _Wait, error: DatabaseUnavailableError) -> None:
    if not wait.answer.done():
        # An exception object of its own for each waiter: raising adds to its traceback.
        wait.answer.set_exception(type(error)(error.detail))
