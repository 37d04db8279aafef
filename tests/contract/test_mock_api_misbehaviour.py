"""Each way in which the mock API goes wrong, as the bytes that a caller sees, against the real process."""

import json
import math
import time
from collections.abc import Iterator

import pytest

from mock_api.profile import KINDS
from tests.support.mock_processes import MockProcess, running_mock_api
from tests.support.raw_http import RawAnswer, RawConnection, score_of
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


async def _answer(mock: MockProcess, asked: str = "1234") -> RawAnswer:
    connection = await RawConnection.open(mock.port)
    await connection.send(score_of(asked))
    answer = await connection.answer()
    await connection.close()
    return answer


async def _rest(mock: MockProcess, asked: str = "1234") -> bytes:
    """Everything that a call brings, until the mock closes the connection."""
    connection = await RawConnection.open(mock.port)
    await connection.send(score_of(asked))
    content = await connection.rest()
    await connection.close()
    return content


async def _spoilt(mock: MockProcess, kind: str, **profile: object) -> RawAnswer:
    """Call a mock that always goes wrong so; what it counted is checked."""
    mock.behave(misbehaviours={kind: 1}, **profile)
    answer = await _answer(mock)
    assert mock.stats() | {"misbehaviours": {kind: 1}, "misbehaved": 1, "answered": 0, "calls": 1} == mock.stats()
    return answer


async def test_a_hang_ends_at_its_limit_without_a_byte(mock: MockProcess) -> None:
    """The connection is closed then; a caller with less patience is counted as one that left."""
    mock.behave(misbehaviours={"hang": 1}, hang_seconds=0.3)
    began = time.monotonic()
    assert await _rest(mock) == b""
    assert time.monotonic() - began >= 0.3
    assert mock.stats() | {"misbehaved": 1, "disconnected": 0, "statuses": {}} == mock.stats()
    mock.behave(misbehaviours={"hang": 1})
    connection = await RawConnection.open(mock.port)
    await connection.send(score_of("1"))
    await eventually(lambda: _has(mock, in_flight=1), timeout_seconds=5)
    await connection.close()
    await eventually(lambda: _has(mock, in_flight=0, disconnected=1, misbehaved=0), timeout_seconds=5)


async def test_a_drip_is_a_good_answer_a_byte_at_a_time(mock: MockProcess) -> None:
    """The whole answer is there in the end, no sooner; what was asked behind it and is ready meanwhile follows."""
    good = await _answer(mock)
    dripping = {"misbehaviours": {"drip": 1}, "drip_seconds": 0.01, "latency": None}
    mock.behave(latency={"distribution": "fixed", "seconds": 0.1}, rules=[{"tokens": ["1234"], "behaviour": dripping}])
    connection = await RawConnection.open(mock.port)
    began = time.monotonic()
    await connection.send(score_of("1234") + score_of("next"))
    assert (await connection.answer()).body == good.body
    assert time.monotonic() - began >= (len(good.body) - 1) * 0.01
    assert (await connection.answer()).json["token"] == "next"
    await connection.close()
    assert mock.stats() | {"misbehaved": 1, "answered": 1, "in_flight": 0} == mock.stats()


async def test_a_caller_that_leaves_in_the_middle_of_a_drip_has_left(mock: MockProcess) -> None:
    """Nothing drips on."""
    mock.behave(misbehaviours={"drip": 1}, drip_seconds=1)
    connection = await RawConnection.open(mock.port)
    await connection.send(score_of("1"))
    await connection.read_some()
    await connection.close()
    await eventually(lambda: _has(mock, in_flight=0, disconnected=1, misbehaved=0), timeout_seconds=5)


async def test_a_connection_can_be_cut_before_any_byte(mock: MockProcess) -> None:
    """The caller sees the end of the stream, and nothing before it."""
    mock.behave(misbehaviours={"cut_before": 1})
    assert await _rest(mock) == b""
    assert mock.stats() | {"misbehaved": 1, "misbehaviours": {"cut_before": 1}} == mock.stats()


