import asyncio
from collections.abc import AsyncIterator, Awaitable, Collection
from contextlib import asynccontextmanager
from typing import TypeVar

import pytest
from prometheus_client import CollectorRegistry, Counter

from producer_api.outcomes import Found, Outcome
from producer_api.problems import DatabaseUnavailableError, TooManyWaitersError
from producer_api.watcher import OutcomeWatcher
from tests.support.outcomes import outcome
from tests.support.waiting import eventually

POLL_SECONDS = 0.01
SOON = 5.0
Answer = TypeVar("Answer")
Question = tuple[set[str], set[str]]
"""The tokens and the record ids that one read asked for."""


class Database:
    """Answers from memory and remembers what it was asked; `away` makes it fail."""

    def __init__(self) -> None:
        self.tokens: dict[str, Outcome] = {}
        self.records: dict[str, Outcome] = {}
        self.questions: list[Question] = []
        self.away = False

    async def read(self, tokens: Collection[str], record_ids: Collection[str]) -> Found:
        """Answer one question."""
        self.questions.append((set(tokens), set(record_ids)))
        if self.away:
            raise DatabaseUnavailableError("away")
        return Found(
            {token: self.tokens[token] for token in tokens if token in self.tokens},
            {record_id: self.records[record_id] for record_id in record_ids if record_id in self.records},
        )


@asynccontextmanager
async def watching(database: Database, *, max_waiters: int = 1000) -> AsyncIterator[OutcomeWatcher]:
    """Run a watcher over the database until the block ends."""
    reads = Counter("reads", "Reads.", ["result"], registry=CollectorRegistry())
    watcher = OutcomeWatcher(database.read, poll_seconds=POLL_SECONDS, max_waiters=max_waiters, reads=reads)
    task = asyncio.create_task(watcher.run())
    try:
        yield watcher
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=SOON)


async def soon(awaitable: Awaitable[Answer]) -> Answer:
    """Await what must not take long."""
    async with asyncio.timeout(SOON):
        return await awaitable


async def test_what_is_stored_is_answered_by_the_first_question() -> None:
    """No wait where the outcome is final already, for tokens and for records."""
    database = Database()
    database.tokens["a"] = database.records["r"] = outcome()
    async with watching(database) as watcher:
        assert await soon(watcher.latest_of_token("a", wait_seconds=60)) is database.tokens["a"]
        assert await soon(watcher.of_record("r", wait_seconds=60)) is database.records["r"]
    assert database.questions[0] == ({"a"}, set())


async def test_without_a_wait_the_absence_is_answered_at_once() -> None:
    """wait_seconds=0 asks once."""
    database = Database()
    async with watching(database) as watcher:
        assert await soon(watcher.latest_of_token("a", wait_seconds=0)) is None
    assert len(database.questions) == 1


async def test_a_wait_ends_with_the_final_outcome() -> None:
    """`retrying` does not end a wait; the outcome after it does."""
    database = Database()
    database.tokens["a"] = outcome(outcome="retrying", result=None)
    async with watching(database) as watcher:
        answer = asyncio.create_task(watcher.latest_of_token("a", wait_seconds=60))
        await eventually(lambda: _at_least(database.questions, 3), timeout_seconds=SOON)
        assert not answer.done()
        database.tokens["a"] = outcome(outcome="dead_lettered", result=None)
        assert await soon(answer) is database.tokens["a"]


async def test_when_the_time_is_over_the_latest_outcome_is_answered() -> None:
    """A record that is still retrying is told as such."""
    database = Database()
    database.tokens["a"] = outcome(outcome="retrying", result=None)
    async with watching(database) as watcher:
        assert await soon(watcher.latest_of_token("a", wait_seconds=POLL_SECONDS)) is database.tokens["a"]


async def test_all_that_is_awaited_is_asked_together() -> None:
    """A thousand waiting GETs are one question per poll."""
    database = Database()
    names = {f"t{n}" for n in range(1000)}
    async with watching(database) as watcher:
        answers = [asyncio.create_task(watcher.latest_of_token(name, wait_seconds=60)) for name in names]
        await eventually(lambda: _asked(database.questions, names), timeout_seconds=SOON)
        before = len(database.questions)
        database.tokens = dict.fromkeys(names, outcome())
        await soon(asyncio.gather(*answers))
        assert len(database.questions) - before <= 2
        assert watcher.waiting == 0


async def test_more_waiters_than_the_bound_are_refused() -> None:
    """The bound counts the waiting ones, and one that went home makes room."""
    database = Database()
    async with watching(database, max_waiters=1) as watcher:
        first = asyncio.create_task(watcher.latest_of_token("a", wait_seconds=60))
        await eventually(lambda: _at_least(database.questions, 1), timeout_seconds=SOON)
        with pytest.raises(TooManyWaitersError):
            await soon(watcher.latest_of_token("b", wait_seconds=60))
        first.cancel()
        await asyncio.wait([first], timeout=SOON)
        assert await soon(watcher.latest_of_token("b", wait_seconds=0)) is None


async def test_a_database_that_is_away_is_told_to_who_asked_and_found_again() -> None:
    """The watcher itself survives the outage."""
    database = Database()
    database.away = True
    async with watching(database) as watcher:
        with pytest.raises(DatabaseUnavailableError):
            await soon(watcher.latest_of_token("a", wait_seconds=60))
        database.away = False
        assert await soon(watcher.latest_of_token("a", wait_seconds=0)) is None


async def test_a_closing_server_lets_the_waiting_go_home() -> None:
    """A stop does not wait out the long polls."""
    database = Database()
    async with watching(database) as watcher:
        answer = asyncio.create_task(watcher.latest_of_token("a", wait_seconds=60))
        await eventually(lambda: _at_least(database.questions, 1), timeout_seconds=SOON)
        watcher.close()
        assert await soon(answer) is None


async def test_nobody_waits_for_a_watcher_that_has_ended() -> None:
    """After `run` ended, for whatever reason, waiting and new GETs fail at once."""
    database = Database()
    async with watching(database) as watcher:
        answer = asyncio.create_task(watcher.latest_of_token("a", wait_seconds=60))
        await eventually(lambda: _at_least(database.questions, 1), timeout_seconds=SOON)
    with pytest.raises(DatabaseUnavailableError):
        await soon(answer)
    with pytest.raises(DatabaseUnavailableError):
        await soon(watcher.latest_of_token("a", wait_seconds=0))


async def test_nobody_waiting_means_no_question() -> None:
    """An idle API leaves the database alone."""
    database = Database()
    async with watching(database) as watcher:
        assert await soon(watcher.latest_of_token("a", wait_seconds=0)) is None
        asked = len(database.questions)
        for _ in range(5):
            await asyncio.wait([asyncio.create_task(asyncio.Event().wait())], timeout=POLL_SECONDS)
        assert len(database.questions) == asked


def _at_least(questions: list[Question], count: int) -> None:
    assert len(questions) >= count


def _asked(questions: list[Question], names: set[str]) -> None:
    assert any(names == tokens for tokens, _ in questions)
