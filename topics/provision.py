"""Create the topics of a deployment, and say where those that exist differ from the catalogue.

`compare` is pure; `create_topics` and `verify_topics` talk to the broker, each within one deadline. Both are safe to call at
any time and by several processes at once: a topic that exists is never changed.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    InvalidReplicationFactorError,
    KafkaError,
    NodeNotReadyError,
    PolicyViolationError,
    RequestTimedOutError,
    TopicAlreadyExistsError,
    for_code,
)
from aiokafka.errors import KafkaConnectionError as ClientConnectionError

from topics.catalogue import TopicSpec, catalogue
from topics.connection import KafkaConnectionError, client_options
from topics.settings import KafkaSettings

TIMEOUT_SECONDS = 15.0
"""For a whole `create_topics` or `verify_topics`; a healthy broker needs well under one second."""
_TIMESTAMP_TYPE = "message.timestamp.type"
_POLL_SECONDS = 0.1


class ProvisionError(Exception):
    """The broker answered, and refused; the text is one sentence with its reason."""


@dataclass(frozen=True, slots=True)
class FoundTopic:
    """One topic as the broker describes it; `config` holds every topic setting, defaults included."""

    name: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which a topic is not as it should be; `fatal` means that a worker must not start on it."""

    topic: str
    what: str
    remedy: str
    fatal: bool = False

    def __str__(self) -> str:
        return f"topic {self.topic}: {self.what}; {self.remedy}"


def topic_specs(settings: KafkaSettings) -> tuple[TopicSpec, ...]:
    """List the topics of this deployment: tokens, retry, DLQ."""
    return catalogue(
        base=settings.tokens_topic,
        partitions=settings.tokens_partitions,
        replication_factor=settings.kafka_replication_factor,
        retention_days=settings.topic_retention_days,
        retry_delay_minutes=settings.retry_delay_minutes,
    )


def is_retry_topic(name: str, base: str) -> bool:
    """Say whether `name` is a retry topic of `base`, of whatever delay (`tokens.retry.5m`, `tokens.retry.90s`)."""
    return re.fullmatch(rf"{re.escape(base)}\.retry\.[1-9][0-9]*[ms]", name) is not None


async def create_topics(settings: KafkaSettings, *, timeout_seconds: float = TIMEOUT_SECONDS) -> dict[str, bool]:
    """Create what is missing, and return when every topic of the catalogue has leaders: topic -> created just now.

    Raises:
        KafkaConnectionError: no broker answers.
        ProvisionError: the broker refuses, for example fewer brokers than replicas.

    """
    specs = topic_specs(settings)
    async with _admin(settings, timeout_seconds) as admin:
        # The response names each topic; its layout (with or without a message) depends on the broker's version.
        response = await admin.create_topics([_new_topic(spec) for spec in specs])
        made = {answer["topic"]: _created(answer, settings) for answer in response.to_object()["topic_errors"]}
        while {spec.name for spec in specs} - await _led_topics(admin):  # noqa: ASYNC110 - the broker sends no event
            await asyncio.sleep(_POLL_SECONDS)
    return {spec.name: made[spec.name] for spec in specs}


async def list_retry_topics(settings: KafkaSettings, *, timeout_seconds: float = TIMEOUT_SECONDS) -> list[str]:
    """Name the retry topics that exist, of whatever delay: records of an earlier setting are still to come.

    Raises:
        KafkaConnectionError: no broker answers.

    """
    async with _admin(settings, timeout_seconds) as admin:
        return sorted(name for name in await admin.list_topics() if is_retry_topic(name, settings.tokens_topic))


async def verify_topics(settings: KafkaSettings, *, timeout_seconds: float = TIMEOUT_SECONDS) -> list[Difference]:
    """List where the broker's topics differ from the catalogue, fatal ones first. Empty means: as it should be.

    Retry topics of other delays are looked at too, since they are consumed as long as they exist.

    Raises:
        KafkaConnectionError: no broker answers.
        ProvisionError: the broker refuses to describe its topics.

    """
    specs = topic_specs(settings)
    names = {spec.name for spec in specs}
    async with _admin(settings, timeout_seconds) as admin:
        described = [
            topic
            for topic in await admin.describe_topics()
            if topic["topic"] in names or is_retry_topic(topic["topic"], settings.tokens_topic)
        ]
        found = await _with_config(admin, described)
    return compare(specs, found, settings)


def compare(specs: Sequence[TopicSpec], found: Mapping[str, FoundTopic], settings: KafkaSettings) -> list[Difference]:
    """Compare the catalogue with what exists (topic name -> topic), fatal differences first. Pure."""
    command = f"kafka-topics --bootstrap-server {settings.kafka_bootstrap_servers}"
    differences: list[Difference] = []
    for spec in specs:
        topic = found.get(spec.name)
        if topic is None:
            differences.append(Difference(spec.name, "does not exist", "run: tokenflow topics create", fatal=True))
            continue
        differences += _layout_differences(spec, topic, command)
        differences += _config_differences(spec.config, topic, settings)
    others = (topic for name, topic in found.items() if name not in {spec.name for spec in specs})
    for topic in others:
        differences += _config_differences({_TIMESTAMP_TYPE: "LogAppendTime"}, topic, settings)
    return sorted(differences, key=lambda difference: not difference.fatal)


