"""One record of one partition hangs.

Situation: two workers, hundreds of calls in flight; the first record of one partition gets no answer.
Fault: everything behind it is stored; then the worker that has the partition is killed.
Must hold: the others go on; the committed offset stays at the head; after the kill nothing stored is paid for again; the
hung call ends at the call timeout, and its record, without retries, as a dead letter.
"""

from tests.support.waiting import eventually
from tests.support.world import World

CALL_TIMEOUT_SECONDS = 20


async def test_a_head_that_hangs_blocks_nobody_and_is_never_passed(world: World) -> None:
    """A slow call costs its own slot; a window behind it costs no call when it is read again."""
    world.mock.change(rules=[{"tokens": ["hung0"], "behaviour": {"misbehaviours": {"hang": 1}}}])
    workers = await world.start_workers(2, PROVIDER_TIMEOUT_SECONDS=str(CALL_TIMEOUT_SECONDS))
    (hung,) = await world.produce(1, prefix="hung")
    tokens = await world.produce()
    partition, offset = world.account.placed[hung]
    await world.stored(world.random.uniform(0.6, 0.95))

    assert world.mock.stats(f"?token={hung}")["calls_by_token"] == {hung: 1}
    assert world.watch.committed.get(partition, 0) <= offset
    (victim,) = [worker for worker in workers if partition in world.fleet.last_partitions(worker)]
    await world.kill(victim)
    await world.stored(len(tokens) / (len(tokens) + 1))

    async def dead_letter() -> None:
        assert await world.system.count("dead_lettered") == 1

    assert world.watch.committed.get(partition, 0) <= offset
    await eventually(dead_letter, timeout_seconds=2 * CALL_TIMEOUT_SECONDS)
    await world.finish()
