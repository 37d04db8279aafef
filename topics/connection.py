"""How a process of ours connects to Kafka: settings in, client arguments out. One place for security and producer limits.

Two shapes come from here: keyword arguments for aiokafka's own clients (`client_options`), and a FastStream broker
(`kafka_broker`). Nothing connects before its owner says so.
"""

import logging
import ssl
import time
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaProducer
from faststream.kafka import KafkaBroker
from faststream.kafka.security import parse_security
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from topics.closed_connections import notice_closed_connections
from topics.settings import KafkaSettings, SettingsError

METADATA_AGE_MS = 30_000
"""Partitions that are added are written to and read after at most so long; aiokafka's five minutes look like a loss."""
LINGER_MS = 5
MAX_BATCH_BYTES = 131_072
"""With 5 ms of linger the cheapest pair measured: 12 us of CPU a record against 27 us with aiokafka's 16 KiB."""
_SASL = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}


class KafkaConnectionError(Exception):
    """Kafka does not answer; the text is one sentence that names KAFKA_BOOTSTRAP_SERVERS."""

    def __init__(self, settings: KafkaSettings) -> None:
        hint = "" if settings.kafka_security_protocol == "PLAINTEXT" else " and certificates, user and password"
        super().__init__(
            f"KAFKA_BOOTSTRAP_SERVERS={settings.kafka_bootstrap_servers} cannot be reached: "
            f"start Kafka or correct the address (and check KAFKA_SECURITY_PROTOCOL="
            f"{settings.kafka_security_protocol}{hint})."
        )


def bootstrap_servers(settings: KafkaSettings) -> list[str]:
    """Split the brokers' addresses, `host:port` each."""
    return [server.strip() for server in settings.kafka_bootstrap_servers.split(",") if server.strip()]


def security(settings: KafkaSettings) -> BaseSecurity | None:
    """Describe the way to speak to the brokers as FastStream takes it; None is PLAINTEXT.

    Raises:
        SettingsError: the CA file cannot be read.

    """
    protocol = settings.kafka_security_protocol
    context = _ssl_context(settings) if protocol.endswith("SSL") else None
    if not protocol.startswith("SASL"):
        return BaseSecurity(ssl_context=context) if context else None
    if settings.kafka_sasl_username is None or settings.kafka_sasl_password is None:
        raise SettingsError(
            f"KAFKA_SECURITY_PROTOCOL={protocol} needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD: set both."
        )
    return _SASL[settings.kafka_sasl_mechanism](
        username=settings.kafka_sasl_username,
        password=settings.kafka_sasl_password.get_secret_value(),
        ssl_context=context,
    )


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """Keyword arguments that any of aiokafka's clients (admin, consumer, producer) takes to connect."""
    notice_closed_connections()
    return {
        "bootstrap_servers": bootstrap_servers(settings),
        "metadata_max_age_ms": METADATA_AGE_MS,
        **parse_security(security(settings)),
    }


def kafka_broker(settings: KafkaSettings, *, client_id: str, max_record_bytes: int) -> KafkaBroker:
    """Make a FastStream broker whose producer loses and repeats nothing: acks=all, idempotent, lz4. It is not connected.

    `max_record_bytes` bounds one record with its key and headers, before compression (aiokafka: `max_request_size`).
    """
    notice_closed_connections()
    return KafkaBroker(
        bootstrap_servers(settings),
        security=security(settings),
        client_id=client_id,
        metadata_max_age_ms=METADATA_AGE_MS,
        acks="all",
        enable_idempotence=True,
        compression_type="lz4",
        linger_ms=LINGER_MS,
        max_batch_size=MAX_BATCH_BYTES,
        max_request_size=max_record_bytes,
        allow_auto_create_topics=False,
        apply_types=False,
        logger=logging.getLogger("faststream"),
    )


def kafka_producer(settings: KafkaSettings, *, client_id: str, max_record_bytes: int) -> AIOKafkaProducer:
    """Make aiokafka's own producer with the same guarantees, for records whose headers are any bytes, and repeat.

    FastStream's `publish` takes a mapping of text to text. It is not started; build it inside the running loop.
    """
    return AIOKafkaProducer(
        client_id=client_id,
        acks="all",
        enable_idempotence=True,
        compression_type="lz4",
        linger_ms=LINGER_MS,
        max_batch_size=MAX_BATCH_BYTES,
        max_request_size=max_record_bytes,
        **client_options(settings),
    )


class OutageFilter(logging.Filter):
    """Let through at most `burst` records of a logger per `period_seconds`, and say how many were held back.

    An aiokafka client logs some 70 errors a second while its broker is away (measured); the first few say it all.
    """

    def __init__(self, *, burst: int = 5, period_seconds: float = 30.0, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._burst = burst
        self._period_seconds = period_seconds
        self._clock = clock
        self._until = float("-inf")
        self._passed = 0
        self._held_back = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Count warnings and errors together; lesser ones always pass."""
        if record.levelno < logging.WARNING:
            return True
        now = self._clock()
        if now >= self._until:
            if self._held_back:
                record.msg = f"{record.getMessage()} ({self._held_back} similar lines were held back)"
                record.args = ()
            self._until, self._passed, self._held_back = now + self._period_seconds, 0, 0
        self._passed += 1
        if self._passed <= self._burst:
            return True
        self._held_back += 1
        return False


def calm_client_logs() -> None:
    """Rate-limit what aiokafka logs in an outage. Safe to call twice; call it once at the start of a process."""
    for name in _AIOKAFKA_LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(present, OutageFilter) for present in logger.filters):
            logger.addFilter(OutageFilter())


# A filter on a parent does not see its children's records, so each module that logs in an outage is named.
_AIOKAFKA_LOGGERS = (
    "aiokafka",
    "aiokafka.client",
    "aiokafka.cluster",
    "aiokafka.conn",
    "aiokafka.producer.producer",
    "aiokafka.producer.sender",
    "aiokafka.consumer.consumer",
    "aiokafka.consumer.fetcher",
    "aiokafka.consumer.group_coordinator",
)


def _ssl_context(settings: KafkaSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.kafka_ssl_cafile)
    except OSError as error:
        raise SettingsError(
            f"KAFKA_SSL_CAFILE={settings.kafka_ssl_cafile} cannot be used ({error}): name a readable PEM file."
        ) from error
