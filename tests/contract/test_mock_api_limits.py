"""The mock API's own rate limit, and how it plays being down, against the real process."""

import asyncio
import json
import time
import urllib.error
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.support.mock_processes import MockProcess, running_mock_api
from tests.support.raw_http import RawAnswer, RawConnection, get, score_of, scores_of
from tests.support.waiting import eventually


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


async def _ask(mock: MockProcess, *requests: bytes) -> list[RawAnswer]:
    connection = await RawConnection.open(mock.port)
    try:
        await connection.send(b"".join(requests))
        return [await connection.answer() for _ in requests]
    finally:
        await connection.close()


async def test_the_rate_limit_lets_exactly_its_number_through(mock: MockProcess) -> None:
    """The calls above it are refused at once, with Retry-After, and are no calls: nothing was bought."""
    mock.behave(rate_limit={"calls": 5, "window_seconds": 60})
    answers = await _ask(mock, *(score_of(str(number)) for number in range(8)))
    assert [answer.status for answer in answers] == [200] * 5 + [429] * 3
    assert [answer.headers.get("retry-after") for answer in answers[4:6]] == [None, "60"]
    assert 59 < answers[5].json["wait_seconds"] <= 60
    expected = {"calls": 5, "answered": 5, "failed": 0, "rate_limited": 3, "requests": 8, "max_requests_in_a_second": 8}
    assert mock.stats() | expected == mock.stats()


async def test_the_window_slides(mock: MockProcess) -> None:
    """The next call is let through when the oldest leaves the window, not before, and not much later."""
    mock.behave(rate_limit={"calls": 3, "window_seconds": 0.5})
    began = time.monotonic()
    await _ask(mock, *map(score_of, "abc"))

    async def let_through() -> None:
        (answer,) = await _ask(mock, score_of("d"))
        assert answer.status == 200

    await eventually(let_through, timeout_seconds=10, interval_seconds=0.01)
    assert time.monotonic() - began >= 0.5
    assert mock.stats() | {"calls": 4, "answered": 4} == mock.stats()


async def test_a_rate_limit_holds_over_all_connections(mock: MockProcess) -> None:
    """20 callers without manners get what the windows of the time they took have room for, and not one call more."""
    mock.behave(rate_limit={"calls": 20, "window_seconds": 0.25})
    began = time.monotonic()
    rounds = await asyncio.gather(*(_ask(mock, *[score_of(str(n))] * 50) for n in range(20)))
    windows = (time.monotonic() - began) // 0.25 + 1
    statuses = [answer.status for answers in rounds for answer in answers]
    assert 20 <= statuses.count(200) <= 20 * windows
    stats = mock.stats()
    assert (stats["answered"], stats["rate_limited"]) == (statuses.count(200), statuses.count(429))
    assert len(statuses) == stats["requests"] == 1000


async def test_a_batch_is_one_request_to_the_rate_limit(mock: MockProcess) -> None:
    """However many ids it has."""
    mock.behave(rate_limit={"calls": 2, "window_seconds": 60})
    answers = await _ask(mock, scores_of(["a", "b", "c"]), score_of("d"), scores_of(["e"]))
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert mock.stats() | {"calls": 4, "rate_limited": 1} == mock.stats()


async def test_another_change_does_not_open_the_rate_limit(mock: MockProcess) -> None:
    """Its window begins anew only with another limit."""
    mock.behave(rate_limit={"calls": 1, "window_seconds": 60})
    assert [answer.status for answer in await _ask(mock, score_of("a"), score_of("b"))] == [200, 429]
    mock.change(seed=2)
    assert [answer.status for answer in await _ask(mock, score_of("c"))] == [429]
    mock.change(rate_limit=None)
    assert [answer.status for answer in await _ask(mock, score_of("d"))] == [200]


