"""The next hop of a record that failed: a copy in the retry topic, or a dead letter; original bytes, and the reason.

Implements consumers.ports.DeadLetterTopic with aiokafka's own producer, not FastStream's `publish`, whose headers are a
mapping of text to text: a dead letter carries the record's headers, any bytes and repeats included, behind ours. A batch
that the broker refuses for good leaves a gap in an idempotent producer's sequence (docs/decisions/0005), so any such error
retires the producer: a new one takes over, and what had failed is produced again.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError, RecordListTooLargeError

from consumers import metrics
from consumers.engine.backoff import Backoff
from consumers.engine.broker_clock import BrokerClock
from consumers.engine.record import DeadLettered, Outcome, Record, Retrying, Settled
from consumers.errors import RetryTooLargeError
from consumers.next_hop import dead_letter_headers, retry_headers
from topics.catalogue import retry_delay_seconds
from topics.record import MAX_TOKEN_CHARACTERS

log = logging.getLogger(__name__)

CONNECT_SECONDS = 15.0
STOP_SECONDS = 5.0
SMALL_KEY_BYTES = 4 * MAX_TOKEN_CHARACTERS
"""A key that is a token is no longer than that in UTF-8."""
TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)


class _OversizeError(MessageSizeTooLargeError):  # type: ignore[misc]  # aiokafka ships no types
    """The client itself refused the record, before it entered a batch: the producer is as good as before."""


class _Connection:
    """A producer and the moment when it is given up: what it has not acknowledged then is produced by the next one."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self.producer = producer
        self.given_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def handed_over(self, hand_over: Coroutine[Any, Any, asyncio.Future[Any]]) -> asyncio.Future[Any]:
        """Put a record into a batch; return its produce. Raises what refused it, or _GivenUpError.

        Who waits for the metadata of a producer that is stopped waits for ever (aiokafka 0.14).
        """
        handing = asyncio.get_running_loop().create_task(hand_over)
        either: set[asyncio.Future[Any]] = {handing, self.given_up}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not handing.done():
                raise _GivenUpError
            return handing.result()
        finally:
            handing.cancel()

    async def acknowledged(self, produce: asyncio.Future[Any]) -> Any:
        """Wait for a produce; return where it lies, aiokafka's RecordMetadata. Raises what refused it, or _GivenUpError."""
        either: set[asyncio.Future[Any]] = {produce, self.given_up}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not produce.done():
            raise _GivenUpError
        return produce.result()


class _GivenUpError(KafkaError):  # type: ignore[misc]  # as above
    """The producer was retired before it acknowledged."""


