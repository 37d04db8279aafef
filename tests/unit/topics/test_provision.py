import pytest

from topics.catalogue import TopicSpec
from topics.provision import Difference, FoundTopic, compare, is_retry_topic, topic_specs
from topics.settings import KafkaSettings

SETTINGS = KafkaSettings.model_validate({"kafka_bootstrap_servers": "broker:9092"})
SPECS = topic_specs(SETTINGS)
TOKENS, RETRY, _ = SPECS


def found(
    spec: TopicSpec, changed: dict[str, str] | None = None, *, partitions: int | None = None, replicas: int | None = None
) -> FoundTopic:
    """Describe a topic as its spec has it, but for what is given; `changed` are settings of the topic."""
    return FoundTopic(
        spec.name,
        partitions or spec.partitions,
        replicas or spec.replication_factor,
        {**spec.config, "x": "y", **(changed or {})},
    )


def differences(*changed: FoundTopic) -> list[Difference]:
    """Compare a cluster that is right but for the topics given."""
    topics = {spec.name: found(spec) for spec in SPECS} | {topic.name: topic for topic in changed}
    return compare(SPECS, topics, SETTINGS)


def test_what_is_as_it_should_be_has_no_difference() -> None:
    """Settings that the catalogue does not name may be anything."""
    assert differences() == []


def test_a_missing_topic_is_fatal_and_names_the_command() -> None:
    """A worker on a missing topic would wait for ever."""
    (first, *rest) = compare(SPECS, {spec.name: found(spec) for spec in SPECS[1:]}, SETTINGS)
    assert rest == []
    assert first.fatal
    assert str(first) == "topic tokens: does not exist; run: tokenflow topics create"


def test_a_retry_topic_with_createtime_is_fatal() -> None:
    """Due times would follow the producers' clocks."""
    (difference,) = differences(found(RETRY, {"message.timestamp.type": "CreateTime"}))
    assert difference.fatal
    assert "--entity-name tokens.retry.5m --add-config message.timestamp.type=LogAppendTime" in difference.remedy


def test_createtime_on_the_tokens_topic_is_a_warning() -> None:
    """Nothing is due there."""
    (difference,) = differences(found(TOKENS, {"message.timestamp.type": "CreateTime"}))
    assert not difference.fatal


def test_a_retry_topic_of_another_delay_must_have_append_times_too() -> None:
    """It is consumed as long as it exists; its other settings are its own."""
    other = FoundTopic("tokens.retry.90s", 1, 1, {"message.timestamp.type": "CreateTime", "retention.ms": "1"})
    (difference,) = differences(other)
    assert (difference.topic, difference.fatal) == ("tokens.retry.90s", True)
    right = FoundTopic("tokens.retry.90s", 1, 1, {"message.timestamp.type": "LogAppendTime"})
    assert differences(right) == []


@pytest.mark.parametrize("name", sorted(TOKENS.config))
def test_every_setting_of_the_catalogue_is_compared(name: str) -> None:
    """The sentence has what is, what should be, and the command that mends it."""
    (difference,) = differences(found(TOKENS, {name: "other"}))
    expected = f"{name}={TOKENS.config[name]}"
    assert f"has {name}=other where {TOKENS.config[name]} is expected" in str(difference)
    assert difference.remedy.startswith("run: kafka-configs --bootstrap-server broker:9092 --alter --entity-type topics ")
    assert difference.remedy.endswith(f"--entity-name tokens --add-config {expected}")


def test_too_few_partitions_can_be_added() -> None:
    """The command is there, with its price."""
    (difference,) = differences(found(TOKENS, partitions=3))
    assert "kafka-topics --bootstrap-server broker:9092 --alter --topic tokens --partitions 12" in difference.remedy
    assert "keys change their partition" in difference.remedy


def test_too_many_partitions_cannot_be_taken_away() -> None:
    """The remedy is the setting."""
    (difference,) = differences(found(TOKENS, partitions=24))
    assert "TOKENS_PARTITIONS=24" in difference.remedy


def test_another_replication_factor_is_told() -> None:
    """Lost replicas lose records later."""
    (difference,) = differences(found(TOKENS, replicas=3))
    assert "replication factor 3 where 1 is expected" in difference.what


def test_fatal_differences_come_first() -> None:
    """Whoever reads one line reads the one that stops the worker."""
    told = differences(found(TOKENS, partitions=3), found(RETRY, {"message.timestamp.type": "CreateTime"}))
    assert [difference.fatal for difference in told] == [True, False]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tokens.retry.5m", True),
        ("tokens.retry.90s", True),
        ("tokens.retry.05m", False),
        ("tokens.retry.5h", False),
        ("tokens.retry.5m.old", False),
        ("tokensXretry.5m", False),
        ("other.retry.5m", False),
    ],
)
def test_retry_topics_are_known_by_their_name(name: str, *, expected: bool) -> None:
    """The base name is text, not a pattern."""
    assert is_retry_topic(name, "tokens") is expected
