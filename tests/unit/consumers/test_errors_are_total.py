"""Nothing that the database client or the Kafka client can raise is unknown to the place that meets it.

The walks follow the installed clients, so a new class of theirs is sorted here or fails.
"""

import asyncio
import inspect
from types import ModuleType, SimpleNamespace
from typing import Any

import aiokafka.errors
import pytest
from aiokafka.errors import KafkaError
from asyncpg import exceptions

from consumers.dead_letters import TOO_LARGE, DeadLetterProducer
from consumers.engine.committer import CommitResult
from consumers.engine.record import DeadLettered, ErrorKind, Retrying, Settled
from consumers.errors import RetryTooLargeError, StoreUnavailableError, UnstorableError, decide, kind_of
from consumers.store.postgres import sorted_errors
from tests.support.engine_world import P0, running_world
from tests.support.records import make_record

UNSTORABLE_CLASSES = {"22", "23", "54"}
"""SQLSTATE classes that blame the data (PostgreSQL 18, appendix A): data exception, integrity, program limit."""
RETRY_TOPIC = "tokens.retry.5m"


def _classes(module: ModuleType, root: type[BaseException]) -> list[type[Any]]:
    found = {each for each in vars(module).values() if inspect.isclass(each) and issubclass(each, root)}
    return sorted(found, key=lambda each: each.__name__)


POSTGRES = [each for each in _classes(exceptions, Exception) if not issubclass(each, Warning)]
KAFKA = _classes(aiokafka.errors, KafkaError)
ABSTRACT = aiokafka.errors.BrokerResponseError
"""Never raised itself, and without a text: a stand-in here for any class whose text is a bug."""


def test_the_walks_walk() -> None:
    """Hundreds of classes of the one, a hundred of the other."""
    assert len(POSTGRES) > 200
    assert len(KAFKA) > 80


@pytest.mark.parametrize("kind", POSTGRES, ids=lambda kind: kind.__name__)
async def test_each_error_of_the_database_blames_the_data_or_the_moment(kind: type[Exception]) -> None:
    """By its SQLSTATE: what blames the data costs that record, all else is waited for."""
    blames_data = (getattr(kind, "sqlstate", None) or "")[:2] in UNSTORABLE_CLASSES
    with pytest.raises(UnstorableError if blames_data else StoreUnavailableError):
        async with sorted_errors():
            raise kind("why")


@pytest.mark.parametrize("kind", [each for each in KAFKA if each is not ABSTRACT], ids=lambda kind: kind.__name__)
async def test_each_error_of_a_commit_leaves_the_offset_where_it_is(kind: type[Exception]) -> None:
    """The commit is made again; the worker goes on."""
    async with running_world(slots=1) as world:
        await world.rebalanced(P0)
        world.source.append("a")
        await world.until(rows=1, unsettled=0)
        world.source.commit_error = _make(kind)
        refused = await world.engine._committer.commit(every=True)
        assert refused in {CommitResult.FENCED, CommitResult.UNANSWERED}
        world.source.commit_error = None
        assert await world.committed() == {P0: 1}


@pytest.mark.parametrize("kind", KAFKA, ids=lambda kind: kind.__name__)
async def test_each_error_of_a_produce_means_produced_again_or_too_large(kind: type[Exception]) -> None:
    """A retry copy is acknowledged in the end, by whichever producer; only one that is too large never will be."""
    brokers: list[_Producer] = []

    def make() -> Any:
        brokers.append(_Producer(None if brokers else _make(kind)))
        return brokers[-1]

    producer = DeadLetterProducer("tokens.dlq", make, retry_topic=RETRY_TOPIC)
    await producer.start()
    settled = Settled(make_record(), Retrying(ErrorKind.TRANSIENT, "later"))
    if issubclass(kind, TOO_LARGE):
        with pytest.raises(RetryTooLargeError):
            await producer.produce(settled)
    else:
        await producer.produce(settled)
        assert sum(each.acknowledged for each in brokers) == 1
    await producer.stop()


@pytest.mark.parametrize("kind", [*POSTGRES, *KAFKA], ids=lambda kind: kind.__name__)
def test_an_error_of_theirs_in_a_call_has_a_fate(kind: type[Exception]) -> None:
    """A provider in Python may use either client: a bug of ours or a broken connection, tried again, then set aside."""
    error = _make(kind)
    assert kind_of(error) in {ErrorKind.UNEXPECTED, ErrorKind.TRANSIENT, ErrorKind.UNAVAILABLE}
    assert isinstance(decide(error, attempt=1, max_retries=1), Retrying)
    assert isinstance(decide(error, attempt=2, max_retries=1), DeadLettered)


async def test_an_error_that_cannot_say_what_it_is_costs_its_own_record() -> None:
    """Its text raises: the record is set aside under the class's name, and the worker goes on."""
    async with running_world(slots=1, max_retries=0) as world:
        await world.rebalanced(P0)
        world.provider.errors["a"] = _make(ABSTRACT)
        world.source.append("a")
        world.source.append("b")
        await world.until(rows=2, unsettled=0)
        name = "BrokerResponseError: BrokerResponseError"
        assert world.store.result("a") == DeadLettered(ErrorKind.UNEXPECTED, name)


class _Producer:
    """What DeadLetterProducer uses of aiokafka's: fails its first produce, if told to."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error
        self.acknowledged = 0

    async def start(self) -> None:
        """Connect to nobody."""

    async def stop(self) -> None:
        """Leave."""

    async def partitions_for(self, _topic: str) -> set[int]:
        """Know one partition."""
        return {0}

    async def send(self, *_: object, **__: object) -> asyncio.Future[object]:
        """Refuse once, then acknowledge."""
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        error, self._error = self._error, None
        if error is None:
            self.acknowledged += 1
            future.set_result(SimpleNamespace(timestamp=0, timestamp_type=1))
        else:
            future.set_exception(error)
        return future


def _make(kind: type[Exception]) -> Exception:
    return kind({}) if kind.__name__ == "TopicAuthorizationFailedError" else kind("why")
