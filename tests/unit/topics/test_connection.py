import logging
import ssl
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from topics.connection import (
    KafkaConnectionError,
    OutageFilter,
    bootstrap_servers,
    calm_client_logs,
    client_options,
    kafka_broker,
    security,
)
from topics.settings import KafkaSettings, SettingsError

SASL = {"kafka_sasl_username": "worker", "kafka_sasl_password": "s3cret"}


def settings(**changes: object) -> KafkaSettings:
    """Make settings with the fields that matter to a test."""
    return KafkaSettings.model_validate(changes)


def test_servers_are_split_at_commas() -> None:
    """Blanks and a trailing comma do no harm."""
    assert bootstrap_servers(settings(kafka_bootstrap_servers="a:1, b:2,")) == ["a:1", "b:2"]


def test_plaintext_needs_nothing_more() -> None:
    """Without a protocol the clients' defaults hold."""
    assert client_options(settings()) == {"bootstrap_servers": ["127.0.0.1:9092"], "metadata_max_age_ms": 30_000}


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_sasl_carries_mechanism_user_and_password(protocol: str, mechanism: str) -> None:
    """Every mechanism that the settings allow arrives at aiokafka under its own name, with TLS where asked for."""
    options = client_options(settings(kafka_security_protocol=protocol, kafka_sasl_mechanism=mechanism, **SASL))
    assert options["security_protocol"] == protocol
    assert options["sasl_mechanism"] == mechanism
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("worker", "s3cret")
    assert isinstance(options["ssl_context"], ssl.SSLContext) == (protocol == "SASL_SSL")


def test_ssl_verifies_the_brokers_name() -> None:
    """A context of ours never switches the checks off."""
    options = client_options(settings(kafka_security_protocol="SSL"))
    assert options["security_protocol"] == "SSL"
    assert options["ssl_context"].check_hostname
    assert options["ssl_context"].verify_mode is ssl.CERT_REQUIRED


def test_a_ca_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """One sentence with the setting and the file."""
    with pytest.raises(SettingsError, match=r"KAFKA_SSL_CAFILE=.*missing\.pem"):
        security(settings(kafka_security_protocol="SSL", kafka_ssl_cafile=str(tmp_path / "missing.pem")))


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"])
async def test_aiokafka_takes_the_options(protocol: str) -> None:
    """The names of the arguments are aiokafka's own."""
    producer = AIOKafkaProducer(**client_options(settings(kafka_security_protocol=protocol, **SASL)))
    await producer.stop()


async def test_the_broker_loses_and_repeats_nothing() -> None:
    """acks=all and idempotence are not left to a caller."""
    broker = kafka_broker(settings(), client_id="test", max_record_bytes=4096)
    options = broker._connection_kwargs
    assert options["acks"] == "all"
    assert options["enable_idempotence"] is True
    assert options["max_request_size"] == 4096


def test_no_answer_names_the_variable() -> None:
    """The sentence says which setting to look at, and never shows a password."""
    text = str(KafkaConnectionError(settings(kafka_bootstrap_servers="b:9", kafka_security_protocol="SASL_SSL", **SASL)))
    assert "KAFKA_BOOTSTRAP_SERVERS=b:9" in text
    assert "KAFKA_SECURITY_PROTOCOL=SASL_SSL" in text
    assert "s3cret" not in text


def record(level: int, text: str = "cannot connect") -> logging.LogRecord:
    """Make a log record as a client would."""
    return logging.LogRecord("aiokafka", level, __file__, 1, text, None, None)


def test_an_outage_is_told_a_few_times_and_then_held_back() -> None:
    """The rest of the period is quiet; lesser records always pass."""
    outage = OutageFilter(burst=2, period_seconds=3600)
    assert [outage.filter(record(logging.ERROR)) for _ in range(4)] == [True, True, False, False]
    assert outage.filter(record(logging.INFO))


def test_the_next_period_says_how_many_were_held_back() -> None:
    """Nothing disappears without a count."""
    now = 0.0
    outage = OutageFilter(burst=1, period_seconds=10, clock=lambda: now)
    assert [outage.filter(record(logging.ERROR)) for _ in range(3)] == [True, False, False]
    now = 11.0
    told = record(logging.ERROR)
    assert outage.filter(told)
    assert told.getMessage() == "cannot connect (2 similar lines were held back)"


def test_calming_twice_adds_one_filter() -> None:
    """Safe to call twice."""
    calm_client_logs()
    calm_client_logs()
    filters = logging.getLogger("aiokafka.conn").filters
    assert sum(isinstance(each, OutageFilter) for each in filters) == 1
