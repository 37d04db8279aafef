"""No dead letter can be produced.

Situation: two workers, hundreds of calls in flight; of ten tokens one is refused by the API, and one fails for ever.
Fault: the DLQ topic refuses every produce (it is compacted, and the records have no key), all else goes on; then it is
healed.
Must hold: while it lasts no offset moves past a record that is to be a dead letter, on the retry topic neither; no row says
so; the other answers are stored; afterwards each is a dead letter with its error, after as many calls as it may have.
"""

from tests.support.topic_faults import produces_refused
from tests.support.world import World

REFUSED = {"pattern": ".*7", "behaviour": {"statuses": {"422": 1}}}
POISON = {"pattern": ".*3", "behaviour": {"statuses": {"500": 1}}}
MAX_RETRIES = 1


async def test_a_dlq_that_takes_nothing_holds_the_offset(world: World) -> None:
    """A record without its dead letter is not settled, and blocks nobody."""
    await world.retry(max_retries=MAX_RETRIES)
    world.mock.change(rules=[REFUSED, POISON])
    await world.start_workers(2)
    tokens = [f"t{number}" for number in range(world.size.tokens)]
    refused, poison = (sum(token.endswith(digit) for token in tokens) for digit in "73")
    async with produces_refused(world.system.kafka, f"{world.system.topic}.dlq"):
        await world.produce(keyed=False)
        first: dict[int, int] = {}
        for partition, offset in (world.account.placed[token] for token in tokens if token.endswith("7")):
            first[partition] = min(offset, first.get(partition, offset))
        await world.stored(world.random.uniform(0.5, 0.75))
        assert await world.system.count("dead_lettered") == 0
        assert all(offset <= first[partition] for partition, offset in world.watch.committed.items())
    await world.finish()
    rows = await world.system.rows("SELECT error_kind, attempt, count(*) FROM dead_letters GROUP BY 1, 2 ORDER BY 1")
    assert [tuple(row) for row in rows] == [("rejected", 1, refused), ("transient", 1 + MAX_RETRIES, poison)]
