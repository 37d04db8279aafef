"""Produces copies to the tokens topic, for as long as it takes: any bytes, any headers, to a partition by number.

aiokafka's own producer, not the API's (producer.py), whose headers are a mapping of text and whose key is the token. A batch
that the broker refuses for good leaves a gap in an idempotent producer's sequence (docs/decisions/0005), so an error retires
the producer, and what it had not acknowledged is produced again by the next one. A second copy of an id costs no call: the
workers' claim and done-set drop it.
"""

import asyncio
import logging
from typing import Any, Final
from uuid import UUID

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from producer_api.redrive.copies import Copy
from topics.catalogue import HOP_BYTES, MAX_MESSAGE_BYTES
from topics.connection import kafka_producer
from topics.settings import KafkaSettings

ACKNOWLEDGED_SECONDS: Final = 30.0
CONNECT_SECONDS: Final = 15.0
STOP_SECONDS: Final = 5.0
TOO_LARGE: Final = (MessageSizeTooLargeError, RecordListTooLargeError)

log = logging.getLogger(__name__)


class KafkaAwayError(Exception):
    """Kafka did not take everything; what it took is not known. Produce all of it again."""


class CopySender:
    """One producer at a time; `send` connects. Owned by one operation, and used by one task."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._sent: list[tuple[Copy, asyncio.Future[Any]]] = []

    async def send(self, copy: Copy) -> None:
        """Hand a copy over; `flush` tells what became of it. Raises KafkaAwayError."""
        try:
            self._sent.append((copy, await self._hand_over(await self._connected(), copy)))
        except (KafkaError, OSError) as error:  # TimeoutError is an OSError
            if isinstance(error, TOO_LARGE):  # the client itself refused it: it entered no batch
                refused: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
                refused.set_exception(error)
                self._sent.append((copy, refused))
                return
            await self._retire()
            raise KafkaAwayError(f"{type(error).__name__}: {error}") from error

    async def flush(self) -> list[UUID]:
        """Return when every in-sync replica has what was sent: the ids of those that the topic refuses for their size.

        A refused batch may have held others beside the one that is too large, so each of it is produced once more alone.

        Raises:
            KafkaAwayError: something else was not acknowledged.

        """
        sent, self._sent = self._sent, []
        suspects = [copy for copy, produce in sent if not await self._acknowledged(produce)]
        if suspects:
            await self._retire()
        return [copy.record_id for copy in suspects if not await self._alone(copy)]

    async def stop(self) -> None:
        """Let go of the producer; what it has not acknowledged is not waited for. Idempotent."""
        self._sent.clear()
        await self._retire()

    async def _alone(self, copy: Copy) -> bool:
        """Produce one copy in a batch of its own; False: the topic refuses it."""
        await self.send(copy)
        ((_, produce),) = self._sent
        self._sent.clear()
        taken = await self._acknowledged(produce)
        if not taken:
            await self._retire()
        return taken

    async def _acknowledged(self, produce: asyncio.Future[Any]) -> bool:
        """Wait for one produce; False: too large. Raises KafkaAwayError."""
        await asyncio.wait((produce,), timeout=ACKNOWLEDGED_SECONDS)
        if not produce.done():
            await self._retire()
            raise KafkaAwayError(f"no acknowledgement within {ACKNOWLEDGED_SECONDS:g} s")
        error = produce.exception()
        if error is None:
            return True
        if isinstance(error, TOO_LARGE):
            return False
        await self._retire()
        raise KafkaAwayError(f"{type(error).__name__}: {error}") from error

    async def _hand_over(self, producer: AIOKafkaProducer, copy: Copy) -> asyncio.Future[Any]:
        topic = self._settings.tokens_topic
        async with asyncio.timeout(ACKNOWLEDGED_SECONDS):
            partitions = sorted(await producer.partitions_for(topic))
            partition = partitions[copy.partition % len(partitions)]
            if copy.value is not None or copy.key is not None:
                sent: asyncio.Future[Any] = await producer.send(
                    topic, copy.value, key=copy.key, partition=partition, headers=copy.headers
                )
                return sent
            # send() refuses a record without key and value, which other clients do send; as a batch of one it is taken.
            batch = producer.create_batch()
            batch.append(key=None, value=None, timestamp=None, headers=copy.headers)
            lone: asyncio.Future[Any] = await producer.send_batch(batch, topic, partition=partition)
            return lone

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = kafka_producer(
                self._settings, client_id="tokenflow-redrive", max_record_bytes=MAX_MESSAGE_BYTES + HOP_BYTES
            )
            self._producer = producer
            async with asyncio.timeout(CONNECT_SECONDS):
                await producer.start()
        return self._producer

    async def _retire(self) -> None:
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await producer.stop()
        except (OSError, KafkaError) as error:
            log.warning("a producer did not stop cleanly: %r", error)
