"""What a caller of the mock API can rely on, on the wire, against the real process."""

import asyncio
from collections.abc import Iterator

import pytest

from mock_api.plan import Planner
from mock_api.profile import Profile
from tests.support.mock_processes import MockProcess, running_mock_api
from tests.support.raw_http import RawConnection, get, score_of
from tests.support.waiting import eventually

AWKWARD_TOKENS = [
    "1234",
    "007",
    "a b",
    "a/b",
    "50%",
    "a?b#c",
    "x+y",
    "%41",
    "caf\u00e9",
    "\u6771\u4eac",
    "\U0001f600",
    "." * 256,
    "\u6771" * 256,
]


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MockProcess]:
    """One process for the tests of this file, which set its behaviour and reset its counts."""
    with running_mock_api(tmp_path_factory.mktemp("mock")) as running:
        yield running


@pytest.fixture
def mock(process: MockProcess) -> MockProcess:
    """The shared process, counting from zero, quick and without errors."""
    process.behave()
    return process


@pytest.mark.parametrize("token", AWKWARD_TOKENS)
async def test_a_token_comes_back_as_it_was_asked_for(mock: MockProcess, token: str) -> None:
    """A percent-encoded token is decoded once, answered and counted under its own name."""
    connection = await RawConnection.open(mock.port)
    await connection.send(score_of(token))
    answer = await connection.answer()
    await connection.close()
    assert (answer.status, answer.json["token"]) == (200, token)
    assert 300 <= answer.json["score"] <= 850
    assert mock.stats("?tokens=true")["calls_by_token"] == {token: 1}


async def test_an_answer_is_the_same_each_time_and_under_every_seed(mock: MockProcess) -> None:
    """The score is of the token alone."""
    connection = await RawConnection.open(mock.port)
    bodies = set()
    for seed in (1, 2, 3):
        mock.behave(seed=seed)
        await connection.send(score_of("1234") * 2)
        bodies |= {(await connection.answer()).body, (await connection.answer()).body}
    await connection.close()
    assert len(bodies) == 1


async def test_every_call_is_counted_exactly_once(mock: MockProcess) -> None:
    """1,000 calls of 250 tokens over 40 connections: the count is exact in sum and by token."""

    async def call(connection: RawConnection, numbers: range) -> None:
        for number in numbers:
            await connection.send(score_of(f"token-{number % 250}"))
            assert (await connection.answer()).status == 200

    connections = [await RawConnection.open(mock.port) for _ in range(40)]
    async with asyncio.TaskGroup() as group:
        for index, connection in enumerate(connections):
            group.create_task(call(connection, range(index, 1000, 40)))
    for connection in connections:
        await connection.close()
    stats = mock.stats("?tokens=true")
    assert stats["calls_by_token"] == {f"token-{number}": 4 for number in range(250)}
    assert (stats["calls"], stats["distinct_tokens"], stats["repeated_calls"]) == (1000, 250, 750)
    assert (stats["answered"], stats["in_flight"], stats["max_calls_of_one_token"]) == (1000, 0, 4)


async def test_calls_are_counted_when_read_and_not_when_answered(mock: MockProcess) -> None:
    """300 callers that wait are 300 calls in flight, before the first answer."""
    mock.behave(latency_min_seconds=60, latency_max_seconds=60)
    connections = [await RawConnection.open(mock.port) for _ in range(300)]
    for number, connection in enumerate(connections):
        await connection.send(score_of(str(number)))
    await _until(mock, in_flight=300)
    assert mock.stats() | {"calls": 300, "answered": 0, "distinct_tokens": 300} == mock.stats()
    for connection in connections:
        await connection.close()
    await _until(mock, in_flight=0, disconnected=300, calls=300)


async def test_a_caller_that_leaves_harms_nobody_else(mock: MockProcess) -> None:
    """The one that left is counted as disconnected; the one that stayed gets its answer."""
    mock.behave(latency_min_seconds=0.5, latency_max_seconds=0.5)
    leaving, staying = await RawConnection.open(mock.port), await RawConnection.open(mock.port)
    await leaving.send(score_of("left"))
    await staying.send(score_of("stayed"))
    await _until(mock, in_flight=2)
    await leaving.close()
    assert (await staying.answer()).json["token"] == "stayed"
    await staying.close()
    stats = mock.stats()
    assert (stats["calls"], stats["answered"], stats["disconnected"], stats["in_flight"]) == (2, 1, 1, 0)


