"""One number, the call timeout, derives the deadlines that must fit into each other."""

import re

import pytest
from aiokafka.errors import GroupAuthorizationFailedError, InvalidSessionTimeoutError, KafkaError
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from consumers.engine.committer import COMMIT_DEADLINE_SECONDS
from consumers.engine.lanes import CUT_OFF_SECONDS
from consumers.refusals import why_refused
from consumers.settings import CALL_SLACK_SECONDS, FLUSH_SECONDS, WorkerSettings
from consumers.source import consumer_options
from consumers.static_id import is_of
from topics.settings import SettingsError, load_settings


def test_the_defaults_are_the_documented_ones() -> None:
    """50 x 100 calls, 30 s a call, port 8201 for worker 1."""
    settings = WorkerSettings()
    assert (settings.slots, settings.provider_timeout_seconds, settings.health_port) == (5_000, 30, 8_201)
    assert (settings.kafka_group_id, settings.tokens_topic) == ("tokenflow", "tokens")


@given(st.floats(0.001, 3600))
def test_the_deadlines_fit_into_each_other(timeout_seconds: float) -> None:
    """Whatever the call timeout: a call ends in the drain, a drain in the rebalance, all of it before the kill."""
    settings = WorkerSettings(provider_timeout_seconds=timeout_seconds)
    drain = settings.drain_limit_seconds
    assert drain >= timeout_seconds + CALL_SLACK_SECONDS + FLUSH_SECONDS
    longest = drain + CUT_OFF_SECONDS + 1.0 + COMMIT_DEADLINE_SECONDS  # calls cut off, the least flush, the last commit
    assert settings.rebalance_timeout_seconds > longest
    assert settings.termination_grace_seconds > longest
    assert settings.start_deadline_seconds > settings.rebalance_timeout_seconds
    assert consumer_options(settings)["rebalance_timeout_ms"] < 2**31


