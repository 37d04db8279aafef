"""Invariant 1 for dead letters: the produce acknowledged, then the row, then settle, then the offset."""

from consumers.engine.record import DeadLettered, ErrorKind, Settled, Succeeded
from consumers.errors import RejectedError, UnstorableError
from tests.support.engine_world import P0, running_world
from tests.support.records import make_id, make_record


async def test_a_dead_letter_has_no_row_before_its_produce_is_acknowledged() -> None:
    """With Kafka deaf to produces nothing of it is durable, and the offset stands before it."""
    async with running_world() as world:
        world.provider.errors["bad"] = RejectedError("HTTP 404: none")
        world.dead_letters.open.clear()
        world.source.append("bad")
        world.source.append("good")

        await world.until(calls=2, rows=1, persisting=1)
        assert await world.committed() == {}
        world.dead_letters.open.set()
        await world.until(rows=2, persisting=0)

        assert [one.record.token for one in world.dead_letters.produced] == ["bad"]
        assert await world.committed() == {P0: 2}
        world.sound()


async def test_the_answers_of_others_do_not_wait_for_a_dead_letter() -> None:
    """Kafka away costs the successes nothing: a hundred rows are written beside one that waits."""
    async with running_world() as world:
        world.provider.errors["bad"] = RejectedError("no")
        world.dead_letters.open.clear()
        world.source.append("bad")
        for number in range(100):
            world.source.append(f"t{number}")

        await world.until(rows=100, persisting=1)

        world.dead_letters.open.set()
        await world.until(rows=101)
        world.sound()


async def test_a_dead_letter_that_waits_across_a_rebalance_is_produced_once_and_called_once() -> None:
    """Its claim stays: the copy that is delivered again settles with it."""
    async with running_world(drain_seconds=0.2) as world:
        world.provider.errors["bad"] = RejectedError("no")
        world.dead_letters.open.clear()
        world.source.append("bad")
        await world.until(calls=1, persisting=1)

        await world.rebalanced(P0)
        await world.until(unsettled=2)
        world.dead_letters.open.set()
        await world.until(rows=1, unsettled=0)

        assert world.provider.calls == ["bad"]
        assert len(world.dead_letters.produced) == 1
        assert await world.committed() == {P0: 1}
        world.sound()


async def test_an_answer_that_cannot_be_stored_goes_to_the_topic_before_its_row() -> None:
    """Invariant 13 keeps the order of invariant 1: the row of an unstorable record waits for its produce."""
    async with running_world() as world:
        world.store.unstorable["nul"] = UnstorableError("NUL")
        world.dead_letters.open.clear()
        world.source.append("nul")
        world.source.append("good")
        await world.until(rows=1, persisting=1)

        world.dead_letters.open.set()
        await world.until(rows=2)

        outcome = world.store.result("nul")
        assert isinstance(outcome, DeadLettered)
        assert outcome.kind is ErrorKind.UNSTORABLE
        world.sound()


async def test_an_id_that_another_token_took_after_the_check_leaves_two_rows() -> None:
    """Another worker writes a row under the id while our call runs: ours goes on under the id of its coordinates."""
    async with running_world() as world:
        taken = make_id(7)
        world.provider.held.add("ours")
        world.source.append("ours", record_id=taken)
        world.source.append("ours", record_id=taken)
        await world.until(calls=1)
        await world.store.save([Settled(make_record(record_id=taken, token="theirs"), Succeeded('"theirs"'))])

        world.provider.release("ours")
        await world.until(rows=2, unsettled=0)

        assert world.store.rows[taken].row.token == "theirs"
        assert world.store.result("ours") == Succeeded('"ours"')
        assert world.provider.calls == ["ours"]
        assert await world.committed() == {P0: 2}
        world.sound()


async def test_stop_gives_up_a_dead_letter_that_kafka_does_not_take() -> None:
    """Its offset is not committed: it is read again after the restart."""
    async with running_world(drain_seconds=0.2) as world:
        world.provider.errors["bad"] = RejectedError("no")
        world.dead_letters.open.clear()
        world.source.append("bad")
        await world.until(calls=1, persisting=1)

        await world.engine.stop()

        assert not world.engine.failure.done()
        assert world.source.committed.get(P0, 0) == 0
        assert world.store.rows == {}
