"""The batch provider against a small server that plays a batch endpoint, well-behaved or not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from aiohttp import web

from consumers.engine.record import Record
from consumers.errors import NotSentError, RateLimitedError, RejectedError, ServerError, TransientError
from consumers.providers.batch import BatchProvider
from tests.support.records import make_record
from tests.support.waiting import eventually

SECONDS = 5.0


def echo(ids: list[str]) -> web.Response:
    """Answer each id with itself."""
    return web.json_response({each: {"id": each} for each in ids})


@dataclass
class Endpoint:
    """`answer` says what comes back; while `held` is cleared, calls hang. `batches` are the ids of each call."""

    answer: Callable[[list[str]], web.Response] = echo
    batches: list[list[str]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def post(self, request: web.Request) -> web.Response:
        """One batch call."""
        ids: list[str] = msgspec.json.decode(await request.read())
        self.batches.append(ids)
        self.keys.append(request.headers["Idempotency-Key"])
        await self.open.wait()
        return self.answer(ids)


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    """A batch endpoint on a free port."""
    played = Endpoint()
    played.open.set()
    app = web.Application()
    app.router.add_post("/scores", played.post)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    played.url = f"http://127.0.0.1:{runner.addresses[0][1]}/scores"
    yield played
    played.open.set()
    await runner.cleanup()


@asynccontextmanager
async def provider(endpoint: Endpoint, *, size: int = 10, calls: int = 2) -> AsyncIterator[BatchProvider]:
    """A provider that calls the endpoint."""
    async with (
        asyncio.timeout(SECONDS),
        BatchProvider(endpoint.url, size=size, calls=calls, timeout_seconds=2) as batching,
    ):
        yield batching


def records(count: int) -> list[Record]:
    """Records with different tokens."""
    return [make_record(number, token=f"t{number}") for number in range(count)]


async def ask(batching: BatchProvider, asked: list[Record]) -> list[Any]:
    """Ask for all records at once; an answer or an exception for each."""
    return await asyncio.gather(*(batching.call(record) for record in asked), return_exceptions=True)


async def test_many_records_share_a_call_and_each_gets_its_own_answer(endpoint: Endpoint) -> None:
    """Twenty records are two full batches of ten."""
    async with provider(endpoint) as batching:
        answers = await ask(batching, records(20))
    assert [msgspec.json.decode(answer)["id"] for answer in answers] == [f"t{number}" for number in range(20)]
    assert [len(batch) for batch in endpoint.batches] == [10, 10]


async def test_a_batch_that_is_not_full_is_sent_after_the_linger(endpoint: Endpoint) -> None:
    """Three records are not kept waiting for seven others."""
    async with provider(endpoint) as batching:
        answers = await ask(batching, records(3))
    assert len(answers) == 3
    assert endpoint.batches == [["t0", "t1", "t2"]]


async def test_no_more_batches_are_called_than_allowed_and_what_waits_fills_the_next(endpoint: Endpoint) -> None:
    """Two calls at a time; the rest goes in one more."""
    endpoint.open.clear()
    async with provider(endpoint, size=2, calls=2) as batching:
        asking = asyncio.create_task(ask(batching, records(6)))

        def two_are_called() -> None:
            assert len(endpoint.batches) == 2

        await eventually(two_are_called, timeout_seconds=SECONDS)
        endpoint.open.set()
        assert len([each for each in await asking if isinstance(each, str)]) == 6
    assert [len(batch) for batch in endpoint.batches] == [2, 2, 2]


async def test_two_records_of_one_token_ask_once(endpoint: Endpoint) -> None:
    """The list holds each id once; both records get the answer."""
    async with provider(endpoint) as batching:
        answers = await ask(batching, [make_record(1, token="same"), make_record(2, token="same")])
    assert endpoint.batches == [["same"]]
    assert answers == ['{"id": "same"}'] * 2


async def test_an_id_without_an_answer_fails_alone_and_may_succeed_later(endpoint: Endpoint) -> None:
    """The others of its batch have theirs."""
    endpoint.answer = lambda ids: echo([each for each in ids if each != "t1"])
    async with provider(endpoint) as batching:
        answers = await ask(batching, records(3))
    assert isinstance(answers[1], TransientError)
    assert [type(answers[0]), type(answers[2])] == [str, str]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (lambda _: web.Response(status=500, text="down"), ServerError),
        (lambda _: web.Response(status=422, text="no"), RejectedError),
        (lambda _: web.Response(status=429, headers={"Retry-After": "1"}), RateLimitedError),
        (lambda _: web.Response(text="not json"), TransientError),
        (lambda _: web.json_response(["a", "list"]), TransientError),
        (lambda _: web.Response(body=b'{"t0": "\xff"}'), TransientError),
        (lambda _: web.Response(body=b'{"t0": ' + b"[" * 100_000), TransientError),
    ],
    ids=["500", "422", "429", "not-json", "a-list", "not-utf-8", "deep"],
)
async def test_a_batch_that_fails_fails_for_each_of_its_records(
    endpoint: Endpoint, answer: Callable[[list[str]], web.Response], error: type[Exception]
) -> None:
    """And the next batch is called as if nothing had been."""
    endpoint.answer = answer
    async with provider(endpoint) as batching:
        assert {type(each) for each in await ask(batching, records(5))} == {error}
        endpoint.answer = echo
        assert {type(each) for each in await ask(batching, records(5))} == {str}


async def test_a_batch_that_hangs_ends_with_the_time_limit_for_each_of_its_records(endpoint: Endpoint) -> None:
    """A hung call keeps neither its records nor its place."""
    endpoint.open.clear()
    async with provider(endpoint, calls=1) as batching:
        assert {type(each) for each in await ask(batching, records(3))} == {TimeoutError}
        endpoint.open.set()
        assert {type(each) for each in await ask(batching, records(3))} == {str}


async def test_what_was_not_sent_is_given_back_and_what_was_goes_on(endpoint: Endpoint) -> None:
    """A drain waits for the batches that were sent, and calls no more."""
    endpoint.open.clear()
    async with provider(endpoint, size=2, calls=1) as batching:
        asking = asyncio.create_task(ask(batching, records(5)))

        def one_is_called() -> None:
            assert len(endpoint.batches) == 1

        await eventually(one_is_called, timeout_seconds=SECONDS)
        batching.withdraw()
        endpoint.open.set()
        answers = await asking
    assert [type(each) for each in answers] == [str, str, NotSentError, NotSentError, NotSentError]
    assert len(endpoint.batches) == 1


async def test_a_record_that_is_cancelled_disturbs_nobody_in_its_batch(endpoint: Endpoint) -> None:
    """The others of the batch have their answers."""
    endpoint.open.clear()
    async with provider(endpoint, size=2) as batching:
        first, second = (asyncio.create_task(batching.call(record)) for record in records(2))

        def is_called() -> None:
            assert endpoint.batches

        await eventually(is_called, timeout_seconds=SECONDS)
        first.cancel()
        endpoint.open.set()
        assert msgspec.json.decode(await second)["id"] == "t1"


async def test_the_same_batch_has_the_same_key_and_another_one_another(endpoint: Endpoint) -> None:
    """A provider that honours Idempotency-Key can tell a repeat from a new call."""
    async with provider(endpoint, size=3) as batching:
        await ask(batching, records(3))
        await ask(batching, records(3))
        await ask(batching, records(2))
    assert endpoint.keys[0] == endpoint.keys[1] != endpoint.keys[2]
