"""The HTTP provider against servers that no one should have to meet."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from consumers.engine.record import DeadLettered, ErrorKind
from consumers.errors import RecordError, RejectedError, decide
from consumers.metrics import REPEATED_CALLS
from consumers.providers.connection import ServerDisconnectedError
from consumers.providers.http import ANSWER_LIMIT_BYTES
from tests.support.clients import BOTH, AnyProvider, Clients
from tests.support.records import make_id, make_record
from tests.support.rubbish import Answer, RubbishServer, answer, rubbish_server

SECONDS = 10


clients = Clients()


@BOTH
def met(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test meets both clients."""
    yield from clients.meet(request.param)


@asynccontextmanager
async def _calling(given: bytes | Answer, *, timeout_seconds: float = 5) -> AsyncIterator[tuple[AnyProvider, RubbishServer]]:
    """A provider, and the server that it calls."""
    async with (
        rubbish_server(given) as server,
        clients.provider(server.url_template, timeout_seconds=timeout_seconds) as provider,
    ):
        yield provider, server


async def _call(given: bytes | Answer, *, timeout_seconds: float = 5) -> str:
    """Call a server that answers so."""
    async with asyncio.timeout(SECONDS), _calling(given, timeout_seconds=timeout_seconds) as (provider, _):
        return await provider.call(make_record(1))


async def _fails(given: bytes | Answer, *, timeout_seconds: float = 5) -> DeadLettered:
    """Call a server whose answer is none; return what the engine makes of it."""
    with pytest.raises((RecordError, aiohttp.ClientError, TimeoutError)) as failed:
        await _call(given, timeout_seconds=timeout_seconds)
    assert isinstance(failed.value, Exception)
    outcome = decide(failed.value, attempt=1, max_retries=0)
    assert isinstance(outcome, DeadLettered)
    return outcome


@pytest.mark.parametrize(
    ("status", "headers", "kind"),
    [
        ("300 Choices", "", "rejected"),
        ("301 Moved", "Location: http://127.0.0.1:1/elsewhere\r\n", "rejected"),
        ("302 Found", "Location: \r\n", "rejected"),
        ("304 Not Modified", "", "rejected"),
        ("307 Again", "Location: ://rubbish\r\n", "rejected"),
        ("400 Bad", "", "rejected"),
        ("401 Who", "", "misconfigured"),
        ("403 No", "", "rejected"),
        ("404 None", "", "rejected"),
        ("407 Proxy", "", "rejected"),
        ("408 Slow", "", "transient"),
        ("409 Conflict", "", "rejected"),
        ("410 Gone", "", "rejected"),
        ("422 Odd", "", "rejected"),
        ("425 Early", "", "transient"),
        ("429 Many", "", "rate_limited"),
        ("429 Many", "Retry-After: 5\r\n", "rate_limited"),
        ("500 Broken", "", "transient"),
        ("501 What", "", "transient"),
        ("502 Gateway", "", "transient"),
        ("503 Away", "", "transient"),
        ("503 Away", "Retry-After: rubbish\r\n", "rate_limited"),
        ("504 Slow", "", "transient"),
        ("599 Odd", "", "transient"),
    ],
)
async def test_each_status_has_its_kind(status: str, headers: str, kind: str) -> None:
    """No redirect is followed; what the server said is quoted behind the status."""
    body = b"" if status.startswith("304") else b"said so"
    outcome = await _fails(answer(body, status=status, headers=headers))
    assert (outcome.kind, outcome.message.partition(":")[0]) == (kind, f"HTTP {status[:3]}")
    assert body.decode() in outcome.message


@pytest.mark.parametrize("status", ["200 OK", "201 Made", "202 Later", "203 Other", "299 Odd"])
async def test_every_success_with_json_is_an_answer(status: str) -> None:
    """The text comes back as it was: order, spaces, numbers that no float can hold."""
    text = ' {"b": 1.10, "a": [123456789012345678901234567890, 1e400, "\u00e9\\u00e9"]}\n'
    assert await _call(answer(text.encode(), status=status)) == text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"OK",
        b"<html>",
        b"{",
        b"1 2",
        b"'a'",
        b"NaN",
        b'"\xff"',
        b"\xff\xfe1\x00",
        b"\xef\xbb\xbf1",
        b'"\\q"',
        b'"\\ud800"',
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
    ids=lambda body: repr(body[:8]),
)
async def test_an_answer_that_is_no_json_is_transient(body: bytes) -> None:
    """Not JSON, not UTF-8, nested beyond reason: said with the beginning of what came."""
    outcome = await _fails(answer(body))
    assert outcome.kind is ErrorKind.TRANSIENT
    assert "not JSON" in outcome.message


@pytest.mark.parametrize("head", ["204 Nothing\r\n", "205 Reset\r\nContent-Length: 0\r\n"])
async def test_a_success_without_a_body_is_no_answer(head: str) -> None:
    """There is nothing to store."""
    assert (await _fails(f"HTTP/1.1 {head}\r\n".encode())).kind is ErrorKind.TRANSIENT


