"""The process's one Kafka producer: it connects by itself, bounds every wait, and is replaced once it cannot be trusted.

State: `_broker` is set by the task `run` and cleared by it or by `stop`; `_unacknowledged` grows in `produce` and shrinks in
the produce task's callback. All on one event loop, so there is no lock.
"""

import asyncio
import logging
import time
from typing import Any, Final

from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError, UnknownTopicOrPartitionError
from faststream.exceptions import IncorrectState
from faststream.kafka import KafkaBroker

from producer_api.metrics import Metrics
from producer_api.problems import KafkaUnavailableError, NotAcknowledgedError, RecordTooLargeError, TooManyProducesError
from producer_api.settings import ApiSettings
from producer_api.values import OutgoingRecord, fits_topic
from topics.catalogue import HOP_BYTES, MAX_MESSAGE_BYTES
from topics.connection import KafkaConnectionError, kafka_broker
from topics.provision import ProvisionError, verify_topics

CONNECT_SECONDS: Final = 15.0
STOP_SECONDS: Final = 10.0
FIRST_BACKOFF_SECONDS: Final = 0.25
MAX_BACKOFF_SECONDS: Final = 5.0
MAX_UNACKNOWLEDGED_BYTES: Final = 128 * MAX_MESSAGE_BYTES
"""The second bound on what waits for Kafka: ten thousand of the largest records would be 10 GiB."""
NOT_APPENDED: Final = (KafkaTimeoutError, UnknownTopicOrPartitionError)
"""Raised before a record enters a batch: they leave no gap in the idempotent producer's sequence numbers."""

log = logging.getLogger(__name__)


