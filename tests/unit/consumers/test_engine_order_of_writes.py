"""Invariant 1: the row committed, then settle, then the offset; copies of one record never run side by side."""

import asyncio

import pytest
from asyncpg.pgproto.pgproto import UUID

from consumers.engine.intake import derived_id
from consumers.engine.record import DeadLettered, ErrorKind, Succeeded
from consumers.engine.verdict import StoredRow
from consumers.errors import UnstorableError
from tests.support.engine_fakes import StoredOutcome
from tests.support.engine_world import P0, P1, SECONDS, World, running_world, turn_loop

ID = UUID("11111111-1111-7111-8111-111111111111")


def _derived(world: World, offset: int) -> UUID:
    """Id that the record at this offset of partition 0 gets from its coordinates."""
    window = world.engine.state.windows[P0]
    return derived_id(world.engine._pump._intake(world.source.log[P0][offset], window))


async def test_nothing_is_committed_before_its_row_is() -> None:
    """An answer that is here but not saved holds the offset; once saved, the offset moves past it."""
    async with running_world() as world:
        world.store.saving.clear()
        world.source.append("a")
        await world.until(calls=1, persisting=1, calling=0)
        assert await world.committed() == {}
        world.store.saving.set()
        await world.until(rows=1, unsettled=0)
        assert await world.committed() == {P0: 1}
        world.sound()


async def test_an_offset_that_did_not_move_is_not_committed_again() -> None:
    """An idle worker sends no commits."""
    async with running_world() as world:
        world.source.append("a")
        await world.until(rows=1, unsettled=0)
        await world.committed()
        before = len(world.source.commits)
        for _ in range(3):
            assert await world.committed() == {P0: 1}
        assert len(world.source.commits) == before


async def test_an_offset_never_passes_a_record_that_is_not_settled() -> None:
    """With the first of three held, the other two are stored and the offset stays at the first."""
    async with running_world() as world:
        world.provider.held = {"a"}
        for token in "abc":
            world.source.append(token)
        await world.until(rows=2, calling=1)
        assert await world.committed() == {}
        world.provider.release()
        await world.until(rows=3, unsettled=0)
        assert await world.committed() == {P0: 3}


async def test_a_save_whose_answer_was_lost_is_written_again_and_settles_once() -> None:
    """The connection ends after the commit: the same rows are written again, which changes nothing."""
    async with running_world() as world:
        world.store.lying = True
        world.source.append("a")
        await world.until(rows=1, unsettled=0)
        assert (world.store.saves, world.provider.calls) == ([1, 1], ["a"])
        assert await world.committed() == {P0: 1}
        world.sound()


async def test_a_copy_with_the_same_id_is_not_called_and_settles_with_the_claimed_one() -> None:
    """While the first copy is in its call, then unsaved, the second holds its own offset; one save settles both."""
    async with running_world() as world:
        world.provider.held = {"a"}
        world.store.saving.clear()
        world.source.append("a", record_id=ID)
        world.source.append("a", record_id=ID, partition=P1)
        await world.until(calls=1, calling=1, ready=0, unsettled=2)
        world.provider.release()
        await world.until(persisting=1, calling=0, unsettled=2)
        assert not any((await world.committed()).values())
        world.store.saving.set()
        await world.until(rows=1, unsettled=0)
        assert await world.committed() == {P0: 1, P1: 1}
        assert world.provider.calls == ["a"]
        world.sound()


async def test_a_newer_copy_waits_and_is_checked_again() -> None:
    """A copy that claims a later redrive waits for the first; the stored row then says that there is nothing to call."""
    async with running_world() as world:
        world.provider.held = {"a"}
        world.source.append("a", record_id=ID)
        await world.until(calling=1)
        world.source.append("a", record_id=ID, redrive_count="3")
        await world.until(unsettled=2, ready=0)
        world.provider.release()
        await world.until(rows=1, unsettled=0)
        assert world.provider.calls == ["a"]
        assert await world.committed() == {P0: 2}
        world.sound()


async def test_a_newer_copy_that_the_row_confirms_is_called() -> None:
    """A redrive that the stored row knows of is called again, after the check and not before."""
    async with running_world() as world:
        world.store.rows[ID] = StoredOutcome(StoredRow(ID, "a", "retrying", 0, 2), Succeeded("null"))
        world.source.append("a", record_id=ID, redrive_count="7")
        await world.until(calls=1, unsettled=0)
        assert world.store.rows[ID].row == StoredRow(ID, "a", "succeeded", 1, 2)


async def test_another_token_under_a_claimed_id_gets_the_id_of_its_coordinates() -> None:
    """Two tokens under one id are two records: both are called, both are stored."""
    async with running_world() as world:
        world.provider.held = {"a"}
        world.source.append("a", record_id=ID)
        world.source.append("b", record_id=ID)
        await world.until(calls=2, rows=1)
        assert set(world.store.rows) == {_derived(world, 1)}
        world.provider.release()
        await world.until(rows=2, unsettled=0)
        assert await world.committed() == {P0: 2}
        world.sound()


