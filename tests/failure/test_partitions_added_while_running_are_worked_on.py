"""The topic grows.

Situation: two workers, hundreds of calls in flight on six partitions.
Fault: three partitions are added; records go to all nine from then on.
Must hold: the workers find the new partitions by themselves, from their first record on; nothing lost, no call repeated.
"""

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.new_partitions import NewPartitions

from tests.support.world import World

ADDED = 3


async def test_partitions_added_while_running_are_worked_on(world: World) -> None:
    """More partitions need no restart."""
    await world.produce(world.size.tokens // 2, prefix="before")
    await world.start_workers(2)
    await world.moment(0.2, 0.6)

    admin = AIOKafkaAdminClient(bootstrap_servers=world.system.kafka)
    await admin.start()
    try:
        world.system.partitions += ADDED
        await admin.create_partitions({world.system.topic: NewPartitions(world.system.partitions)})
    finally:
        await admin.close()
    later = await world.produce(world.size.tokens // 2, prefix="later")
    used = {world.account.placed[token][0] for token in later}
    assert used == set(range(world.system.partitions)), "the new partitions got no record"
    await world.finish()