async def test_while_down_connections_are_cut_and_the_control_plane_answers(mock: MockProcess) -> None:
    """Running calls are cut, idle connections with them, new calls as they come; then it is as if nothing had been."""
    mock.behave(latency_min_seconds=60, latency_max_seconds=60)
    running = await RawConnection.open(mock.port)
    await running.send(score_of("running"))
    await eventually(lambda: _has(mock, in_flight=1), timeout_seconds=5)
    mock.go_down("close")
    assert mock.stats()["down"] == {"how": "close", "seconds_left": None}
    await _assert_cut(running)
    late = await RawConnection.open(mock.port)
    await late.send(score_of("late"))
    await _assert_cut(late)
    assert [answer.status for answer in await _ask(mock, get("/health/live"))] == [200]
    assert mock.stats() | {"calls": 1, "disconnected": 1, "refused_while_down": 1, "in_flight": 0} == mock.stats()
    mock.change(latency_min_seconds=0, latency_max_seconds=0)
    mock.come_up()
    assert [answer.status for answer in await _ask(mock, score_of("late"))] == [200]


async def test_while_down_connections_can_be_refused(mock: MockProcess) -> None:
    """Nobody listens on the port; the control plane is there on its own port, and brings it back."""
    caller = await RawConnection.open(mock.port)
    await caller.send(score_of("1"))
    await caller.answer()
    mock.go_down("refuse")
    await _assert_cut(caller)
    await eventually(lambda: _is_refused(mock), timeout_seconds=5)
    mock.come_up()
    await eventually(lambda: _answers(mock), timeout_seconds=5)


@pytest.mark.parametrize("how", ["close", "refuse"])
async def test_an_outage_ends_by_itself(mock: MockProcess, how: str) -> None:
    """After its seconds, and not before."""
    began = time.monotonic()
    mock.go_down(how, seconds=0.6)
    assert 0 < mock.stats()["down"]["seconds_left"] <= 0.6
    await eventually(lambda: _answers(mock), timeout_seconds=10)
    assert time.monotonic() - began >= 0.6
    assert mock.stats()["down"] is None


async def test_an_outage_can_be_replaced_by_another(mock: MockProcess) -> None:
    """The last one counts; a reset of the profile ends it."""
    mock.go_down("refuse", seconds=0.1)
    mock.go_down("refuse")
    await eventually(lambda: _is_refused(mock), timeout_seconds=5)
    mock.go_down("close")
    await eventually(lambda: _is_alive(mock), timeout_seconds=5)
    mock.ask("POST", "/reset?profile=true")
    assert mock.stats()["down"] is None


@pytest.mark.parametrize("query", ["how=explode", "seconds=0", "seconds=-1", "seconds=soon", "seconds=nan", "seconds=1e9"])
def test_an_outage_that_cannot_be_is_refused(mock: MockProcess, query: str) -> None:
    """With 422 and a sentence; the mock stays up."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        mock.ask("POST", f"/down?{query}")
    with refused.value as answer:
        assert (answer.code, list(json.load(answer))) == (422, ["error"])
    assert mock.stats()["down"] is None


async def _assert_cut(connection: RawConnection) -> None:
    """The connection has ended, with or without manners, and no byte came."""
    with suppress(ConnectionError):  # a reset, which is how a cut looks while something is unread
        assert await connection.rest() == b""
    await connection.close()


async def _is_refused(mock: MockProcess) -> None:
    try:
        connection = await RawConnection.open(mock.port)
    except ConnectionRefusedError:
        return
    await connection.close()
    raise AssertionError("somebody listens")


async def _is_alive(mock: MockProcess) -> None:
    try:
        (answer,) = await _ask(mock, get("/health/live"))
    except (ConnectionError, asyncio.IncompleteReadError) as error:
        raise AssertionError("it does not answer") from error
    assert answer.status == 200


async def _answers(mock: MockProcess) -> None:
    try:
        (answer,) = await _ask(mock, score_of("again"))
    except (ConnectionError, asyncio.IncompleteReadError) as error:
        raise AssertionError("it does not answer") from error
    assert answer.status == 200


def _has(mock: MockProcess, **expected: int) -> None:
    stats = mock.stats()
    assert stats | expected == stats