class TokenProducer:
    """Produces records to the tokens topic with acks=all and idempotence; one for the process.

    A batch that Kafka refuses for good leaves a gap in the producer's sequence, after which the partition refuses all that
    follow (aiokafka takes the number before it sends and never gives it back). So any such error retires the producer: a
    new one, with a new producer id, takes over within a second, while the old one finishes what it still can.
    """

    def __init__(self, settings: ApiSettings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._broker: KafkaBroker | None = None
        self._lost_trust = asyncio.Event()
        self._unacknowledged: set[asyncio.Task[Any]] = set()
        self._unacknowledged_bytes = 0
        self._given_up: set[asyncio.Task[Any]] = set()
        self._retiring: set[asyncio.Task[None]] = set()
        self._why_not = "The producer has not connected yet."
        metrics.unacknowledged.set_function(lambda: len(self._unacknowledged))

    async def run(self) -> None:
        """Connect, and connect again whenever the producer is retired or Kafka was away; runs until cancelled."""
        backoff = FIRST_BACKOFF_SECONDS
        while True:
            broker = await self._connect()
            if broker is None:
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, MAX_BACKOFF_SECONDS)
                continue
            self._broker, backoff = broker, FIRST_BACKOFF_SECONDS
            self._metrics.connected.set(1)
            await self._lost_trust.wait()
            self._lost_trust.clear()
            self._retire(broker)
            await asyncio.sleep(FIRST_BACKOFF_SECONDS)

    async def stop(self) -> None:
        """Send what is still unacknowledged, for at most STOP_SECONDS; safe in every state. Call it after `run` ended."""
        if self._broker is not None:
            self._retire(self._broker)
        if self._retiring:
            await asyncio.wait(self._retiring)
        if self._unacknowledged:
            log.error("%d records were not acknowledged; their POSTs were answered with 503", len(self._unacknowledged))
        for task in self._unacknowledged:
            task.cancel()

    async def produce(self, record: OutgoingRecord) -> None:
        """Return when every in-sync replica has the record.

        The wait is bounded; the produce is not, since a producer cannot take a record back: after NotAcknowledgedError the
        record may still arrive.

        Raises:
            RecordTooLargeError: it does not fit the topic.
            KafkaUnavailableError, TooManyProducesError: nothing was produced.
            NotAcknowledgedError: not acknowledged within the limit, or refused.

        """
        if not fits_topic(record):
            raise RecordTooLargeError(f"The record takes {record.size_bytes} bytes; the topic takes {MAX_MESSAGE_BYTES}.")
        if self._broker is None:
            raise KafkaUnavailableError(f"Nothing was produced. {self._why_not}")
        if (
            len(self._unacknowledged) >= self._settings.api_max_unacknowledged_produces
            or self._unacknowledged_bytes + record.size_bytes > MAX_UNACKNOWLEDGED_BYTES
        ):
            raise TooManyProducesError(
                f"{len(self._unacknowledged)} records ({self._unacknowledged_bytes} bytes) wait for Kafka; "
                "this one was not produced."
            )
        task = self._start(self._broker, record)
        await asyncio.wait((task,), timeout=self._settings.api_produce_timeout_seconds)
        if not task.done():
            self._given_up.add(task)
            raise NotAcknowledgedError(
                f"No acknowledgement within {self._settings.api_produce_timeout_seconds:g} s. The record may still arrive: "
                f"ask for /records/{record.record_id} before you send it again.",
                record_id=record.record_id,
            )
        self._raise_refusal(task, record)
        self._metrics.ingested.inc()

    async def why_not_ready(self, *, timeout_seconds: float) -> str | None:
        """Return None if a record could be produced now, else a sentence that says why not."""
        broker = self._broker
        if broker is None:
            return self._why_not
        if not await broker.ping(timeout_seconds):
            return f"No Kafka broker answered within {timeout_seconds:g} s."
        return None

    async def _connect(self) -> KafkaBroker | None:
        """Return a connected broker, or None with `_why_not` set. Asks for the topic first: a produce to none would hang."""
        try:
            missing = [difference for difference in await verify_topics(self._settings) if difference.fatal]
        except (KafkaConnectionError, ProvisionError) as error:
            self._say_why_not(str(error))
            return None
        for difference in missing:
            if difference.topic == self._settings.tokens_topic:
                self._say_why_not(f"The {difference}.")
                return None
        broker = kafka_broker(self._settings, client_id="tokenflow-api", max_record_bytes=MAX_MESSAGE_BYTES + HOP_BYTES)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await broker.connect()
        except (TimeoutError, OSError, KafkaError) as error:
            await self._stop_broker(broker)
            self._say_why_not(f"Kafka answered and then did not: {error!r}")
            return None
        log.info("connected to Kafka at %s", self._settings.kafka_bootstrap_servers)
        return broker

    def _say_why_not(self, sentence: str) -> None:
        if sentence != self._why_not:
            log.warning("%s", sentence)
        self._why_not = sentence

    def _retire(self, broker: KafkaBroker) -> None:
        """Take no new record, and let a task of its own wait for what the broker still has."""
        self._broker = None
        self._why_not = "The producer is being replaced or stopped."
        self._metrics.connected.set(0)
        task = asyncio.create_task(self._stop_broker(broker), name="stop a retired producer")
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _stop_broker(self, broker: KafkaBroker) -> None:
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await broker.stop()
        except (TimeoutError, OSError, KafkaError) as error:
            log.warning("a producer did not stop cleanly: %r", error)

    def _start(self, broker: KafkaBroker, record: OutgoingRecord) -> asyncio.Task[Any]:
        """Hand the record to the producer in a task of its own, so that no disconnect of a caller cancels it."""
        started, size_bytes = time.monotonic(), record.size_bytes
        task = asyncio.create_task(self._publish(broker, record))
        self._unacknowledged.add(task)
        self._unacknowledged_bytes += size_bytes

        def ended(task: asyncio.Task[Any]) -> None:
            self._unacknowledged.discard(task)
            self._unacknowledged_bytes -= size_bytes
            self._metrics.produce_seconds.observe(time.monotonic() - started)
            self._judge(task, broker)

        task.add_done_callback(ended)
        return task

    async def _publish(self, broker: KafkaBroker, record: OutgoingRecord) -> None:
        # FastStream always adds a correlation_id: give it the record's id, which is what correlates.
        await broker.publish(
            record.value,
            topic=self._settings.tokens_topic,
            key=record.key,
            headers=record.headers,
            correlation_id=record.record_id,
        )

    def _judge(self, task: asyncio.Task[Any], broker: KafkaBroker) -> None:
        """Count how a produce ended, and retire the producer if its sequence can no longer be trusted."""
        error = None if task.cancelled() else task.exception()
        if task in self._given_up:
            self._given_up.discard(task)
            self._metrics.late.labels("acknowledged" if error is None and not task.cancelled() else "failed").inc()
        if error is None:
            return
        self._metrics.produce_failures.labels(type(error).__name__).inc()
        log.error("a produce failed: %r", error)
        if broker is self._broker and not isinstance(error, NOT_APPENDED) and not self._lost_trust.is_set():
            self._metrics.replacements.inc()
            self._lost_trust.set()

    def _raise_refusal(self, task: asyncio.Task[Any], record: OutgoingRecord) -> None:
        """Translate what Kafka's client raised (IncorrectState: the producer was just retired); a bug passes through."""
        try:
            task.result()
        except MessageSizeTooLargeError as error:
            raise RecordTooLargeError(
                f"The broker refuses a record of {record.size_bytes} bytes: see max.message.bytes of the topic."
            ) from error
        except (KafkaError, IncorrectState) as error:
            raise NotAcknowledgedError(
                f"Kafka refused the record ({type(error).__name__}).", record_id=record.record_id
            ) from error