class DeadLetterProducer:
    """Produces to the DLQ topic, for as long as it takes. `start` before the first produce, `stop` after the last."""

    def __init__(
        self,
        topic: str,
        make_producer: Callable[[], AIOKafkaProducer],
        *,
        retry_topic: str | None = None,
        clock: BrokerClock | None = None,
    ) -> None:
        self._topic = topic
        self._retry_topic = retry_topic
        self._make_producer = make_producer
        self._clock = clock or BrokerClock()
        self._live: _Connection | None = None
        self._one_change = asyncio.Lock()
        self._pause = Backoff()
        self._next_try = 0.0

    async def start(self) -> None:
        """Connect. Raises TimeoutError, KafkaError: Kafka is away."""
        async with self._one_change:
            self._live = await self._connected()

    async def stop(self) -> None:
        """Send what was handed over, for at most STOP_SECONDS. Idempotent."""
        async with self._one_change:
            live, self._live = self._live, None
            if live is not None:
                await self._retire(live)

    async def produce(self, settled: Settled) -> None:
        """Return when every in-sync replica has the copy or the dead letter; waits as long as Kafka is away.

        A retry copy that its topic does not take for its size raises RetryTooLargeError. A dead letter goes out without
        its value, a large key and all headers that the record brought: the row keeps them, and a key or header out of all
        proportion stops nobody. Raises MessageSizeTooLargeError where even that is too large: the topic is set too small.
        """
        whole = True
        backoff = Backoff()
        while True:
            live = self._live
            try:
                if live is not None:
                    sent_ms = self._clock.own_ms()
                    produce = await live.handed_over(self._hand_over(live.producer, settled, whole=whole))
                    placed = await live.acknowledged(produce)
                    self._clock.produced(placed, sent_ms=sent_ms)
                    _count(settled.outcome, whole=whole)
                    return
            except TOO_LARGE as error:
                if not isinstance(error, _OversizeError):
                    await self._replace(live)
                _refuse_unless_it_can_shrink(settled, error, whole=whole)
                whole = False
                continue
            except KafkaTimeoutError as error:  # it never entered a batch
                log.warning("%s waits to be produced: %r", settled.record.coordinates, error)
            except _GivenUpError:
                log.debug("%s is produced again, by another producer", settled.record.coordinates)
            except KafkaError as error:
                log.warning("%s is produced again: %r", settled.record.coordinates, error)
                await self._replace(live)
            else:
                await self._replace(None)
            await asyncio.sleep(backoff.next_seconds())

    async def _hand_over(self, producer: AIOKafkaProducer, settled: Settled, *, whole: bool) -> asyncio.Future[object]:
        """Put a copy or a dead letter into a batch; the future is done when it is acknowledged."""
        record, outcome = settled.record, settled.outcome
        if isinstance(outcome, Retrying):
            return await self._hand_over_retry(producer, record, outcome)
        assert isinstance(outcome, DeadLettered)  # noqa: S101 - a bug of ours otherwise
        key, value = (record.key, record.value) if whole else (_small(record.key), None)
        headers = dead_letter_headers(record, outcome, whole=whole, now=time.time())
        try:
            if value is not None or key is not None:
                return _future(await producer.send(self._topic, value, key=key, headers=headers))
        except MessageSizeTooLargeError as error:
            raise _OversizeError(str(error)) from error
        # send() refuses a record without key and value, which other clients do send; as a batch of one it is taken.
        batch = producer.create_batch()
        batch.append(key=None, value=None, timestamp=None, headers=headers)
        partitions = sorted(await producer.partitions_for(self._topic))
        return _future(await producer.send_batch(batch, self._topic, partition=partitions[record.offset % len(partitions)]))

    async def _hand_over_retry(
        self, producer: AIOKafkaProducer, record: Record, outcome: Retrying
    ) -> asyncio.Future[object]:
        """Put a retry copy into a batch, for the partition whose number its record has: the same worker reads both."""
        assert self._retry_topic is not None  # noqa: S101 - a bug of ours otherwise
        partitions = sorted(await producer.partitions_for(self._retry_topic))
        partition = partitions[record.source.partition % len(partitions)]
        headers = retry_headers(record, outcome, delay_seconds=retry_delay_seconds(self._retry_topic), now=time.time())
        try:
            return _future(
                await producer.send(self._retry_topic, record.value, key=record.key, partition=partition, headers=headers)
            )
        except MessageSizeTooLargeError as error:
            raise _OversizeError(str(error)) from error

    async def _replace(self, failed: _Connection | None) -> None:
        """Retire a producer that failed, once; where no new one connects, the next try comes here again.

        Hundreds of dead letters come here at the same time, and share a try: one each would keep the event loop busy with
        producers that connect to nobody, one after the other.
        """
        loop = asyncio.get_running_loop()
        async with self._one_change:
            if self._live is not failed or (failed is None and loop.time() < self._next_try):
                return
            self._live = None
            if failed is not None:
                await self._retire(failed)
            try:
                self._live = await self._connected()
                self._pause = Backoff()
            except (TimeoutError, OSError, KafkaError) as error:
                log.warning("no producer for dead letters: %r", error)
                self._next_try = loop.time() + self._pause.next_seconds()

    async def _connected(self) -> _Connection:
        producer = self._make_producer()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await producer.start()
        except BaseException:
            await self._end(producer)
            raise
        return _Connection(producer)

    async def _retire(self, live: _Connection) -> None:
        await self._end(live.producer)
        live.given_up.set_result(None)

    async def _end(self, producer: AIOKafkaProducer) -> None:
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await producer.stop()
        except (TimeoutError, OSError, KafkaError) as error:
            log.warning("the producer of dead letters did not stop cleanly: %r", error)


def _refuse_unless_it_can_shrink(settled: Settled, error: Exception, *, whole: bool) -> None:
    """Return where a dead letter may still go out without its payload; raise what its caller has to decide."""
    if isinstance(settled.outcome, Retrying):
        raise RetryTooLargeError(str(error)) from error
    if not whole:
        raise error
    log.warning("%s goes to the DLQ without its payload: %s", settled.record.coordinates, error)


def _count(outcome: Outcome, *, whole: bool) -> None:
    if isinstance(outcome, DeadLettered):
        metrics.DEAD_LETTERS.labels("whole" if whole else "without_payload").inc()


def _small(key: bytes | None) -> bytes | None:
    """Keep a key that is small enough never to matter."""
    return key if key is None or len(key) <= SMALL_KEY_BYTES else None


def _future(sent: Any) -> asyncio.Future[object]:
    """What aiokafka's sends return, typed."""
    assert isinstance(sent, asyncio.Future)  # noqa: S101 - aiokafka ships no types
    return sent
