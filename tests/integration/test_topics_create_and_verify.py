"""Topics on a real broker: created once, compared with the catalogue, and a broker that is away is one sentence."""

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from typer.testing import CliRunner

from tests.support.services import free_ports
from tests.support.waiting import eventually
from topics.catalogue import TopicSpec
from topics.cli import app
from topics.connection import KafkaConnectionError
from topics.provision import ProvisionError, create_topics, topic_specs, verify_topics
from topics.settings import KafkaSettings


def settings(kafka: str, topic_base: str, **changes: object) -> KafkaSettings:
    """Make settings of a small deployment on the test's broker."""
    return KafkaSettings.model_validate(
        {"kafka_bootstrap_servers": kafka, "tokens_topic": topic_base, "tokens_partitions": 3, **changes}
    )


async def test_what_is_created_is_as_it_should_be(kafka: str, topic_base: str) -> None:
    """Creating twice changes nothing, and the verification of what was created finds no difference."""
    deployment = settings(kafka, topic_base)
    names = [spec.name for spec in topic_specs(deployment)]
    assert [difference.topic for difference in await verify_topics(deployment)] == names
    assert await create_topics(deployment) == dict.fromkeys(names, True)
    assert await create_topics(deployment) == dict.fromkeys(names, False)
    assert await verify_topics(deployment) == []


async def test_several_may_create_at_once(kafka: str, topic_base: str) -> None:
    """Each topic is made by exactly one of them, and nobody fails."""
    deployment = settings(kafka, topic_base)
    answers = await asyncio.gather(*(create_topics(deployment) for _ in range(3)))
    for spec in topic_specs(deployment):
        assert [answer[spec.name] for answer in answers].count(True) == 1
    assert await verify_topics(deployment) == []


async def test_differences_of_real_topics_are_found(kafka: str, topic_base: str) -> None:
    """Partitions, a topic's setting and the timestamps of a retry topic of another delay; the fatal one comes first."""
    deployment = settings(kafka, topic_base)
    await create_topics(deployment)
    await _create(kafka, TopicSpec(f"{topic_base}.retry.7s", 1, 1, {"message.timestamp.type": "CreateTime"}))
    await _set(kafka, topic_base, {"message.timestamp.type": "LogAppendTime", "retention.ms": "60000"})

    async def all_found() -> None:
        found = await verify_topics(settings(kafka, topic_base, tokens_partitions=4))
        assert [difference.fatal for difference in found][:2] == [True, False]
        assert found[0].topic == f"{topic_base}.retry.7s"
        assert found[0].remedy.endswith("--add-config message.timestamp.type=LogAppendTime")
        text = "\n".join(str(difference) for difference in found)
        assert f"topic {topic_base}: has 3 partitions where 4 are expected" in text
        assert f"topic {topic_base}: has retention.ms=60000 where 2592000000 is expected" in text

    await eventually(all_found, timeout_seconds=20)  # a broker shows what its controller decided a moment later


async def test_more_replicas_than_brokers_are_refused_with_a_remedy(kafka: str, topic_base: str) -> None:
    """The sentence names the setting to lower."""
    with pytest.raises(ProvisionError, match="Lower KAFKA_REPLICATION_FACTOR=30"):
        await create_topics(settings(kafka, topic_base, kafka_replication_factor=30))


async def test_a_broker_that_is_away_is_one_sentence() -> None:
    """No hang and no client's exception."""
    (port,) = free_ports(1)
    with pytest.raises(KafkaConnectionError, match=f"KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:{port} cannot be reached"):
        await verify_topics(settings(f"127.0.0.1:{port}", "any"))


async def test_a_broker_that_accepts_and_says_nothing_is_given_up() -> None:
    """The deadline holds where a connection succeeds and no answer comes."""
    accepted: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: accepted.append(writer), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        async with asyncio.timeout(20):
            with pytest.raises(KafkaConnectionError):
                await create_topics(settings(f"127.0.0.1:{port}", "any"), timeout_seconds=0.5)
    finally:
        server.close()
        for writer in accepted:
            writer.close()
            await writer.wait_closed()
    assert accepted


def test_the_commands_create_and_check(kafka: str, topic_base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`check` ends with 1 before `create` and with 0 after it; each topic has its line."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    monkeypatch.setenv("TOKENS_TOPIC", topic_base)
    missing = CliRunner().invoke(app, ["check"])
    assert missing.exit_code == 1
    assert f"error: topic {topic_base}: does not exist; run: tokenflow topics create" in missing.stderr
    created = CliRunner().invoke(app, ["create"])
    assert created.exit_code == 0, created.output
    assert created.stdout.splitlines()[0] == f"created  {topic_base}  12 partitions, 1 replicas"
    assert CliRunner().invoke(app, ["check"]).exit_code == 0


def test_the_commands_say_what_is_wrong_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """No traceback for a broker that is away or a setting that is wrong."""
    (port,) = free_ports(1)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", f"127.0.0.1:{port}")
    away = CliRunner().invoke(app, ["check"])
    assert (away.exit_code, away.stderr.count("\n")) == (1, 1)
    monkeypatch.setenv("RETRY_DELAY_MINUTES", "0")
    wrong = CliRunner().invoke(app, ["check"])
    assert wrong.exit_code == 2
    assert "RETRY_DELAY_MINUTES=0" in wrong.stderr


async def _create(kafka: str, spec: TopicSpec) -> None:
    async with asyncio.timeout(20):
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(spec.name, spec.partitions, 1, topic_configs=dict(spec.config))])
        finally:
            await admin.close()


async def _set(kafka: str, topic: str, config: dict[str, str]) -> None:
    async with asyncio.timeout(20):
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
        await admin.start()
        try:
            await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, config)])
        finally:
            await admin.close()
