"""Invariant 10: everything awaited has a deadline; and what happens at it."""

import asyncio

import pytest
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaConnectionError

from consumers.engine import committer, lanes
from consumers.engine.committer import CommitResult
from consumers.metrics import COMMITS
from tests.support.engine_world import P0, SECONDS, World, running_world, turn_loop
from tests.support.waiting import eventually

QUICK_SECONDS = 0.05


@pytest.fixture
def quick_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit deadline that a test can wait for."""
    monkeypatch.setattr(committer, "COMMIT_DEADLINE_SECONDS", QUICK_SECONDS)


def _assert_committed(world: World, offset: int) -> None:
    assert world.moved == {P0: offset}


async def _stop(world: World) -> None:
    async with asyncio.timeout(SECONDS):
        await world.engine.stop()


async def test_a_commit_that_hangs_ends_at_its_deadline_and_the_next_one_wins(quick_commits: None) -> None:
    """With the broker away the offset does not move and work goes on; back again, the next commit has it all."""
    async with running_world() as world:
        world.source.commit_hangs = True
        world.source.append("a")
        await world.until(rows=1, unsettled=0)
        assert await world.engine._committer.commit() is CommitResult.UNANSWERED
        world.source.append("b")
        await world.until(rows=2, unsettled=0)
        world.source.commit_hangs = False
        await eventually(lambda: _assert_committed(world, 2), timeout_seconds=SECONDS)
        world.sound()


@pytest.mark.parametrize(
    ("error", "result"),
    [(CommitFailedError(), "fenced"), (IllegalStateError(), "fenced"), (KafkaConnectionError(), "unanswered")],
)
async def test_a_refused_commit_is_no_failure(error: Exception, result: str) -> None:
    """Fenced or unanswered, and counted as that: the offset follows later."""
    refused = COMMITS.labels(result)
    before = refused._value.get()
    async with running_world() as world:
        world.source.commit_error = error
        world.source.append("a")
        await world.until(rows=1, unsettled=0)
        assert (await world.engine._committer.commit()).name == result.upper()
        assert refused._value.get() > before
        world.source.commit_error = None
        assert await world.committed() == {P0: 1}
        world.sound()


async def test_an_error_of_a_commit_that_nobody_foresaw_ends_the_engine() -> None:
    """Crash-only."""
    async with running_world() as world:
        world.source.commit_error = LookupError("a bug")
        world.source.append("a")
        async with asyncio.timeout(SECONDS):
            await world.engine.failed()
        assert isinstance(world.engine.failure.result(), LookupError)


async def test_a_commit_that_hangs_does_not_hold_a_revoke_longer_than_its_deadline(quick_commits: None) -> None:
    """The drain goes on without the commit; the rows are there, so the next owner skips them."""
    async with running_world() as world:
        world.source.commit_hangs = True
        world.source.append("a")
        await world.until(rows=1, unsettled=0)
        await world.revoked()
        world.source.commit_hangs = False
        await world.assigned(P0)
        await world.until(unsettled=0, ready=0)
        assert world.provider.calls == ["a"]
        world.sound()


async def test_a_flush_that_hangs_ends_with_the_drain_limit() -> None:
    """The answer stays in the sink, the revoke returns, and the answer is saved later."""
    async with running_world(drain_seconds=QUICK_SECONDS) as world:
        world.store.saving.clear()
        world.source.append("a")
        await world.until(persisting=1)
        await world.revoked()
        assert len(world.engine.state.windows) == 0
        assert not any(world.source.committed.values())
        world.store.saving.set()
        await world.until(rows=1, persisting=0, unsettled=0)
        world.sound()


async def test_a_call_that_outlasts_the_drain_limit_is_cut_off_and_called_again() -> None:
    """Its record is given back, its slot is free, the revoke ends; the next owner calls it."""
    async with running_world(drain_seconds=QUICK_SECONDS) as world:
        world.provider.held = {"slow"}
        world.source.append("slow")
        world.source.append("quick")
        await world.until(rows=1, calling=1)
        await world.revoked()
        world.sound()
        assert not any(world.source.committed.values())
        world.provider.held.clear()
        await world.assigned(P0)
        await world.until(rows=2, unsettled=0)
        assert world.provider.calls == ["slow", "quick", "slow"]
        assert await world.committed() == {P0: 2}


async def test_a_call_that_ignores_its_cancellation_ends_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its slot never comes back, so the process must end: the revoke returns, and `failure` says why."""
    monkeypatch.setattr(lanes, "CUT_OFF_SECONDS", QUICK_SECONDS)
    async with running_world(drain_seconds=QUICK_SECONDS) as world:
        world.provider.held, world.provider.deaf = {"deaf"}, True
        world.source.append("deaf")
        await world.until(calling=1)
        await world.revoked()
        assert isinstance(world.engine.failure.result(), TimeoutError)
        await _stop(world)
        world.provider.release()
        await turn_loop()


async def test_stop_with_the_database_hanging_returns_within_the_drain_limit() -> None:
    """Nothing answers: neither the check nor the save. Stop gives up on both, raises nothing, and leaves no task behind."""
    async with running_world(drain_seconds=QUICK_SECONDS) as world:
        world.source.append("a")
        world.store.saving.clear()
        await world.until(persisting=1)
        world.store.reading.clear()
        world.source.append("b")
        await world.until(ready=1)
        before = asyncio.all_tasks()
        await _stop(world)
        assert len(asyncio.all_tasks()) < len(before)
        assert asyncio.all_tasks() == {asyncio.current_task()}
