"""Settings that name the Kafka cluster and the contract on it; each process extends them with its own.

A settings object is built once, in a process's entry point, by `load_settings`, and handed down. No other module reads
the environment. Real environment variables win over `./.env`; keys that belong to other processes are ignored.
"""

import re
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from topics.addresses import is_broker_list, is_database_url
from topics.catalogue import retry_delay_seconds, retry_topic_name

MINUTES_PER_DAY = 1440
_SECRET = re.compile("PASSWORD|SECRET|_KEY|_URL")
"""Names of settings whose value may be or carry a secret; it is not repeated in a complaint."""


class SettingsError(ValueError):
    """The settings cannot be used; the text is one sentence a setting, each naming the variable and the remedy."""


def _blank_is_absent(value: object) -> object:
    """Read `NAME=` in a .env as "not set", which is what whoever emptied it means."""
    return None if isinstance(value, str) and not value.strip() else value


def _is_regular_expression(pattern: str | None) -> str | None:
    """Refuse at the start what would otherwise fail at the first record."""
    try:
        re.compile(pattern or "")
    except re.error as error:
        msg = f"this is not a regular expression: {error}"
        raise ValueError(msg) from error
    return pattern


def _can_name_a_topic(name: str) -> str:
    if name in {".", ".."}:
        msg = "Kafka has no topic of this name"
        raise ValueError(msg)
    return name


def _names_brokers(servers: str) -> str:
    if not is_broker_list(servers):
        msg = "this names no brokers: use host:port,host:port, without a scheme"
        raise ValueError(msg)
    return servers


def _names_a_database(url: SecretStr) -> SecretStr:
    if not is_database_url(url.get_secret_value()):
        msg = "this is none: use postgresql://user:password@host:port/database"
        raise ValueError(msg)
    return url


OptionalText = Annotated[str | None, BeforeValidator(_blank_is_absent)]
OptionalSecret = Annotated[SecretStr | None, BeforeValidator(_blank_is_absent)]
BrokerList = Annotated[str, AfterValidator(_names_brokers)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_names_a_database)]
LOCAL_DATABASE_URL = SecretStr("postgresql://tokenflow@127.0.0.1:5433/tokenflow")
"""Where `make up` starts its own."""


class KafkaSettings(BaseSettings):
    """How to reach Kafka, and the topics' names and sizes (DESIGN contract: names derive from TOKENS_TOPIC)."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True, str_strip_whitespace=True
    )

    kafka_bootstrap_servers: BrokerList = Field("127.0.0.1:9092", description="Kafka brokers, host:port, by commas.")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How to speak to the brokers."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "PLAIN", description="SASL mechanism; read only with a SASL_ protocol."
    )
    kafka_sasl_username: OptionalText = Field(None, description="SASL user; required with a SASL_ protocol.")
    kafka_sasl_password: OptionalSecret = Field(None, description="SASL password; required with a SASL_ protocol.")
    kafka_ssl_cafile: OptionalText = Field(None, description="CA bundle for SSL and SASL_SSL; the system's when absent.")
    kafka_group_id: str = Field(
        "tokenflow",
        min_length=1,
        max_length=249,  # as a topic's name; Kafka itself sets no lower limit than its protocol's 32,767 bytes
        description="Consumer group of the workers; one database serves one group.",
    )

    tokens_topic: Annotated[str, AfterValidator(_can_name_a_topic)] = Field(
        "tokens",
        pattern=r"^[A-Za-z0-9._-]{1,200}$",
        description="Topic that tokens arrive in; retry and DLQ derive from it.",
    )
    tokens_partitions: int = Field(
        12, ge=1, le=10_000, description="Partitions of the tokens and retry topics when they are created."
    )
    kafka_replication_factor: int = Field(1, ge=1, le=32_767, description="Replicas of each topic when it is created.")
    topic_retention_days: float = Field(
        30, gt=0, le=36_500, allow_inf_nan=False, description="Days that the tokens and retry topics keep a record."
    )
    retry_delay_minutes: float = Field(
        5, description="Minutes before a failed record is tried again; fractions are allowed (0.05 = 3 s)."
    )
    token_pattern: Annotated[OptionalText, AfterValidator(_is_regular_expression)] = Field(
        None, description="Regular expression that a whole token must match; absent = 1-256 printable characters."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        protocol, days = self.kafka_security_protocol, self.topic_retention_days
        if protocol.startswith("SASL") and not (self.kafka_sasl_username and self.kafka_sasl_password):
            msg = f"KAFKA_SECURITY_PROTOCOL={protocol} needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD: set both."
            raise ValueError(msg)
        if retry_delay_seconds(self.tokens_topic):
            msg = f"TOKENS_TOPIC={self.tokens_topic} is the name of a retry topic: name the topic that tokens arrive in."
            raise ValueError(msg)
        retry_topic_name(self.tokens_topic, self.retry_delay_minutes)
        if 2 * self.retry_delay_minutes > days * MINUTES_PER_DAY:
            msg = (
                f"RETRY_DELAY_MINUTES={self.retry_delay_minutes:g} is more than half of TOPIC_RETENTION_DAYS={days:g}: "
                "Kafka would delete records before they are tried again. Lower the delay or raise the retention."
            )
            raise ValueError(msg)
        return self

    @property
    def retry_topic(self) -> str:
        """Name of the retry topic for the delay set here."""
        return retry_topic_name(self.tokens_topic, self.retry_delay_minutes)

    @property
    def dlq_topic(self) -> str:
        """Name of the topic that logs dead letters."""
        return f"{self.tokens_topic}.dlq"


AnySettings = TypeVar("AnySettings", bound=BaseSettings)


def load_settings(cls: type[AnySettings]) -> AnySettings:
    """Build the settings of a process from the environment and `./.env`.

    Raises:
        SettingsError: something is missing, out of range or contradictory; the text says what to change.

    """
    try:
        return cls()
    except ValidationError as error:
        raise SettingsError("\n".join(_sentence(detail) for detail in error.errors())) from error


def _sentence(detail: ErrorDetails) -> str:
    """Turn one pydantic error into "NAME=value: reason", and a relation between settings into its own sentence."""
    message = str(detail["msg"]).removeprefix("Value error, ")
    name = "_".join(str(part) for part in detail["loc"]).upper()
    if not name:
        return message
    if detail["type"] == "missing":  # its input would be all other settings, passwords included
        return f"{name} is not set: {message}"
    return f"{name}: {message}" if _SECRET.search(name) else f"{name}={detail['input']}: {message}"
