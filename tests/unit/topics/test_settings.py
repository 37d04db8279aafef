from pathlib import Path

import pytest
from pydantic import Field, SecretStr, ValidationError

from topics.settings import KafkaSettings, SettingsError, load_settings

NAMES = [name.upper() for name in KafkaSettings.model_fields]


@pytest.fixture(autouse=True)
def _no_settings_but_the_tests_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of the developer's shell and no .env of the checkout reach a test."""
    for name in (*NAMES, "DATABASE_URL", "WORKER_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def _load(monkeypatch: pytest.MonkeyPatch, **environment: str) -> KafkaSettings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return load_settings(KafkaSettings)


def test_the_defaults_are_a_local_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has to be set to begin."""
    settings = _load(monkeypatch)
    assert (settings.kafka_bootstrap_servers, settings.tokens_partitions) == ("127.0.0.1:9092", 12)
    assert (settings.tokens_topic, settings.retry_topic, settings.dlq_topic) == ("tokens", "tokens.retry.5m", "tokens.dlq")


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"RETRY_DELAY_MINUTES": "0.001"}, "RETRY_DELAY_MINUTES=0.001 is 0.060 seconds"),
        ({"RETRY_DELAY_MINUTES": "nan"}, "RETRY_DELAY_MINUTES=nan"),
        ({"RETRY_DELAY_MINUTES": "soon"}, "RETRY_DELAY_MINUTES=soon: "),
        ({"RETRY_DELAY_MINUTES": "50000"}, "RETRY_DELAY_MINUTES=50000 .*TOPIC_RETENTION_DAYS=30"),
        ({"RETRY_DELAY_MINUTES": "721", "TOPIC_RETENTION_DAYS": "1"}, "TOPIC_RETENTION_DAYS=1"),
        ({"TOPIC_RETENTION_DAYS": "0"}, "TOPIC_RETENTION_DAYS=0: "),
        ({"TOPIC_RETENTION_DAYS": "inf"}, "TOPIC_RETENTION_DAYS=inf: "),
        ({"TOKENS_PARTITIONS": "12.5"}, "TOKENS_PARTITIONS=12.5: "),
        ({"TOKENS_PARTITIONS": "0"}, "TOKENS_PARTITIONS=0: "),
        ({"TOKENS_TOPIC": "a b"}, "TOKENS_TOPIC=a b: "),
        ({"TOKENS_TOPIC": "x" * 201}, "TOKENS_TOPIC=x"),
        ({"TOKENS_TOPIC": ".."}, r"TOKENS_TOPIC=\.\.: "),
        ({"KAFKA_BOOTSTRAP_SERVERS": " "}, "KAFKA_BOOTSTRAP_SERVERS= : "),
        ({"KAFKA_BOOTSTRAP_SERVERS": "kafka:port"}, "KAFKA_BOOTSTRAP_SERVERS=kafka:port: .*host:port"),
        ({"KAFKA_BOOTSTRAP_SERVERS": "PLAINTEXT://kafka:9092"}, "KAFKA_BOOTSTRAP_SERVERS=PLAINTEXT.* without a scheme"),
        ({"KAFKA_GROUP_ID": "x" * 250}, "KAFKA_GROUP_ID=x"),
        ({"KAFKA_SECURITY_PROTOCOL": "sasl"}, "KAFKA_SECURITY_PROTOCOL=sasl: .*'SASL_SSL'"),
        ({"TOKEN_PATTERN": "["}, r"TOKEN_PATTERN=\[: .*regular expression"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], complaint: str
) -> None:
    """The variable as it stands in the environment, its value, and what is wrong with it, in one line."""
    with pytest.raises(SettingsError, match=complaint) as refused:
        _load(monkeypatch, **environment)
    assert "\n" not in str(refused.value)


def test_every_setting_that_is_wrong_has_its_own_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """One start tells them all."""
    with pytest.raises(SettingsError) as refused:
        _load(monkeypatch, TOKENS_PARTITIONS="none", KAFKA_REPLICATION_FACTOR="0")
    assert [line.partition("=")[0] for line in str(refused.value).splitlines()] == [
        "TOKENS_PARTITIONS",
        "KAFKA_REPLICATION_FACTOR",
    ]


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"KAFKA_SASL_USERNAME": "app"},
        {"KAFKA_SASL_PASSWORD": "secret"},
        {"KAFKA_SASL_USERNAME": "app", "KAFKA_SASL_PASSWORD": " "},
    ],
)
def test_sasl_needs_a_user_and_a_password(monkeypatch: pytest.MonkeyPatch, protocol: str, given: dict[str, str]) -> None:
    """Half a login is refused at the start, and the password is not repeated."""
    with pytest.raises(SettingsError, match=f"KAFKA_SECURITY_PROTOCOL={protocol} needs") as refused:
        _load(monkeypatch, KAFKA_SECURITY_PROTOCOL=protocol, **given)
    assert "secret" not in str(refused.value)


def test_a_whole_login_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The password is kept as a secret: printing the settings does not show it."""
    settings = _load(
        monkeypatch, KAFKA_SECURITY_PROTOCOL="SASL_SSL", KAFKA_SASL_USERNAME="app", KAFKA_SASL_PASSWORD="s3cret"
    )
    assert settings.kafka_sasl_password == SecretStr("s3cret")
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize("blank", ["", "  "])
def test_a_blank_optional_value_is_an_absent_one(monkeypatch: pytest.MonkeyPatch, blank: str) -> None:
    """`TOKEN_PATTERN=` in a .env means "none", and not "only the empty token"."""
    names = ["KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD", "KAFKA_SSL_CAFILE", "TOKEN_PATTERN"]
    settings = _load(monkeypatch, **dict.fromkeys(names, blank))
    assert [getattr(settings, name.lower()) for name in names] == [None] * 4


def test_the_env_file_is_read_with_comments_and_spaces_and_the_environment_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Comments behind values, trailing spaces, quotes, `export`, CRLF, and keys of other processes."""
    lines = [
        "# Kafka",
        "TOKENS_PARTITIONS=24   # twice the default  ",
        "RETRY_DELAY_MINUTES=1.5  ",
        'KAFKA_GROUP_ID="other group"',
        "export TOKENS_TOPIC=ids",
        "TOKEN_PATTERN=  # none",
        "NOT_OURS=1",
        "KAFKA_REPLICATION_FACTOR=3",
    ]
    (tmp_path / ".env").write_bytes("\r\n".join(lines).encode())
    settings = _load(monkeypatch, KAFKA_REPLICATION_FACTOR="1")
    assert (settings.tokens_partitions, settings.retry_topic, settings.kafka_group_id) == (
        24,
        "ids.retry.90s",
        "other group",
    )
    assert (settings.token_pattern, settings.kafka_replication_factor) == (None, 1)


def test_settings_do_not_change_after_the_start() -> None:
    """They are frozen: what was checked is what is used."""
    settings = KafkaSettings()
    with pytest.raises(ValidationError):
        settings.tokens_partitions = 1  # type: ignore[misc] # the assignment that must not work


class _WorkerSettings(KafkaSettings):
    database_url: str = Field(min_length=40)
    worker_key: SecretStr


def test_a_complaint_never_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing setting does not print those that are there, and a refused URL does not print its password."""
    for name, value in {"KAFKA_SASL_PASSWORD": "hunter2", "DATABASE_URL": "postgresql://me:hunter2@db/x"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        load_settings(_WorkerSettings)
    assert "hunter2" not in str(refused.value)
    assert [line.split(":")[0] for line in str(refused.value).splitlines()] == ["DATABASE_URL", "WORKER_KEY is not set"]