async def test_pipelined_requests_are_answered_in_order(mock: MockProcess) -> None:
    """An answer that is ready waits for the one before it; their waits run side by side."""
    planner = Planner(Profile(latency_min_seconds=0.0, latency_max_seconds=1.0))
    slow_first = sorted((str(n) for n in range(20)), key=lambda token: planner.plan(token, 1).delay_seconds, reverse=True)
    mock.behave(latency_max_seconds=1)
    connection = await RawConnection.open(mock.port)
    await connection.send(b"".join(map(score_of, slow_first)) + get("/health/live"))
    async with asyncio.timeout(5):  # one after the other they would take 10 s
        assert [(await connection.answer()).json["token"] for _ in slow_first] == slow_first
    assert (await connection.answer()).json == {"status": "live"}
    await connection.close()


async def test_more_pipelined_requests_than_are_read_at_a_time_are_all_answered(mock: MockProcess) -> None:
    """Reading pauses above the limit and goes on below it."""
    mock.behave(latency_min_seconds=0.01, latency_max_seconds=0.01)
    tokens = [f"{number:0200}" for number in range(5000)]
    connection = await RawConnection.open(mock.port)
    sending = asyncio.create_task(connection.send(b"".join(map(score_of, tokens))))
    assert [(await connection.answer()).json["token"] for _ in tokens] == tokens
    await sending
    await connection.close()
    assert mock.stats()["calls"] == 5000


async def test_a_request_may_come_byte_by_byte(mock: MockProcess) -> None:
    """Packets have no meaning: a target split over many is one target, and one call."""
    connection = await RawConnection.open(mock.port)
    for byte in score_of("split/token"):
        await connection.send(bytes([byte]))
    assert (await connection.answer()).json["token"] == "split/token"
    await connection.close()
    assert mock.stats()["calls"] == 1


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (get("/score/"), 404),
        (get("/score/a/b"), 404),
        (get("/"), 404),
        (get("/score/%ff"), 400),
        (get("/score/1", method="POST"), 405),
        (get("/score/1", method="DELETE"), 405),
        (get("/stats", method="POST"), 405),
        (get("/reset"), 405),
        (get("/scores"), 405),
        (get("/down"), 405),
        (b"no HTTP at all\r\n\r\n", 400),
        (b"GET /score/caf\xc3\xa9 HTTP/1.1\r\n\r\n", 400),
        (get("/score/" + "x" * 20_000), 414),
        (b"PUT /profile HTTP/1.1\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70_000, 413),
    ],
)
async def test_what_is_no_call_is_answered_and_not_counted(mock: MockProcess, request_bytes: bytes, status: int) -> None:
    """A wrong request costs its sender a status with a sentence, and nothing else."""
    connection = await RawConnection.open(mock.port)
    await connection.send(request_bytes)
    answer = await connection.answer()
    assert (answer.status, next(iter(answer.json))) == (status, "error")
    assert ("allow" in answer.headers) == (status == 405)
    await connection.close()
    assert mock.stats()["calls"] == 0


async def test_head_has_the_headers_of_get_and_buys_nothing(mock: MockProcess) -> None:
    """HEAD of a score is answered at once, without a body, and is no call."""
    connection = await RawConnection.open(mock.port)
    await connection.send(get("/score/1234", method="HEAD"))
    head = await connection.answer(head_only=True)
    assert mock.stats()["calls"] == 0
    await connection.send(score_of("1234"))
    assert (await connection.answer()).headers == head.headers
    await connection.close()


@pytest.mark.parametrize(
    "request_bytes", [get("/score/1", headers="Connection: close\r\n"), b"GET /score/1 HTTP/1.0\r\n\r\n"]
)
async def test_a_connection_is_closed_where_the_caller_wants_it(mock: MockProcess, request_bytes: bytes) -> None:
    """Behind the answer the connection ends, and what was sent after it is not read."""
    connection = await RawConnection.open(mock.port)
    await connection.send(request_bytes + score_of("ignored"))
    answer = await connection.answer()
    assert (answer.status, answer.headers["connection"], await connection.rest()) == (200, "close", b"")
    await connection.close()
    assert mock.stats()["calls"] == 1


async def test_an_offer_of_another_protocol_is_passed_over(mock: MockProcess) -> None:
    """HTTP libraries that offer HTTP/2 in their first request are answered in HTTP/1.1."""
    offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
    connection = await RawConnection.open(mock.port)
    await connection.send(get("/score/1", headers=offer) * 3 + score_of("2"))
    assert [(await connection.answer()).json["token"] for _ in range(4)] == ["1", "1", "1", "2"]
    await connection.close()


async def _until(mock: MockProcess, **expected: int) -> None:
    """Wait until the counts are as expected."""

    def as_expected() -> None:
        stats = mock.stats()
        assert stats | expected == stats

    await eventually(as_expected, timeout_seconds=10)