def _layout_differences(spec: TopicSpec, topic: FoundTopic, command: str) -> list[Difference]:
    differences = []
    if topic.partitions < spec.partitions:
        remedy = f"run: {command} --alter --topic {spec.name} --partitions {spec.partitions} (keys change their partition)"
        differences.append(
            Difference(spec.name, f"has {topic.partitions} partitions where {spec.partitions} are expected", remedy)
        )
    elif topic.partitions > spec.partitions:
        what = f"has {topic.partitions} partitions where {spec.partitions} are expected, and Kafka cannot take any away"
        differences.append(Difference(spec.name, what, f"set TOKENS_PARTITIONS={topic.partitions} or make the topic anew"))
    if topic.replication_factor != spec.replication_factor:
        what = f"has replication factor {topic.replication_factor} where {spec.replication_factor} is expected"
        remedy = f"set KAFKA_REPLICATION_FACTOR={topic.replication_factor}, or move it with kafka-reassign-partitions"
        differences.append(Difference(spec.name, what, remedy))
    return differences


def _config_differences(expected: Mapping[str, str], topic: FoundTopic, settings: KafkaSettings) -> list[Difference]:
    command = f"kafka-configs --bootstrap-server {settings.kafka_bootstrap_servers} --alter --entity-type topics"
    return [
        Difference(
            topic.name,
            f"has {key}={topic.config.get(key, '')} where {value} is expected",
            f"run: {command} --entity-name {topic.name} --add-config {key}={value}",
            # A due time is the broker's append time plus the delay: with CreateTime a producer's clock would decide.
            fatal=key == _TIMESTAMP_TYPE and is_retry_topic(topic.name, settings.tokens_topic),
        )
        for key, value in expected.items()
        if topic.config.get(key) != value
    ]


def _new_topic(spec: TopicSpec) -> NewTopic:
    return NewTopic(spec.name, spec.partitions, spec.replication_factor, topic_configs=dict(spec.config))


def _created(answer: Mapping[str, object], settings: KafkaSettings) -> bool:
    """Read one topic's answer to the creation: True = made just now, False = it was there."""
    error = for_code(answer["error_code"])
    if not answer["error_code"]:
        return True
    if error is TopicAlreadyExistsError:
        return False
    reason = answer.get("error_message") or error.__name__
    remedy = {
        InvalidReplicationFactorError: f" Lower KAFKA_REPLICATION_FACTOR={settings.kafka_replication_factor} "
        "to what the cluster has brokers for.",
        PolicyViolationError: " Ask the cluster's operator which settings its policy allows.",
    }.get(error, "")
    raise ProvisionError(f"Kafka refuses to create the topic {answer['topic']}: {reason}{remedy}")


async def _led_topics(admin: AIOKafkaAdminClient) -> set[str]:
    """Name the topics all of whose partitions have a leader, so that a client may produce and consume."""
    return {
        topic["topic"]
        for topic in await admin.describe_topics()
        if topic["partitions"] and all(partition["leader"] >= 0 for partition in topic["partitions"])
    }


async def _with_config(admin: AIOKafkaAdminClient, described: Sequence[Mapping[str, object]]) -> dict[str, FoundTopic]:
    """Add each topic's settings to its description (as `describe_topics` returns it): topic name -> topic."""
    if not described:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic["topic"]) for topic in described]
    (response,) = await admin.describe_configs(resources)
    config: dict[str, dict[str, str]] = {}
    for code, message, _kind, name, entries in response.resources:
        if code:
            raise ProvisionError(f"Kafka refuses to describe the topic {name}: {message or for_code(code).__name__}")
        config[name] = {entry[0]: entry[1] for entry in entries}
    return {topic.name: topic for topic in (_found(topic, config) for topic in described)}


def _found(described: Mapping[str, object], config: Mapping[str, Mapping[str, str]]) -> FoundTopic:
    name, partitions = str(described["topic"]), described["partitions"]
    assert isinstance(partitions, list)  # noqa: S101 - aiokafka's answer is untyped
    replicas = min((len(partition["replicas"]) for partition in partitions), default=0)
    return FoundTopic(name, len(partitions), replicas, config[name])


@asynccontextmanager
async def _admin(settings: KafkaSettings, timeout_seconds: float) -> AsyncIterator[AIOKafkaAdminClient]:
    """Connect an admin client for the block, all of which shares one deadline, and translate what Kafka's client raises."""
    admin = AIOKafkaAdminClient(client_id="tokenflow-topics", **client_options(settings))
    try:
        async with asyncio.timeout(timeout_seconds):
            await admin.start()
            yield admin
    except (TimeoutError, OSError, ClientConnectionError, NodeNotReadyError, RequestTimedOutError) as error:
        raise KafkaConnectionError(settings) from error
    except KafkaError as error:
        raise ProvisionError(f"Kafka refuses: {error}") from error
    finally:
        await admin.close()