async def test_a_connection_can_be_cut_half_way_through_the_body(mock: MockProcess) -> None:
    """The head promises more than comes."""
    good = await _answer(mock)
    mock.behave(misbehaviours={"cut_half": 1})
    head, _, body = (await _rest(mock)).partition(b"\r\n\r\n")
    assert f"content-length: {len(good.body)}".encode() in head
    assert body == good.body[: len(good.body) // 2]


async def test_an_answer_can_be_a_web_page(mock: MockProcess) -> None:
    """It says that it is JSON, and is HTML."""
    answer = await _spoilt(mock, "not_json")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.body.startswith(b"<html>")


async def test_an_answer_can_be_no_utf_8(mock: MockProcess) -> None:
    """It would be JSON otherwise."""
    answer = await _spoilt(mock, "not_utf8")
    with pytest.raises(UnicodeDecodeError):
        answer.body.decode()
    assert json.loads(answer.body.decode("latin-1"))["token"] == "1234"


async def test_a_content_length_can_be_too_small(mock: MockProcess) -> None:
    """The body ends too early, and its last bytes stand where the next answer should begin."""
    good = await _answer(mock)
    mock.behave(rules=[{"tokens": ["1234"], "behaviour": {"misbehaviours": {"wrong_length": 1}}}])
    connection = await RawConnection.open(mock.port)
    await connection.send(score_of("1234") + score_of("next"))
    answer = await connection.answer()
    assert answer.body == good.body[:-7]
    assert (await connection.read_exactly(16)) == good.body[-7:] + b"HTTP/1.1 "
    await connection.close()


async def test_an_answer_can_carry_what_a_database_cannot_store(mock: MockProcess) -> None:
    """NUL, a lone surrogate, JSON that is too deep, a number that is too large: each in valid JSON."""
    assert (await _spoilt(mock, "nul")).json["note"] == "a\0b"
    assert (await _spoilt(mock, "lone_surrogate")).json["note"] == "a\ud800b"
    assert (await _spoilt(mock, "huge_number")).json["note"] == math.inf
    deep = (await _spoilt(mock, "deep_json", deep_levels=5000)).body
    assert (deep.count(b"["), deep.count(b"]")) == (5000, 5000)
    shallow = (await _spoilt(mock, "deep_json", deep_levels=3)).json
    assert shallow["note"] == [[[]]]


async def test_an_answer_can_be_huge(mock: MockProcess) -> None:
    """10 MB unless told otherwise, all of it valid JSON."""
    answer = await _spoilt(mock, "huge_answer")
    assert len(answer.json["note"]) == 10_000_000
    assert len((await _spoilt(mock, "huge_answer", huge_bytes=10)).json["note"]) == 10


@pytest.mark.parametrize(
    ("status", "retry_after", "header"),
    [(429, 7, "7"), (503, 0, "0"), (503, None, None), (429, None, None), (500, 7, None), (404, 7, None), (599, 7, None)],
)
async def test_a_status_can_be_chosen(mock: MockProcess, status: int, retry_after: int | None, header: str | None) -> None:
    """Retry-After comes with 429 and 503, if at all; the call is counted as failed."""
    mock.behave(statuses={str(status): 1}, retry_after_seconds=retry_after)
    answer = await _answer(mock)
    assert (answer.status, answer.headers.get("retry-after")) == (status, header)
    assert answer.json["token"] == "1234"
    assert mock.stats() | {"failed": 1, "statuses": {str(status): 1}} == mock.stats()


async def test_not_modified_has_no_body(mock: MockProcess) -> None:
    """As HTTP wants it: what follows is the next answer."""
    mock.behave(rules=[{"tokens": ["304"], "behaviour": {"statuses": {"304": 1}}}])
    connection = await RawConnection.open(mock.port)
    await connection.send(score_of("304") + score_of("next"))
    assert (await connection.answer(head_only=True)).status == 304
    assert (await connection.answer()).json["token"] == "next"
    await connection.close()


async def test_the_first_calls_of_a_token_can_fail(mock: MockProcess) -> None:
    """Two times, then it succeeds; each token has its own count, and a reset begins anew."""
    mock.behave(fail_first_calls=2, fail_first_with=503)
    for _ in range(2):
        found = [(await _answer(mock, token)).status for token in ("a", "a", "b", "a", "b", "b", "a")]
        assert found == [503, 503, 503, 200, 503, 200, 200]
        mock.ask("POST", "/reset")


async def test_the_same_seed_goes_wrong_in_the_same_way(mock: MockProcess) -> None:
    """Kinds, statuses and their order, over two runs; 400 tokens see most of them."""
    profile = {
        "misbehaviours": dict.fromkeys(set(KINDS) - {"hang", "drip", "cut_before", "cut_half", "wrong_length"}, 0.05),
        "statuses": {"429": 0.1, "503": 0.1},
        "huge_bytes": 2000,
        "deep_levels": 100,
    }
    runs = []
    for _ in range(2):
        mock.behave(**profile)
        connection = await RawConnection.open(mock.port)
        await connection.send(b"".join(score_of(str(number)) for number in range(400)))
        answers = [await connection.answer() for _ in range(400)]
        runs.append([(answer.status, answer.body) for answer in answers])
        await connection.close()
    stats = mock.stats()
    assert runs[0] == runs[1]
    assert set(stats["misbehaviours"]) == set(profile["misbehaviours"])  # type: ignore[call-overload]  # a dict, as written above
    assert stats["answered"] + stats["failed"] + stats["misbehaved"] == 400


def _has(mock: MockProcess, **expected: int) -> None:
    stats = mock.stats()
    assert stats | expected == stats
