"""Invariant 6: two records of one token in flight in a worker share one call."""

import asyncio

from consumers.errors import RejectedError
from tests.support.engine_world import P0, P1, running_world, turn_loop


async def test_records_of_one_token_share_one_call_and_each_has_its_row() -> None:
    """Three records, two partitions, one call, one slot; the offsets move past all of them."""
    async with running_world(slots=2) as world:
        world.provider.held = {"a"}
        for partition in (P0, P1, P0):
            world.source.append("a", partition=partition)
        world.source.append("b")
        await world.until(rows=1, calling=1, unsettled=3)
        world.provider.release()
        await world.until(rows=4, unsettled=0)
        assert sorted(world.provider.calls) == ["a", "b"]
        assert await world.committed() == {P0: 3, P1: 1}
        world.sound()


async def test_a_shared_call_that_fails_fails_each_of_them() -> None:
    """One refusal, two dead letters, each with its own record."""
    async with running_world() as world:
        world.provider.held = {"a"}
        world.provider.errors["a"] = RejectedError("no")
        world.source.append("a")
        world.source.append("a")
        await world.until(calling=1, ready=0, unsettled=2)
        world.provider.release()
        await world.until(rows=2, unsettled=0)
        assert (world.provider.calls, len(world.dead_letters.produced)) == (["a"], 2)
        world.sound()


async def test_a_token_that_is_called_no_more_is_called_again() -> None:
    """An answer is shared while its call runs, not longer."""
    async with running_world() as world:
        for rows in (1, 2):
            world.source.append("a")
            await world.until(rows=rows, unsettled=0)
        assert world.provider.calls == ["a", "a"]


async def test_records_with_fields_of_their_own_are_called_each() -> None:
    """The fields beside the token are part of what is asked."""
    async with running_world() as world:
        world.provider.hold_all = True
        for country in ("de", "fr"):
            world.source.append(f'{{"token": "a", "country": "{country}"}}')
        world.source.append("a")
        await world.until(calling=3)
        world.provider.release()
        await world.until(rows=3, unsettled=0)
        assert world.provider.calls == ["a", "a", "a"]
        world.sound()


async def test_a_drain_finishes_a_shared_call_for_all_and_a_cut_off_one_for_none() -> None:
    """Who shares a running call costs nothing more, so the drain stores it too; cut off, all are given back."""
    async with running_world(drain_seconds=0.1) as world:
        world.provider.held = {"a"}
        world.source.append("a")
        world.source.append("a")
        await world.until(calling=1, ready=0, unsettled=2)
        revoke = asyncio.create_task(world.revoked())
        await turn_loop()
        world.provider.release()
        await revoke
        assert (len(world.store.rows), world.moved) == (2, {P0: 2})
        await world.assigned(P0)
        world.provider.held = {"b"}
        world.provider._gates.clear()
        world.source.append("b")
        world.source.append("b")
        await world.until(calling=1, ready=0, unsettled=2)
        await world.revoked()
        world.sound()
        assert world.moved == {P0: 2}
        world.provider.release()
