"""Two live workers have one static member id.

Situation: a worker with KAFKA_GROUP_INSTANCE_ID and hundreds of calls in flight.
Fault: a second one is started with the same id and index, as by a copied environment.
Must hold: they do not evict each other for ever: the one that lost the id ends with a sentence that names the setting, the
other one does the work; what is called twice is what the first had in its hands until it learnt of it.
"""

from tests.support.world import World


async def test_a_second_worker_of_one_static_id_ends_the_first(world: World) -> None:
    """Whoever came last keeps the id."""
    await world.produce()
    first = world.start_worker(KAFKA_GROUP_INSTANCE_ID="copied")
    await first.ready()
    await world.stored(0.1)
    second = world.start_worker(KAFKA_GROUP_INSTANCE_ID="copied")
    await second.ready()
    await world.note_loss(first)
    assert await first.ended() == 1, first.log
    await world.note_loss(first)
    assert "another live worker joined as copied-0: give each worker its own KAFKA_GROUP_INSTANCE_ID" in first.log

    hands = world.size.in_flight  # twice its slots: what it began until its next heartbeat came back
    result = await world.finish(paid_again_at_most=hands, beyond_at_most=hands)
    assert result.repeated <= hands
    assert second.process.returncode == 0, second.log
    assert second.log.count("assigned 12 partitions") == 1  # of both topics
