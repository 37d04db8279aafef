"""Invariant 8: what a revoke and a stop do; legal in every state, never raising."""

import asyncio

from asyncpg.pgproto.pgproto import UUID

from tests.support.engine_world import P0, P1, SECONDS, World, make_world, running_world, turn_loop
from tests.support.waiting import eventually

ID = UUID("22222222-2222-7222-8222-222222222222")


async def _stop(world: World) -> None:
    async with asyncio.timeout(SECONDS):
        await world.engine.stop()


async def test_a_revoke_gives_back_what_is_ready_and_finishes_what_is_called() -> None:
    """Ten calls run, five records are ready: the ten end in rows and offsets, the five are called by the next owner."""
    async with running_world(slots=10) as world:
        world.provider.hold_all = True
        for number in range(15):
            world.source.append(f"t{number}")
        await world.until(calling=10, ready=5)
        revoke = asyncio.create_task(world.revoked())
        await world.until(ready=0, calling=10)
        assert world.engine.state.draining
        world.provider.release()
        await revoke
        world.sound()
        assert (len(world.store.rows), world.moved, len(world.engine.state.windows)) == (10, {P0: 10}, 0)
        assert len(world.provider.calls) == 10
        await world.assigned(P0)
        await world.until(rows=15, unsettled=0)
        assert len(world.provider.calls) == 15


async def test_a_revoke_between_a_poll_and_the_check_of_its_batch_balances() -> None:
    """The batch's task has not run once when the revoke comes: its records are given back like any other."""
    world = make_world()
    await world.assigned(P0, P1)
    world.source.append("a")
    world.engine._check.submit(world.engine._pump._admit(await world.source.getmany(P0, timeout_ms=1, max_records=1)))
    await world.revoked()
    world.sound()
    assert world.provider.calls == []
    await _stop(world)


async def test_a_newer_copy_that_a_drain_releases_is_given_back() -> None:
    """The claimed record settles during the drain: the copy that waited for it is neither called nor left in the books."""
    async with running_world() as world:
        world.provider.held = {"a"}
        world.source.append("a", record_id=ID)
        world.source.append("a", record_id=ID, redrive_count="1")
        await world.until(calling=1, unsettled=2, ready=0)
        revoke = asyncio.create_task(world.revoked())
        await turn_loop()
        world.provider.release()
        await revoke
        world.sound()
        assert world.moved == {P0: 1}
        await world.assigned(P0)
        await world.until(unsettled=0)
        assert world.provider.calls == ["a"]


async def test_nothing_is_called_twice_over_many_rebalances() -> None:
    """Thirty rebalances in the middle of the work: every token has its row, none was called twice."""
    async with running_world(slots=7) as world:
        for number in range(300):
            world.source.append(f"t{number}", partition=(P0, P1)[number % 2])
        for turn in range(30):
            await turn_loop(turn % 7)
            await world.rebalanced(*((P0, P1), (P0,), (P1,))[turn % 3])
        await world.rebalanced(P0, P1)
        await world.until(rows=300, unsettled=0)
        assert sorted(world.provider.calls) == sorted(f"t{number}" for number in range(300))
        assert await world.committed() == {P0: 150, P1: 150}
        world.sound()


async def test_an_empty_revoke_is_the_first_join_and_an_empty_assignment_is_ready() -> None:
    """More workers than partitions: this one waits with nothing, and stops cleanly."""
    world = make_world()
    await world.engine.on_partitions_revoked(set())
    await world.assigned()
    world.engine.start()
    await turn_loop()
    assert not world.engine.state.draining
    await world.rebalanced(P0)
    world.source.append("a")
    await world.until(rows=1, unsettled=0)
    await _stop(world)
    world.sound()


async def test_stop_before_start() -> None:
    """The process is told to stop while it still waits to join: nothing was polled, nothing is raised."""
    world = make_world()
    await _stop(world)
    world.sound()


async def test_stop_between_join_and_start() -> None:
    """The windows are open, the pump never ran."""
    world = make_world()
    await world.assigned(P0)
    await _stop(world)
    world.sound()


async def test_an_assignment_after_stop_opens_nothing() -> None:
    """The join ends when the engine has stopped: no window is opened that nobody would drain."""
    world = make_world()
    await _stop(world)
    await world.assigned(P0)
    world.source.append("a")
    await turn_loop()
    assert (len(world.engine.state.windows), world.engine.state.draining, world.source.polls) == (0, True, [])


async def test_stop_twice_is_stop_once() -> None:
    """A second stop returns at once; two at the same time drain once."""
    async with running_world() as world:
        world.source.append("a")
        await world.until(rows=1)
        await asyncio.gather(_stop(world), _stop(world))
        await _stop(world)
        assert world.moved == {P0: 1}
        world.sound()


async def test_stop_finishes_the_calls_and_commits_them() -> None:
    """Three calls run: their answers are stored and their offsets committed before stop returns."""
    async with running_world(slots=3) as world:
        world.provider.hold_all = True
        for token in "abcdef":
            world.source.append(token)
        await world.until(calling=3, ready=1)
        stop = asyncio.create_task(_stop(world))
        await turn_loop()
        world.provider.release()
        await stop
        assert (len(world.store.rows), world.moved, world.provider.calls) == (3, {P0: 3}, ["a", "b", "c"])
        world.sound()


async def test_stop_while_a_revoke_drains() -> None:
    """Both wait for the same calls, and both end."""
    async with running_world() as world:
        world.provider.held = {"a"}
        world.source.append("a")
        await world.until(calling=1)
        revoke = asyncio.create_task(world.revoked())
        await turn_loop()
        stop = asyncio.create_task(_stop(world))
        await turn_loop()
        world.provider.release()
        await asyncio.gather(revoke, stop)
        assert (len(world.store.rows), world.moved) == (1, {P0: 1})
        world.sound()


async def test_stop_while_the_pump_waits_in_a_rebalance() -> None:
    """A poll that waits for the end of a rebalance is ended by stop."""
    async with running_world() as world:
        await world.revoked()
        await turn_loop()
        await _stop(world)
        world.sound()


async def test_a_drain_waits_for_every_statement_that_is_under_way() -> None:
    """One flusher hangs with the first answer, the other writes the second: the revoke waits for both."""
    async with running_world() as world:
        world.store.slow = {"a"}
        world.source.append("a")
        await world.until(persisting=1)
        await eventually(lambda: _assert_saves(world, 1), timeout_seconds=SECONDS)
        world.source.append("b")
        await world.until(rows=1, persisting=1)
        revoke = asyncio.create_task(world.revoked())
        await turn_loop()
        assert not revoke.done()
        world.store.quick.set()
        await revoke
        assert (len(world.store.rows), world.moved) == (2, {P0: 2})
        world.sound()


def _assert_saves(world: World, statements: int) -> None:
    assert len(world.store.saves) == statements
