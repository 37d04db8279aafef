"""Invariants 5 and 7: what is stored is skipped without a call; settled is a fact about the database."""

from consumers.engine.record import Succeeded
from consumers.engine.verdict import StoredRow
from tests.support.engine_fakes import StoredOutcome
from tests.support.engine_world import P0, P1, SECONDS, World, running_world, turn_loop
from tests.support.records import make_id
from tests.support.waiting import eventually


def _assert_committed(world: World, offset: int) -> None:
    assert world.moved == {P0: offset}


async def test_stored_records_are_skipped_without_a_call() -> None:
    """A rewind to the beginning of a partition calls nothing and moves the offset to the end again."""
    async with running_world(slots=50) as world:
        for number in range(20):
            world.source.append(f"t{number}", record_id=make_id(number))
        await world.until(rows=20, unsettled=0)
        world.source.committed.clear()
        await world.rebalanced(P0)
        await eventually(lambda: _assert_committed(world, 20), timeout_seconds=SECONDS)
        assert len(world.provider.calls) == 20
        world.sound()


async def test_skipped_records_free_the_copies_that_hang_on_them() -> None:
    """Two copies of a stored record in one poll: one is claimed, one follows, both are passed."""
    async with running_world() as world:
        world.store.rows[make_id(0)] = StoredOutcome(StoredRow(make_id(0), "a", "succeeded", 1, 0), Succeeded("1"))
        world.source.append("a", record_id=make_id(0))
        world.source.append("a", record_id=make_id(0))
        world.source.append("a", record_id=make_id(0), redrive_count="2")
        world.source.append("b")
        await world.until(rows=2, unsettled=0)
        assert (world.provider.calls, await world.committed()) == (["b"], {P0: 4})
        world.sound()


async def test_nothing_is_called_while_its_check_has_no_answer() -> None:
    """A hanging query holds its own batch back, and nothing is called on a guess."""
    async with running_world() as world:
        world.store.reading.clear()
        world.source.append("a")
        await world.until(ready=1)
        await turn_loop()
        assert world.provider.calls == []
        world.store.reading.set()
        await world.until(rows=1, unsettled=0)


async def test_a_check_that_ends_after_a_revoke_calls_nothing() -> None:
    """The query ends when its partition is gone, although it never heard that it was cancelled."""
    async with running_world() as world:
        world.store.reading.clear()
        world.store.deaf = True
        world.source.append("a")
        await world.until(ready=1)
        await world.revoked()
        world.sound()
        world.store.reading.set()
        await turn_loop()
        assert world.provider.calls == []
        world.sound()
        await world.assigned(P0, P1)
        await world.until(rows=1, unsettled=0)
        assert world.provider.calls == ["a"]


async def test_a_late_save_after_a_revoke_settles_nothing_of_the_next_assignment() -> None:
    """The row is written after the windows were closed: the new window still holds its own copy until that is settled."""
    async with running_world(drain_seconds=0.1) as world:
        world.store.saving.clear()
        world.source.append("a", record_id=make_id(0))
        await world.until(persisting=1)
        await world.revoked()
        world.store.saving.set()
        await world.until(rows=1, persisting=0, unsettled=0)
        assert not any((await world.committed()).values())
        await world.assigned(P0)
        await world.until(unsettled=0, ready=0)
        world.source.append("b")
        await world.until(rows=2, unsettled=0)
        assert (world.provider.calls, await world.committed()) == (["a", "b"], {P0: 2})
        world.sound()


async def test_an_assignment_commits_anew_what_another_member_may_have_moved() -> None:
    """The group's offset went back while the partition was elsewhere: what was committed before says nothing about it."""
    async with running_world() as world:
        world.source.append("a")
        await eventually(lambda: _assert_committed(world, 1), timeout_seconds=SECONDS)
        await world.revoked()
        world.source.committed.clear()
        await world.assigned(P0)
        await eventually(lambda: _assert_committed(world, 1), timeout_seconds=SECONDS)
        assert world.provider.calls == ["a"]
