from aiokafka.structs import TopicPartition

from infra.lag.metrics import CATALOGUE, LagCollector
from topics.lag import NEVER_COMMITTED, GroupLag, PartitionOffsets, group_lag

TOKENS = [TopicPartition("tokens", number) for number in range(3)]


def series(reading: GroupLag | None) -> dict[str, dict[str, float]]:
    """Metric -> partition, else topic, else group -> value."""
    collector = LagCollector()
    collector.reading = reading
    found: dict[str, dict[str, float]] = {}
    for family in collector.collect():
        for sample in family.samples:
            labels = sample.labels
            key = labels.get("partition") or labels.get("topic") or labels["consumergroup"]
            found.setdefault(sample.name, {})[key] = sample.value
    return found


def test_what_is_unknown_has_no_series() -> None:
    """Partition 0 is known, 1 was never committed, 2 has no leader: no -1, no 0 and no NaN stands for what is not known."""
    offsets = {
        TOKENS[0]: PartitionOffsets(4, 1, 10, 998_000),
        TOKENS[1]: PartitionOffsets(NEVER_COMMITTED, 2, 5),
        TOKENS[2]: PartitionOffsets(3, None, None),
    }
    assert series(group_lag("g", offsets, members=None, now_ms=1_000_000)) == {
        "kafka_consumergroup_lag": {"0": 6, "1": 3},
        "kafka_consumergroup_lag_seconds": {"0": 2},
        "kafka_consumergroup_current_offset": {"0": 4, "2": 3},
        "kafka_topic_partitions": {"tokens": 3},
        "kafka_topic_partition_current_offset": {"0": 10, "1": 5},
        "kafka_topic_partition_oldest_offset": {"0": 1, "1": 2},
    }


def test_without_a_coordinator_the_logs_are_known_and_the_lag_is_not() -> None:
    """Commits and members come from it alone."""
    found = series(group_lag("g", {TOKENS[0]: PartitionOffsets(None, 1, 10)}, members=None, now_ms=0))
    assert set(found) == {
        "kafka_topic_partitions",
        "kafka_topic_partition_current_offset",
        "kafka_topic_partition_oldest_offset",
    }


def test_no_reading_is_no_series_and_a_whole_one_has_every_name() -> None:
    """The catalogue is what is exported, neither more nor less."""
    assert series(None) == {}
    whole = group_lag("g", {TOKENS[0]: PartitionOffsets(10, 1, 10)}, members=0, now_ms=0)
    assert set(series(whole)) == set(CATALOGUE)
    assert series(whole)["kafka_consumergroup_members"] == {"g": 0}
