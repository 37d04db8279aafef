"""With Postgres down, unsaved answers stay, across rebalances too, and are written later; nothing is called twice."""

from tests.support.engine_world import P0, P1, running_world, turn_loop
from tests.support.records import make_id


async def test_answers_survive_a_rebalance_with_the_database_away() -> None:
    """Five answers, no database, a whole rebalance: the redelivered copies wait for the answers that are here already."""
    async with running_world(drain_seconds=0.1) as world:
        world.provider.hold_all = True
        for number in range(5):
            world.source.append(f"t{number}", record_id=make_id(number + 1))
        await world.until(calling=5)
        world.store.away = True
        world.provider.release()
        await world.until(persisting=5, calling=0)
        await world.revoked()
        assert not any(world.source.committed.values())
        await world.assigned(P0, P1)
        await world.until(unsettled=10, persisting=5, ready=0)
        world.store.away = False
        await world.until(rows=5, unsettled=0)
        assert len(world.provider.calls) == 5
        assert await world.committed() == {P0: 5}
        world.sound()


async def test_answers_survive_many_rebalances_with_the_database_away() -> None:
    """Each rebalance brings the copies again; the books end at nothing all the same, and nothing is called twice."""
    async with running_world(drain_seconds=0.02) as world:
        world.provider.hold_all = True
        for number in range(5):
            world.source.append(f"t{number}")
        await world.until(calling=5)
        world.store.away = True
        world.provider.release()
        await world.until(persisting=5, calling=0)
        for _ in range(3):
            await world.rebalanced(P0)
            await world.until(ready=0)
            await turn_loop()
        world.store.away = False
        await world.until(rows=5, unsettled=0)
        assert len(world.provider.calls) == 5
        assert await world.committed() == {P0: 5}
        world.sound()


async def test_new_records_wait_for_the_database_and_are_called_when_it_is_back() -> None:
    """What cannot be checked is not called; the offset does not move; all of it ends when the database is back."""
    async with running_world() as world:
        world.store.away = True
        for number in range(8):
            world.source.append(f"t{number}")
        await world.until(ready=5)
        await turn_loop()
        assert world.provider.calls == []
        assert not any((await world.committed()).values())
        world.store.away = False
        await world.until(rows=8, unsettled=0)
        assert await world.committed() == {P0: 8}
        world.sound()


async def test_a_newer_copy_is_checked_again_after_an_outage_across_a_rebalance() -> None:
    """The copy that waited was given back with its partition; the one that came again is judged by the saved row."""
    async with running_world(drain_seconds=0.05) as world:
        one = make_id(7)
        world.provider.hold_all = True
        world.source.append("a", record_id=one)
        world.source.append("a", record_id=one, redrive_count="2")
        await world.until(calling=1, unsettled=2, ready=0)
        world.store.away = True
        world.provider.release()
        await world.until(persisting=1)
        await world.rebalanced(P0)
        await world.until(ready=0, unsettled=4)
        world.store.away = False
        await world.until(rows=1, unsettled=0)
        assert (world.provider.calls, await world.committed()) == (["a"], {P0: 2})
        world.sound()


async def test_stop_with_the_database_away_gives_up_after_the_drain_limit() -> None:
    """Stop never raises and never commits what is not stored; the next owner calls it again."""
    async with running_world(drain_seconds=0.05) as world:
        world.provider.hold_all = True
        world.source.append("a")
        await world.until(calling=1)
        world.store.away = True
        world.provider.release()
        await world.until(persisting=1)
        await world.engine.stop()
        assert not any(world.source.committed.values())
        assert not world.engine.failure.done()
