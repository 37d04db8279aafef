"""No retry copy can be produced.

Situation: two workers, hundreds of calls in flight; every tenth token fails at its first call.
Fault: the retry topic refuses every produce (it is compacted, and the records have no key), all else goes on; then it is
healed.
Must hold: while it lasts no offset moves past a record that failed, which has no row and is not called again, and the other
answers are stored; afterwards each is tried once more, and succeeds.
"""

from tests.support.topic_faults import produces_refused
from tests.support.world import World
from topics.catalogue import retry_topic_name

FAILING = {"pattern": ".*7", "behaviour": {"fail_first_calls": 1, "fail_first_with": 500}}
DELAY_MINUTES = 0.05


async def test_a_retry_topic_that_takes_nothing_holds_the_offset(world: World) -> None:
    """What cannot be parked is not settled, and blocks nobody."""
    await world.retry(delay_minutes=DELAY_MINUTES)
    world.mock.change(rules=[FAILING])
    await world.start_workers(2)
    async with produces_refused(world.system.kafka, retry_topic_name(world.system.topic, DELAY_MINUTES)):
        failing = {token for token in await world.produce(keyed=False) if token.endswith("7")}
        first: dict[int, int] = {}
        for partition, offset in map(world.account.placed.__getitem__, failing):
            first[partition] = min(offset, first.get(partition, offset))
        await world.stored(world.random.uniform(0.5, 0.85))
        assert await world.system.count("retrying") == 0
        calls = world.mock.stats("?tokens=true")["calls_by_token"]
        assert max(calls[token] for token in failing & calls.keys()) == 1
        assert all(offset <= first[partition] for partition, offset in world.watch.committed.items())
    result = await world.finish()
    assert (result.retries, result.dead) == (len(failing), 0)
