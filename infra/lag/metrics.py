"""The lag exporter's metric catalogue: kafka_exporter's names, so that dashboards made for those work, plus seconds.

What is unknown has no series: neither -1 nor 0 nor NaN. A partition that was never committed has a lag (all of it waits) and
no current offset. While nothing can be read every `kafka_` series is gone, and `tokens_lag_readings_total` says so.
"""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from topics.lag import GroupLag, PartitionLag

REGISTRY = CollectorRegistry()
"""This process's own: another process's catalogue may be imported beside it, by a test or by what documents them all."""
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)
READINGS = Counter(
    "tokens_lag_readings",
    "Readings of the lag by what came of them: complete, partial (something was unknown) or failed (Kafka did not answer).",
    ["result"],
    registry=REGISTRY,
)
for _result in ("complete", "partial", "failed"):
    READINGS.labels(_result)

_TOPIC = ["topic"]
_PARTITION = ["topic", "partition"]
_GROUP = ["consumergroup"]
_GROUP_TOPIC = ["consumergroup", *_TOPIC]
_GROUP_PARTITION = ["consumergroup", *_PARTITION]
CATALOGUE = {
    "kafka_consumergroup_lag": (_GROUP_PARTITION, "Records from the committed offset to the end of the log."),
    "kafka_consumergroup_lag_seconds": (_GROUP_PARTITION, "Age of the first record not committed, 0 where there is none."),
    "kafka_consumergroup_current_offset": (_GROUP_PARTITION, "Committed offset; no series where none was ever committed."),
    "kafka_consumergroup_lag_sum": (_GROUP_TOPIC, "Lag of all partitions of a topic; no series while any is unknown."),
    "kafka_consumergroup_members": (_GROUP, "Members of the group."),
    "kafka_topic_partitions": (_TOPIC, "Partitions of the topic."),
    "kafka_topic_partition_current_offset": (_PARTITION, "End of the log: offset of the record that comes next."),
    "kafka_topic_partition_oldest_offset": (_PARTITION, "Start of the log: offset of the oldest record kept."),
}
"""Name -> labels and meaning; all are gauges, in records but for the seconds."""


class LagCollector(Collector):
    """The series of the last reading; the exporter replaces `reading` before each scrape, None if it failed."""

    def __init__(self) -> None:
        self.reading: GroupLag | None = None

    def describe(self) -> Iterable[Metric]:
        """Name the metrics without their values."""
        return _families().values()

    def collect(self) -> Iterable[Metric]:
        """Yield what is known."""
        families = _families()
        if self.reading is not None:
            _add_group(families, self.reading)
            for each in self.reading.partitions:
                _add_partition(families, self.reading.group, each)
        return families.values()


def _families() -> dict[str, GaugeMetricFamily]:
    return {name: GaugeMetricFamily(name, meaning, labels=labels) for name, (labels, meaning) in CATALOGUE.items()}


def _add_group(families: dict[str, GaugeMetricFamily], reading: GroupLag) -> None:
    _add(families["kafka_consumergroup_members"], [reading.group], reading.members)
    for topic, lag in reading.lag_of_topics.items():
        _add(families["kafka_consumergroup_lag_sum"], [reading.group, topic], lag)
    for topic, partitions in reading.partitions_of_topics.items():
        _add(families["kafka_topic_partitions"], [topic], partitions)


def _add_partition(families: dict[str, GaugeMetricFamily], group: str, each: PartitionLag) -> None:
    topic = [each.topic, str(each.partition)]
    _add(families["kafka_consumergroup_lag"], [group, *topic], each.lag)
    _add(families["kafka_consumergroup_lag_seconds"], [group, *topic], each.lag_seconds)
    _add(families["kafka_consumergroup_current_offset"], [group, *topic], each.committed_offset)
    _add(families["kafka_topic_partition_current_offset"], topic, each.end_offset)
    _add(families["kafka_topic_partition_oldest_offset"], topic, each.start_offset)


def _add(family: GaugeMetricFamily, labels: list[str], value: float | None) -> None:
    if value is not None:
        family.add_metric(labels, value)


LAG = LagCollector()
REGISTRY.register(LAG)