def test_heartbeats_fit_into_the_session() -> None:
    """Kafka refuses a heartbeat interval above a third of the session; the shortest session allowed here is 6 s."""
    options = consumer_options(WorkerSettings(kafka_session_timeout_seconds=6))
    assert options["heartbeat_interval_ms"] * 3 <= options["session_timeout_ms"]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PROVIDER_URL", "http://host/score", "{token}"),
        ("PROVIDER_URL", "http://{token}/score", "after the host"),
        ("PROVIDER_URL", "http://host/{token}/{token}", "once"),
        ("PROVIDER_URL", "ftp://host/{token}", "http(s)://"),
        ("PROVIDER_URL", "host/{token}", "http(s)://"),
        ("PROVIDER_URL", "http://host:99999/{token}", "PROVIDER_URL"),
        ("PROVIDER_URL", "http://host:port/{token}", "PROVIDER_URL"),
        ("PROVIDER_URL", "http://ho st/{token}", "PROVIDER_URL"),
        ("PROVIDER_URL", "http://host/a b/{token}", "percent-encoded"),
        ("PROVIDER_URL", "http://host/#{token}", "after the host"),
        ("PROVIDER_URL", "http://[::1/{token}", "http(s)://"),
        ("PROVIDER_URL", "http://host/{token}\r\nX-Header: 1", "PROVIDER_URL"),
        ("DATABASE_URL", "", "postgresql://"),
        ("DATABASE_URL", "localhost", "postgresql://"),
        ("DATABASE_URL", "mysql://h/d", "postgresql://"),
        ("DATABASE_URL", "postgresql://u:p@h:port/d", "postgresql://"),
        ("DATABASE_URL", "postgresql://u:p@h:70000/d", "postgresql://"),
        ("DATABASE_URL", "postgresql://u:p@h:1,g:x/d", "postgresql://"),
        ("WORKER_CONCURRENCY", "0", "WORKER_CONCURRENCY"),
        ("WORKER_CONCURRENCY", "2000", "100000"),
        ("TOKEN_PATTERN", "[0-9", "TOKEN_PATTERN"),
        ("PROVIDER_TIMEOUT_SECONDS", "0", "PROVIDER_TIMEOUT_SECONDS"),
        ("PROVIDER_TIMEOUT_SECONDS", "nan", "PROVIDER_TIMEOUT_SECONDS"),
        ("PROVIDER_TIMEOUT_SECONDS", "inf", "PROVIDER_TIMEOUT_SECONDS"),
        ("COMMIT_INTERVAL_SECONDS", "0", "COMMIT_INTERVAL_SECONDS"),
        ("COMMIT_INTERVAL_SECONDS", "nan", "COMMIT_INTERVAL_SECONDS"),
        ("COMMIT_INTERVAL_SECONDS", "0.001", "0.05"),
        ("KAFKA_GROUP_INSTANCE_ID", "worker 1", "KAFKA_GROUP_INSTANCE_ID"),
        ("KAFKA_GROUP_INSTANCE_ID", "w" * 241, "KAFKA_GROUP_INSTANCE_ID"),
        ("KAFKA_SESSION_TIMEOUT_SECONDS", "301", "300"),
        ("KAFKA_SESSION_TIMEOUT_SECONDS", "nan", "KAFKA_SESSION_TIMEOUT_SECONDS"),
        ("KAFKA_SESSION_TIMEOUT_SECONDS", "5", "KAFKA_SESSION_TIMEOUT_SECONDS"),
        ("WORKER_PORT", "65535", "WORKER_PORT"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    """One sentence that names the variable and says what to change, at start and not at the first call."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        load_settings(WorkerSettings)
    assert name in str(refused.value)
    assert says in str(refused.value)


def test_workers_of_one_machine_and_one_env_file_are_different_static_members() -> None:
    """Two live members of one static id evict each other for ever; only the index tells these two apart."""
    first, second = (WorkerSettings(kafka_group_instance_id="one", worker_index=index) for index in (1, 2))
    assert (first.static_id, second.static_id, WorkerSettings().static_id) == ("one-1", "one-2", None)
    assert consumer_options(first)["group_instance_id"] == "one-1"


@pytest.mark.parametrize(
    ("error", "names"),
    [
        (InvalidSessionTimeoutError(), "KAFKA_SESSION_TIMEOUT_SECONDS=12 .*group.max.session.timeout.ms"),
        (GroupAuthorizationFailedError("tokenflow"), "KAFKA_SASL_USERNAME=.*READ"),
        (KafkaError("UnknownError()"), "KAFKA_GROUP_ID=tokenflow.*UnknownError"),
    ],
)
def test_what_a_broker_refuses_at_the_join_names_the_setting(error: KafkaError, names: str) -> None:
    """Not a traceback: the operator changes the setting or the broker."""
    assert re.search(names, why_refused(error, WorkerSettings()))


def test_a_refused_static_member_is_told_that_its_id_may_be_taken() -> None:
    """The broker's code for it is one that aiokafka calls unknown."""
    settings = WorkerSettings(kafka_group_instance_id="one")
    assert re.search("one-1 .*KAFKA_GROUP_INSTANCE_ID and WORKER_INDEX", why_refused(KafkaError("UnknownError()"), settings))


def test_the_broker_s_member_id_of_a_static_member_is_recognised() -> None:
    """The id, a dash and a UUID (Kafka 4.3, GroupMetadataManager); another id that begins alike is another member."""
    member = "one-1-0199c0de-7a3b-7c1d-9e55-2f1a6b3c4d5e"
    assert is_of(member, "one-1")
    assert not any(is_of(member, other) for other in ("one", "one-11", "ne-1", "", None))


def test_a_contradiction_cannot_be_set() -> None:
    """Drain limit and rebalance timeout are no settings: nobody can set one below the other."""
    with pytest.raises((ValidationError, AttributeError)):
        WorkerSettings().drain_limit_seconds = 1  # type: ignore[misc]  # a property, on purpose


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8100/score/{token}",
        "https://api.example/v1/score?id={token}&full=true",
        "http://[::1]:8100/{token}",
        "https://user:secret@api.example/{token}/score",
        "HTTPS://API.example/{token}",
    ],
)
def test_a_url_that_can_be_called_is_taken(url: str) -> None:
    """Path or query, with a port or without, IPv6, credentials."""
    assert WorkerSettings(provider_url=url).provider_url == url


@pytest.mark.parametrize(
    "url",
    [
        "postgres://h/d",
        "postgresql://u:p@127.0.0.1:5433/d?sslmode=disable",
        "postgresql://u:p:@@[::1]:5433/d",
        "postgresql://u@one:5432,two/d",
        "postgresql:///d?host=/run/postgresql",
    ],
)
def test_a_database_url_is_taken(url: str) -> None:
    """As libpq writes them: IPv6, several hosts, a socket, odd passwords."""
    assert WorkerSettings(database_url=SecretStr(url)).database_url.get_secret_value() == url


def test_a_complaint_about_a_url_does_not_repeat_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may carry a password or an API key."""
    monkeypatch.setenv("PROVIDER_URL", "https://user:hunter2@api.example/score")
    with pytest.raises(SettingsError) as refused:
        load_settings(WorkerSettings)
    assert "hunter2" not in str(refused.value)