def _chunked(size: int) -> Answer:
    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(size // 65_536):
            writer.write(b"10000\r\n" + b" " * 65_536 + b"\r\n")
            await writer.drain()
        writer.write(b"1\r\n1\r\n0\r\n\r\n")

    return send


async def test_an_answer_just_within_the_limit_is_taken() -> None:
    """Fifteen chunks of 64 KiB and a digit."""
    assert (await _call(_chunked(ANSWER_LIMIT_BYTES - 65_536))).strip() == "1"


async def test_an_answer_over_the_limit_is_rejected_however_it_comes() -> None:
    """Without a length, with an honest one, and with no end at all: read up to 1 MiB, then closed."""

    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" " * 65_536)
            await writer.drain()

    for given in (_chunked(2 * ANSWER_LIMIT_BYTES), answer(b" " * (ANSWER_LIMIT_BYTES + 1)), endless):
        outcome = await _fails(given)
        assert (outcome.kind, outcome.message) == (
            RejectedError.kind,
            f"the answer is larger than {ANSWER_LIMIT_BYTES} bytes",
        )


async def test_a_small_body_that_unpacks_to_a_large_one_is_refused() -> None:
    """A gzip bomb: 200 KiB that would be 200 MiB."""
    bomb = gzip.compress(b" " * (200 * 1_048_576), compresslevel=9)
    outcome = await _fails(answer(bomb, headers="Content-Encoding: gzip\r\n"))
    assert outcome.kind in {ErrorKind.REJECTED, ErrorKind.TRANSIENT}


async def test_a_body_that_is_not_what_its_encoding_says() -> None:
    """Content-Encoding: gzip over plain text."""
    assert (await _fails(answer(b"{}", headers="Content-Encoding: gzip\r\n"))).kind is ErrorKind.TRANSIENT


@pytest.mark.parametrize(
    "given",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"",
    ],
    ids=["length", "chunk", "head", "nothing"],
)
async def test_a_connection_that_closes_half_way_is_transient(given: bytes) -> None:
    """Never half an answer."""

    async def cut(writer: asyncio.StreamWriter) -> None:
        writer.write(given)
        await writer.drain()
        writer.close()

    assert (await _fails(cut)).kind is ErrorKind.TRANSIENT


@pytest.mark.parametrize(
    "given",
    [
        b"SSH-2.0-OpenSSH_9.0\r\n\r\n",
        b"\0\xff" * 500,
        b"HTTP/9.9 abc\r\n\r\n",
        b"HTTP/1.1 99999 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n11",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\n: y\r\n\r\n",
    ],
    ids=lambda given: repr(given[:30]),
)
async def test_bytes_that_are_no_http_are_transient(given: bytes) -> None:
    """Another protocol, broken heads and lengths, heads without end."""

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(given)
        await writer.drain()
        writer.write_eof()

    assert (await _fails(send)).kind is ErrorKind.TRANSIENT


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"], ids=["head", "body"])
async def test_an_answer_that_drips_ends_at_the_timeout(head: bytes) -> None:
    """A byte now and then keeps no call alive: the limit is on the whole."""

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while not writer.is_closing():
            writer.write(b" " if head else b"H")
            await writer.drain()
            try:
                async with asyncio.timeout(0.02):
                    await asyncio.Event().wait()
            except TimeoutError:
                continue

    began = asyncio.get_running_loop().time()
    outcome = await _fails(drip, timeout_seconds=0.3)
    assert outcome.kind is ErrorKind.TRANSIENT
    assert asyncio.get_running_loop().time() - began < 3


async def test_a_provider_that_goes_on_sending_is_not_read_into_the_next_call() -> None:
    """More body than Content-Length says: the answer is the first part, the connection is given up."""
    async with asyncio.timeout(SECONDS), _calling(answer(b"1") + answer(b"2")) as (provider, _):
        answers = [await provider.call(make_record(number)) for number in range(5)]
    assert answers == ["1"] * 5


async def test_the_request_says_who_asks_for_what_and_which_try_it_is() -> None:
    """A key by which the provider can tell a repeat from a new question; no cookies come back."""
    given = answer(b"1", headers="Set-Cookie: a=b\r\n")
    async with asyncio.timeout(SECONDS), _calling(given) as (provider, server):
        for _ in range(2):
            await provider.call(make_record(7, token="a/b", attempt=2, redrive_count=3))
    for head in server.heads:
        lines = head.decode().split("\r\n")
        assert lines[0] == "GET /score/a%2Fb HTTP/1.1"
        assert f"Idempotency-Key: {make_id(7)}-3-2" in lines
        assert "Accept: application/json" in lines
        assert not any(line.lower().startswith("cookie") for line in lines)
    assert len(server.heads) == 2


async def test_a_request_whose_connection_ends_is_sent_once_more_and_counted() -> None:
    """The server takes each request and hangs up: two were sent, one was counted as a possible repeat, then it fails."""

    async def hang_up(writer: asyncio.StreamWriter) -> None:
        writer.close()

    before = REPEATED_CALLS._value.get()
    async with asyncio.timeout(SECONDS), _calling(hang_up) as (provider, server):
        with pytest.raises((aiohttp.ServerDisconnectedError, ServerDisconnectedError)):
            await provider.call(make_record(1))
        assert (len(server.heads), REPEATED_CALLS._value.get()) == (2, before + 1)


async def test_a_connection_that_the_server_closed_in_between_costs_nothing() -> None:
    """Kept alive, then closed as the next request arrives: it is sent once more on a new connection, under the same key."""
    sent = 0

    async def answer_every_other(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        sent += 1
        if sent == 2:
            writer.close()
        else:
            writer.write(answer(b"1"))

    async with asyncio.timeout(SECONDS), _calling(answer_every_other) as (provider, server):
        assert [await provider.call(make_record(number)) for number in (1, 2)] == ["1", "1"]
    keys = [line for head in server.heads for line in head.decode().split("\r\n") if line.startswith("Idempotency-Key")]
    assert keys == [f"Idempotency-Key: {make_id(number)}-0-1" for number in (1, 2, 2)]