async def test_another_token_under_a_stored_id_gets_the_id_of_its_coordinates() -> None:
    """The stored row of another token is left alone; the record and its copy are called once."""
    async with running_world() as world:
        world.store.rows[ID] = StoredOutcome(StoredRow(ID, "other", "succeeded", 1, 0), Succeeded("null"))
        world.source.append("b", record_id=ID)
        await world.until(rows=2, unsettled=0)
        assert world.store.rows[ID].row.token == "other"
        assert world.store.result("b") == Succeeded('"b"')
        world.sound()


async def test_a_stored_record_is_not_called_again_because_another_token_came_with_its_id() -> None:
    """The stranger is polled a moment earlier, in the same batch; who owns the id is in the row, not in the order."""
    async with running_world() as world:
        world.store.rows[ID] = StoredOutcome(StoredRow(ID, "a", "succeeded", 1, 0), Succeeded("null"))
        for token in ("stranger", "a", "a", "stranger"):
            world.source.append(token, record_id=ID)
        await world.until(rows=3, unsettled=0)
        assert world.provider.calls == ["stranger", "stranger"]
        assert await world.committed() == {P0: 4}
        world.sound()


async def test_a_derived_id_that_another_token_holds_stops_nothing() -> None:
    """Somebody sends the id that another record derives from its coordinates: each token has its own row all the same."""
    async with running_world() as world:
        world.provider.held = {"squatter"}
        world.source.append("victim")
        squatted = _derived(world, 0)
        await world.revoked()
        world.source.log[P0].clear()
        world.source.append("squatter", record_id=squatted, partition=P1)
        await world.assigned(P0, P1)
        await world.until(calling=1)
        world.source.append("victim")
        await world.until(rows=1, unsettled=1)
        world.provider.release()
        await world.until(rows=2, unsettled=0)
        assert world.store.result("victim") == Succeeded('"victim"')
        world.sound()


async def test_a_derived_id_that_another_token_has_a_row_under_stops_nothing() -> None:
    """The same, with the other token stored: the record ends, and the check does not go round for ever."""
    async with running_world() as world:
        await world.revoked()
        world.source.append("victim")
        await world.engine.on_partitions_assigned([P0])
        squatted = _derived(world, 0)
        world.store.rows[squatted] = StoredOutcome(StoredRow(squatted, "squatter", "succeeded", 1, 0), Succeeded("null"))
        world.source.assign([P0])
        await world.until(rows=2, unsettled=0)
        assert world.store.result("victim") == Succeeded('"victim"')
        assert len(world.store.queries) < 5
        world.sound()


@pytest.mark.parametrize("value", [b"\xff", None, b"[1]", b'{"token":[]}', b""])
async def test_a_malformed_record_is_dead_lettered_without_a_call(value: bytes | None) -> None:
    """Rubbish has its row, under the id of its coordinates, and the offset passes it."""
    async with running_world() as world:
        world.source.append(value, record_id=ID)
        await world.until(rows=1, unsettled=0)
        ((key, held),) = world.store.rows.items()
        assert key == _derived(world, 0)
        assert isinstance(held.outcome, DeadLettered)
        assert held.outcome.kind is ErrorKind.MALFORMED
        assert (world.provider.calls, await world.committed()) == ([], {P0: 1})


async def test_one_answer_that_cannot_be_stored_takes_no_other_with_it() -> None:
    """Invariant 13: the batch is halved until the offender stands alone; it is dead-lettered, the others are written."""
    async with running_world(slots=50) as world:
        world.store.saving.clear()
        world.store.unstorable = {"t13": UnstorableError("Postgres refuses it: \\u0000")}
        for number in range(40):
            world.source.append(f"t{number}")
        await world.until(calls=40, persisting=40)
        await turn_loop()
        world.store.saving.set()
        await world.until(rows=40, unsettled=0)
        assert world.store.result("t13") == DeadLettered(ErrorKind.UNSTORABLE, "Postgres refuses it: \\u0000")
        assert world.store.result("t12") == Succeeded('"t12"')
        world.sound()


async def test_an_error_of_the_store_that_nobody_foresaw_ends_the_engine() -> None:
    """Crash-only: what the sink does not know is not survived, and nothing is settled by it."""
    async with running_world() as world:
        world.store.refused = LookupError("a bug")
        world.source.append("a")
        await world.until(calls=1)
        await world.engine.failed()
        assert isinstance(world.engine.failure.result(), ExceptionGroup)
        assert not any((await world.committed()).values())


async def test_a_dead_letter_that_cannot_be_stored_ends_the_engine() -> None:
    """Nothing of the provider's is left in it, so it is a bug of ours: the offset must not pass a record without its row."""
    async with running_world() as world:
        world.store.refused = UnstorableError("whatever it is")
        world.source.append("a")
        async with asyncio.timeout(SECONDS):
            await world.engine.failed()
        assert not any((await world.committed()).values())
        assert world.store.rows == {}
