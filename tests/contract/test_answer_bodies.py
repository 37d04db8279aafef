"""Bodies of answers within the memory that all answers of a worker share."""

import asyncio
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from consumers.engine.answers import Answers
from consumers.errors import RejectedError, TransientError
from consumers.providers.batch import BATCH_LIMIT_BYTES, BatchProvider
from consumers.providers.http import ANSWER_LIMIT_BYTES
from tests.support.clients import BOTH, AnyProvider, Clients
from tests.support.faults import hold_fault
from tests.support.records import make_id, make_record
from tests.support.rubbish import Answer, answer, rubbish_server
from tests.support.waiting import eventually

SECONDS = 10
BODY = b'"' + b"x" * 100_000 + b'"'

clients = Clients()


@BOTH
def met(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test meets both clients."""
    yield from clients.meet(request.param)


@asynccontextmanager
async def _calling(given: bytes | Answer, answers: Answers, *, timeout_seconds: float = 5) -> AsyncIterator[AnyProvider]:
    """A provider that reads into this memory, and a server that answers so."""
    async with (
        asyncio.timeout(SECONDS),
        rubbish_server(given) as server,
        clients.provider(server.url_template, timeout_seconds=timeout_seconds, answers=answers) as provider,
    ):
        yield provider


async def test_an_answer_that_says_it_is_too_large_is_rejected_before_it_came() -> None:
    """Content-Length of 10 MB, 20 KB of it sent: nobody waits for the rest."""

    async def begin(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + b'"' * 20_000)

    answers, started = Answers(), time.monotonic()
    async with _calling(begin, answers) as provider:
        with pytest.raises(RejectedError, match=f"larger than {ANSWER_LIMIT_BYTES} bytes"):
            await provider.call(make_record(1))
    assert time.monotonic() - started < 3
    assert answers.reading_bytes == 0


@pytest.mark.parametrize("size", [100, 20_000, 5_000_000])
async def test_a_large_error_page_is_an_error_of_its_status(size: int) -> None:
    """A 500 is transient however long its page is; only the begin of it is read, and no room is asked for."""
    answers = Answers()
    answers.keep(answers.limit_bytes)
    async with _calling(answer(b"x" * size, status="500 Oops"), answers) as provider:
        with pytest.raises(TransientError, match="HTTP 500: xxx"):
            await provider.call(make_record(1))


async def test_an_answer_that_is_more_than_small_waits_for_room() -> None:
    """As long as other answers wait to be stored; small ones are read all the while."""
    answers = Answers()
    answers.keep(answers.limit_bytes)
    async with _calling(answer(BODY), answers) as provider:
        waiting = asyncio.create_task(provider.call(make_record(1)))
        async with _calling(answer(b'"small"'), answers) as beside:
            assert await beside.call(make_record(2)) == '"small"'
        assert not waiting.done()
        answers.let_go(answers.limit_bytes)
        assert await waiting == BODY.decode()
    assert answers.reading_bytes == 0


async def test_an_answer_for_which_there_is_no_room_ends_at_the_deadline_of_its_call() -> None:
    """A slot comes back, whatever the database does."""
    answers = Answers()
    answers.keep(answers.limit_bytes)
    async with _calling(answer(BODY), answers, timeout_seconds=0.5) as provider:
        with pytest.raises(TimeoutError):
            await provider.call(make_record(1))
    assert (answers.reading_bytes, answers._readings, answers._waiting) == (0, 0, [])


async def test_a_call_that_is_cut_off_while_it_waits_for_room_leaves_nothing() -> None:
    """A drain that outlasted its limit."""
    answers = Answers()
    answers.keep(answers.limit_bytes)
    async with _calling(answer(BODY), answers) as provider:
        waiting = asyncio.create_task(provider.call(make_record(1)))

        def waits() -> None:
            assert len(answers._waiting) == 1

        await eventually(waits, timeout_seconds=SECONDS)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert (answers.reading_bytes, answers._readings, answers._waiting) == (0, 0, [])


async def test_hundreds_of_large_answers_at_once_stay_within_the_room() -> None:
    """300 answers of 100 KB, room for ten: all are read, and never more at a time than fit."""

    async def slow(writer: asyncio.StreamWriter) -> None:
        whole = answer(BODY)
        writer.write(whole[:50_000])
        await hold_fault(0.02)
        writer.write(whole[50_000:])

    answers = Answers(limit_bytes=1_000_100, stop_bytes=500_000)
    most = 0
    async with _calling(slow, answers) as provider:
        calls = [asyncio.create_task(provider.call(make_record(number))) for number in range(300)]
        while not all(call.done() for call in calls):
            await asyncio.sleep(0)
            most = max(most, answers.reading_bytes)
        assert {call.result() for call in calls} == {BODY.decode()}
    assert 900_000 < most <= 1_000_100
    assert answers.reading_bytes == 0


async def test_a_connection_that_is_kept_keeps_nothing_of_its_last_answer() -> None:
    """Fifty connections wait for the next call; fifty answers of 1 MB are gone."""
    whole = answer(b'"' + b"x" * 1_000_000 + b'"')

    async def size_of_an_answer(provider: AnyProvider, number: int) -> int:
        return len(await provider.call(make_record(number)))

    async with _calling(whole, Answers()) as provider:
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            sizes = await asyncio.gather(*(size_of_an_answer(provider, number) for number in range(50)))
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert set(sizes) == {1_000_002}
    assert after - before < 10_000_000


async def test_a_batch_has_a_limit_of_its_own() -> None:
    """A hundred ids may bring 1 MiB each, but not all of them at once: 100 MiB in one JSON object is refused."""

    async def flood(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(2 * BATCH_LIMIT_BYTES // 1_048_576):
            writer.write(b"100000\r\n" + b" " * 1_048_576 + b"\r\n")
            await writer.drain()

    answers = Answers()
    records = [make_record(number, record_id=make_id(number), token=f"t{number}") for number in range(100)]
    async with (
        asyncio.timeout(SECONDS),
        rubbish_server(flood) as server,
        BatchProvider(
            server.url_template.replace("{token}", ""), size=100, calls=1, timeout_seconds=5, answers=answers
        ) as provider,
    ):
        outcomes = await asyncio.gather(*(provider.call(record) for record in records), return_exceptions=True)
    assert {str(outcome) for outcome in outcomes} == {f"the answer is larger than {BATCH_LIMIT_BYTES} bytes"}
    assert answers.reading_bytes == 0
