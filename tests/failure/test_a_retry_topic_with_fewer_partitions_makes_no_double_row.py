"""The retry topic has fewer partitions than `tokens`.

Situation: two workers, hundreds of calls in flight, every second token fails at its first call; a record and its retry copy
may be read by different workers.
Fault: one worker is killed at a random moment, and another takes its place.
Must hold: nothing lost, no row twice; what is called once more was in flight and unsaved, on whichever worker; the workers
count it. A record may be called that was checked just before another worker stored the answer of its copy: a few.
"""

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.support.world import World
from topics.catalogue import retry_topic_name

UNREADABLE_ONCE = {"pattern": ".*[02468]", "behaviour": {"fail_first_calls": 1, "fail_first_with": "not_json"}}
DELAY_MINUTES = 0.05
PARTITIONS = 2
CROSSED_RATIO = 0.02
"""Part of the calls in flight; seen: 1 of 500."""


async def test_a_retry_topic_with_fewer_partitions_makes_no_double_row(world: World) -> None:
    """The rows decide, whoever reads what."""
    await _make_topic(world.system.kafka, retry_topic_name(world.system.topic, DELAY_MINUTES))
    await world.retry(delay_minutes=DELAY_MINUTES)
    world.mock.change(rules=[UNREADABLE_ONCE])
    tokens = await world.produce()
    workers = await world.start_workers(2)
    await world.moment(high=0.4)

    victim = world.random.choice(workers)
    await world.fleet.scrape_now(victim)
    victim.kill()
    calls = world.mock.stats("?tokens=true")["calls_by_token"]
    world.account.put_at_risk(range(world.system.partitions), calls, await world.tried())
    world.start_worker()
    result = await world.finish(paid_again_at_most=round(CROSSED_RATIO * world.size.in_flight))
    assert result.dead == 0
    assert result.retries <= len(tokens) // 2


async def _make_topic(kafka: str, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, PARTITIONS, 1, topic_configs={"message.timestamp.type": "LogAppendTime"})])
    finally:
        await admin.close()
