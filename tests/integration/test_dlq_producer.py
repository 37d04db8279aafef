"""The producer of dead letters against a real topic, which refuses what is too large for it."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import MessageSizeTooLargeError

from consumers.dead_letters import DeadLetterProducer
from consumers.engine.record import DeadLettered, ErrorKind, Retrying, Settled
from tests.support.contract import read_letters
from tests.support.faults import hold_fault
from tests.support.records import make_record
from tests.support.services import free_ports
from tests.support.topic_faults import produces_refused
from topics.connection import kafka_producer
from topics.provision import create_topics
from topics.settings import KafkaSettings

LIMIT = 200_000
"""Above a batch of ours, as the real one is: a record that is refused lies in a batch of its own."""
PRODUCE_SECONDS = 30


def dead(number: int, **changes: Any) -> Settled:
    """Make a dead letter of the record at an offset."""
    return Settled(make_record(number, **changes), DeadLettered(ErrorKind.REJECTED, "no"))


@asynccontextmanager
async def producing(kafka: str, topic: str, *, broker_limit: int, client_limit: int) -> AsyncIterator[DeadLetterProducer]:
    """Make a topic that takes records up to a limit, and a producer that may have another."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, 1, topic_configs={"max.message.bytes": str(broker_limit)})])
    finally:
        await admin.close()
    settings = KafkaSettings(kafka_bootstrap_servers=kafka)
    producer = DeadLetterProducer(topic, lambda: kafka_producer(settings, client_id="t", max_record_bytes=client_limit))
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


@pytest.mark.parametrize(
    ("broker_limit", "client_limit"), [(1_000_000, LIMIT), (LIMIT, 1_000_000)], ids=["our client", "the broker"]
)
async def test_what_is_refused_for_its_size_goes_out_without_its_payload_and_harms_no_other(
    kafka: str, topic_base: str, broker_limit: int, client_limit: int
) -> None:
    """Whoever refuses, and whatever is produced beside it: every dead letter lies in the topic, the small ones whole."""
    large = {
        number: random.Random(number).randbytes(2 * LIMIT) for number in range(0, 60, 20)
    }  # noise: it does not compress
    letters = [dead(number, value=large.get(number, b"v%d" % number), key=b"k") for number in range(60)]
    limits = {"broker_limit": broker_limit, "client_limit": client_limit}
    async with producing(kafka, topic_base, **limits) as producer, asyncio.timeout(PRODUCE_SECONDS):
        await asyncio.gather(*(producer.produce(letter) for letter in letters))
        await producer.produce(dead(60, value=b"v60", key=b"k"))

    found = await read_letters(kafka, topic_base)
    assert sorted(offset for _, offset in found) == list(range(61))
    values = Counter((offset, letter.value, letter.key) for (_, offset), copies in found.items() for letter in copies)
    for number in range(61):
        expected = None if number in large else b"v%d" % number
        assert values[number, expected, b"k"] >= 1
    assert not [offset for offset, value, _ in values if offset in large and value is not None]


async def test_a_topic_too_small_for_the_headers_alone_is_said(kafka: str, topic_base: str) -> None:
    """No endless loop: whoever set the topic so has to know."""
    async with producing(kafka, topic_base, broker_limit=300, client_limit=1_000_000) as producer:
        with pytest.raises(MessageSizeTooLargeError):
            async with asyncio.timeout(PRODUCE_SECONDS):
                await producer.produce(dead(1))


async def test_a_record_without_key_and_value_is_a_dead_letter_like_others(kafka: str, topic_base: str) -> None:
    """The client refuses such in send(), and other clients send them."""
    async with producing(kafka, topic_base, broker_limit=LIMIT, client_limit=LIMIT) as producer:
        await asyncio.wait_for(producer.produce(dead(1, value=None, headers=[("origin", b"\xff")])), PRODUCE_SECONDS)
    (letter,) = (await read_letters(kafka, topic_base))[0, 1]
    assert (letter.key, letter.value, letter.foreign) == (None, None, (("origin", b"\xff"),))


async def test_hundreds_of_dead_letters_share_one_try_to_connect(kafka: str, topic_base: str) -> None:
    """With Kafka away each of them would make a producer of its own, one after the other; with it back, all go out."""
    settings = KafkaSettings(kafka_bootstrap_servers=kafka)
    (nobody,) = free_ports(1)
    addresses = [f"127.0.0.1:{nobody}"]
    made = 0

    def make() -> AIOKafkaProducer:
        nonlocal made
        made += 1
        given = settings.model_copy(update={"kafka_bootstrap_servers": addresses[-1]})
        return kafka_producer(given, client_id="t", max_record_bytes=LIMIT)

    async with producing(kafka, topic_base, broker_limit=LIMIT, client_limit=LIMIT):
        producer = DeadLetterProducer(topic_base, make)
        produces = [asyncio.create_task(producer.produce(dead(number))) for number in range(300)]
        await hold_fault(2)
        assert 1 <= made <= 10
        addresses.append(kafka)
        await asyncio.wait_for(asyncio.gather(*produces), PRODUCE_SECONDS)
        await producer.stop()
    assert len(await read_letters(kafka, topic_base)) == 300


async def test_what_a_topic_refuses_for_a_while_is_produced_when_it_takes_it(kafka: str, topic_base: str) -> None:
    """Each refusal ends a producer while others hand over to it; none of these waits for that one for ever."""
    settings = KafkaSettings(kafka_bootstrap_servers=kafka, tokens_topic=topic_base, retry_delay_minutes=0.05)
    await create_topics(settings)
    producer = DeadLetterProducer(
        f"{topic_base}.dlq",
        lambda: kafka_producer(settings, client_id="t", max_record_bytes=LIMIT),
        retry_topic=f"{topic_base}.retry.3s",
    )
    await producer.start()
    async with produces_refused(kafka, f"{topic_base}.dlq"):
        produces = []
        for number in range(400):
            retry = Settled(make_record(number), Retrying(ErrorKind.TRANSIENT, "no"))
            produces += [asyncio.create_task(producer.produce(each)) for each in (dead(number, key=None), retry)]
            await hold_fault(0.01)
    await asyncio.wait_for(asyncio.gather(*produces), PRODUCE_SECONDS)
    await producer.stop()
    assert len(await read_letters(kafka, f"{topic_base}.dlq")) == 400
