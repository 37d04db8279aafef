"""Reads exactly one record of a topic, as a worker would find it, or says why there is none. Joins no group."""

import asyncio
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import CorruptRecordException, KafkaError
from aiokafka.structs import TopicPartition

from consumers.engine.intake import make_intake
from consumers.engine.record import Record
from consumers.engine.window import PartitionWindow
from consumers.header_names import accept_any_header_name
from infra.errors import ExpectedError
from topics.connection import KafkaConnectionError, client_options
from topics.provision import is_retry_topic
from topics.settings import KafkaSettings

READ_SECONDS: Final = 20.0
"""For everything that Kafka is asked; a broker on the same machine needs some 50 ms."""
POLL_MS: Final = 2_000
PATTERN_SECONDS: Final = 2.0
"""A token has at most 256 characters: a TOKEN_PATTERN that is not done with it by then may never be."""


class NoRecordError(ExpectedError):
    """There is no such record; the text says what lies there instead."""


class _EndlessPatternError(Exception):
    """TOKEN_PATTERN does not come to an end on this record."""


async def read_record(settings: KafkaSettings, where: TopicPartition, offset: int) -> Record:
    """Read the record at this offset, with the identity that a worker gives it.

    Raises:
        NoRecordError: there is none, or it cannot be read.
        KafkaConnectionError: no broker answers.

    """
    if where.topic != settings.tokens_topic and not is_retry_topic(where.topic, settings.tokens_topic):
        raise NoRecordError(
            f"No worker reads {where.topic}: name {settings.tokens_topic} or a retry topic of it, or correct TOKENS_TOPIC."
        )
    accept_any_header_name()
    consumer = AIOKafkaConsumer(enable_auto_commit=False, isolation_level="read_committed", **client_options(settings))
    try:
        async with asyncio.timeout(READ_SECONDS):
            await consumer.start()
            return _as_a_worker_reads_it(await _poll(consumer, where, offset), settings)
    except (CorruptRecordException, UnicodeDecodeError) as error:
        raise NoRecordError(
            f"{_name(where, offset)} cannot be read by any client ({error!r}): set the group behind it "
            f"(tokenflow kafka consumer-groups --reset-offsets --to-offset {offset + 1}, with every worker stopped)."
        ) from error
    except (KafkaError, OSError) as error:  # TimeoutError is an OSError
        raise KafkaConnectionError(settings) from error
    finally:
        await consumer.stop()


async def _poll(consumer: AIOKafkaConsumer, where: TopicPartition, offset: int) -> Any:
    """Return aiokafka's record at this offset."""
    await _see_that_it_exists(consumer, where, offset)
    consumer.assign([where])
    consumer.seek(where, offset)
    polled = await consumer.getmany(where, timeout_ms=POLL_MS, max_records=1)
    found = [record for records in polled.values() for record in records]
    if not found or found[0].offset != offset:
        following = f"the next one lies at {found[0].offset}" if found else "none follows either"
        raise NoRecordError(
            f"There is no record that a worker would read at {_name(where, offset)}, {following}: it was compacted away, or "
            "is the mark of a transaction, or belongs to one that is open or was aborted."
        )
    return found[0]


async def _see_that_it_exists(consumer: AIOKafkaConsumer, where: TopicPartition, offset: int) -> None:
    partitions = await consumer._client.fetch_all_metadata()  # noqa: SLF001 - asks without a subscription
    known = partitions.partitions_for_topic(where.topic) or set()
    if where.partition not in known:
        raise NoRecordError(f"{where.topic} has no partition {where.partition}: it has {len(known)}, from 0.")
    start = (await consumer.beginning_offsets([where]))[where]
    end = (await consumer.end_offsets([where]))[where]
    if offset < start:
        raise NoRecordError(f"{_name(where, offset)} was deleted: {where.topic}[{where.partition}] begins at {start} now.")
    if offset >= end:
        raise NoRecordError(f"{_name(where, offset)} does not exist yet: {where.topic}[{where.partition}] ends at {end}.")


def _as_a_worker_reads_it(polled: Any, settings: KafkaSettings) -> Record:
    """Read the token by TOKEN_PATTERN; without it where that does not come to an end, which may be what ends workers."""
    pattern = re.compile(settings.token_pattern) if settings.token_pattern else None
    try:
        with _at_most(PATTERN_SECONDS):
            return make_intake(pattern)(polled, PartitionWindow())
    except _EndlessPatternError:
        return make_intake(None)(polled, PartitionWindow())


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Interrupt what runs in this block, a regular expression too: CPython's looks for signals on its way."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise _EndlessPatternError

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _name(where: TopicPartition, offset: int) -> str:
    return f"{where.topic}[{where.partition}]@{offset}"
