"""What is left in the queue at the end of a run, as an outsider reads it."""

import asyncio

from aiokafka.structs import TopicPartition

from bench.harness.stack import PARTITIONS, Stage
from topics.catalogue import retry_topic_name
from topics.positions import read_positions
from topics.settings import KafkaSettings

LAST_COMMIT_SECONDS = 2.0


async def queue_lag(stage: Stage) -> int:
    """Count the records of the tokens and retry topics above the committed offsets, once the last commit had its time."""
    await asyncio.sleep(LAST_COMMIT_SECONDS)
    settings = KafkaSettings(kafka_bootstrap_servers=stage.kafka, kafka_group_id=stage.topic, tokens_topic=stage.topic)
    topics = (stage.topic, retry_topic_name(stage.topic, stage.retry_delay_seconds / 60))
    partitions = [TopicPartition(topic, number) for topic in topics for number in range(PARTITIONS)]
    positions = await read_positions(settings, partitions)
    return sum(each.end - (each.committed or 0) for each in positions.values())
