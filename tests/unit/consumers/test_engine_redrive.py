"""Records that were sent again from the dead letters: the row says so, the header alone does not."""

from aiokafka.structs import TopicPartition

from consumers.engine.record import DeadLettered, ErrorKind
from consumers.engine.verdict import StoredRow
from consumers.errors import TransientError
from tests.support.engine_fakes import RETRY_TOPIC, StoredOutcome
from tests.support.engine_world import P0, SECONDS, World, running_world
from tests.support.records import make_id
from tests.support.waiting import eventually

R0 = TopicPartition(RETRY_TOPIC, 0)


def _redriven(world: World, token: str | None, *, redrive_count: int = 1) -> None:
    """Store what a redrive leaves behind: a row that is `retrying`, of the next redrive, with no attempt made."""
    row = StoredRow(make_id(0), token, "retrying", 0, redrive_count)
    world.store.rows[make_id(0)] = StoredOutcome(row, DeadLettered(ErrorKind.MALFORMED, "before"))


async def _becomes(world: World, outcome: str, attempt: int, redrive_count: int) -> None:
    def it_is() -> None:
        row = world.store.rows[make_id(0)].row
        assert (row.outcome, row.attempt, row.redrive_count) == (outcome, attempt, redrive_count)

    await eventually(it_is, timeout_seconds=SECONDS)
    await world.until(unsettled=0)
    world.sound()


async def test_a_redriven_malformed_record_fails_again_under_its_own_id() -> None:
    """Its row becomes a dead letter again, of that redrive; a second copy adds nothing."""
    async with running_world() as world:
        _redriven(world, None)
        world.source.append("[1]", record_id=make_id(0), redrive_count="1")
        world.source.append("[1]", record_id=make_id(0), redrive_count="1")
        await _becomes(world, "dead_lettered", 0, 1)
        assert len(world.store.rows) == len(world.dead_letters.produced) == 1


async def test_a_malformed_record_that_names_an_id_of_its_own_gets_the_derived_one() -> None:
    """No row, no redrive: the id of a header is not believed, and the record that may have it is not touched."""
    async with running_world() as world:
        world.source.append("[1]", record_id=make_id(0), redrive_count="1")
        await world.until(rows=1, unsettled=0)
        (stored,) = world.store.rows.values()
        assert stored.row.record_id != make_id(0)
        assert (stored.row.outcome, stored.row.redrive_count) == ("dead_lettered", 0)
        world.sound()


async def test_a_retry_copy_carries_the_redrive_on() -> None:
    """Attempt 1 of the redrive fails, attempt 2 too: the same row, a dead letter of that redrive."""
    async with running_world(max_retries=1) as world:
        await world.rebalanced(P0, R0)
        _redriven(world, "a")
        world.provider.errors["a"] = TransientError("no")
        world.source.append("a", record_id=make_id(0), redrive_count="1")
        await _becomes(world, "dead_lettered", 2, 1)
        (copy,) = world.source.log[R0]
        assert dict(copy.headers)["redrive-count"] == b"1"
