"""A tokens topic that keeps its producers' timestamps (not one of ours, which a worker only warns about)."""

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.support.raw_batches import produce_at
from tests.support.system import System

TIMESTAMPS = [0, -1, -(2**40), -(2**62), 2**45, 2**62, 1_700_000_000_000]
PRODUCERS_CLOCK = {"message.timestamp.type": "CreateTime", "message.timestamp.after.max.ms": str(2**63 - 1)}


async def test_no_timestamp_stops_a_worker(system: System) -> None:
    """Whatever a producer's clock says, in both fates: the row has the nearest date that there is, in years 1 to 9999."""
    await _use_a_topic_of_the_users(system)
    for number, timestamp in enumerate(TIMESTAMPS):
        await produce_at(system.kafka, system.topic, [b"t%d" % number, b"["], timestamp_ms=timestamp)

    worker = system.start_worker()
    await worker.ready()
    await system.wait_for(len(TIMESTAMPS), "dead_lettered")
    await system.wait_for(len(TIMESTAMPS))
    rows = await system.rows("SELECT token, source_timestamp FROM outcomes WHERE outcome = 'succeeded'")
    years = {row["token"]: row["source_timestamp"].year for row in rows}
    assert years == {"t0": 1970, "t1": 1969, "t2": 1935, "t3": 1, "t4": 3084, "t5": 9999, "t6": 2023}
    await worker.terminate()


async def _use_a_topic_of_the_users(system: System) -> None:
    """Make it from the start as it is: a change of a topic's settings takes effect some time later."""
    system.topic += "-own"
    system.environment |= {"TOKENS_TOPIC": system.topic, "KAFKA_GROUP_ID": system.topic}
    admin = AIOKafkaAdminClient(bootstrap_servers=system.kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(system.topic, 6, 1, topic_configs=PRODUCERS_CLOCK)])
    finally:
        await admin.close()
    await system.create_topics()
