"""The control plane of the mock API: what it tells, and how it changes the mock while it runs."""

import json
import urllib.error
from collections.abc import Iterator

import pytest

from tests.support.mock_processes import MockProcess, running_mock_api
from tests.support.raw_http import RawConnection, score_of
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


def _is(value: int, expected: int) -> None:
    assert value == expected


async def _statuses(mock: MockProcess, *tokens: str) -> list[int]:
    connection = await RawConnection.open(mock.port)
    await connection.send(b"".join(map(score_of, tokens)))
    statuses = [(await connection.answer()).status for _ in tokens]
    await connection.close()
    return statuses


def test_the_mock_takes_4_to_10_seconds_unless_told_otherwise(process: MockProcess) -> None:
    """The defaults are the users' API."""
    assert ", 4-10 s a call, 0% errors" in process.greeting


async def test_tokens_can_be_asked_for_one_by_one(mock: MockProcess) -> None:
    """`?token=` may be repeated, is percent-decoded, and tells 0 for a token that never came."""
    await _statuses(mock, "a", "a", "b", "x&y=z")
    assert mock.stats("?token=a&token=x%26y%3Dz&token=never")["calls_by_token"] == {"a": 2, "x&y=z": 1, "never": 0}
    assert mock.stats("?tokens=true")["calls_by_token"] == {"a": 2, "b": 1, "x&y=z": 1}
    assert "calls_by_token" not in mock.stats()
    assert mock.stats()["repeated_calls"] == 1


async def test_errors_come_at_the_ratio_and_are_the_same_in_every_run(mock: MockProcess) -> None:
    """Half of 1,000 calls fail, the same ones after a reset, others under another seed; and they are counted as failed."""
    tokens = [str(number) for number in range(1000)]
    mock.behave(error_ratio=0.5)
    first = await _statuses(mock, *tokens)
    failed = mock.stats()["failed"]
    mock.behave(error_ratio=0.5)
    assert await _statuses(mock, *tokens) == first
    assert (set(first), failed) == ({200, 500}, first.count(500))
    assert 420 <= failed <= 580  # five standard deviations
    mock.behave(error_ratio=0.5, seed=2)
    assert await _statuses(mock, *tokens) != first


async def test_a_failed_call_can_succeed_when_it_is_made_again(mock: MockProcess) -> None:
    """The draws of one token's calls are independent: of 200 tokens some fail twice and some only once."""
    tokens = [str(number) for number in range(200)]
    mock.behave(error_ratio=0.5)
    both = list(zip(await _statuses(mock, *tokens), await _statuses(mock, *tokens), strict=True))
    assert {(200, 200), (200, 500), (500, 200), (500, 500)} == set(both)


async def test_a_profile_can_be_changed_in_part(mock: MockProcess) -> None:
    """Fields left out keep their value."""
    mock.behave(latency_max_seconds=0.5, seed=7)
    before = mock.ask("GET", "/profile")
    changed = mock.change(error_ratio=0.25, statuses={"503": 0.5})
    assert changed == before | {"error_ratio": 0.25, "statuses": {"503": 0.5}}
    assert (changed["seed"], changed["latency_max_seconds"]) == (7, 0.5)
    assert mock.ask("GET", "/profile") == changed


async def test_a_reset_keeps_the_profile_unless_told_otherwise(process: MockProcess) -> None:
    """`?profile=true` is the mock as it started."""
    process.behave(error_ratio=1, rate_limit={"calls": 1})
    behaving = process.ask("GET", "/profile")
    process.ask("POST", "/reset")
    assert process.ask("GET", "/profile") == behaving
    process.ask("POST", "/reset?profile=true")
    first = process.ask("GET", "/profile")
    assert (first["latency_min_seconds"], first["error_ratio"], first["rate_limit"]) == (4, 0, None)


async def test_stats_tell_what_came_of_the_calls(mock: MockProcess) -> None:
    """By status, by kind of misbehaviour, and how many requests any one second held."""
    mock.behave(
        rules=[
            {"tokens": ["404"], "behaviour": {"statuses": {"404": 1}}},
            {"tokens": ["nul"], "behaviour": {"misbehaviours": {"nul": 1}}},
        ]
    )
    assert await _statuses(mock, "1", "404", "404", "nul", "2") == [200, 404, 404, 200, 200]
    stats = mock.stats()
    assert (stats["statuses"], stats["misbehaviours"]) == ({"200": 3, "404": 2}, {"nul": 1})
    assert (stats["answered"], stats["failed"], stats["misbehaved"], stats["calls"]) == (2, 2, 1, 5)
    assert (stats["requests"], stats["max_requests_in_a_second"]) == (5, 5)
    assert 0 <= stats["requests_in_the_last_second"] <= 5
    await eventually(lambda: _is(mock.stats()["requests_in_the_last_second"], 0), timeout_seconds=5)
    assert mock.stats()["max_requests_in_a_second"] == 5


@pytest.mark.parametrize(
    "change",
    [
        b"",
        b"[]",
        b"{",
        b'{"error_ratio": 2}',
        b'{"eror_ratio": 0}',
        b'{"latency_min_seconds": 5}',
        b'{"error_ratio": "1"}',
        b'{"rules": [{"tokens": ["a"], "behaviour": {"eror_ratio": 0}}]}',
        b'{"rules": ' + b"[" * 10_000,
        b"\xff",
        b'{"rules": [{"pattern": "\xff", "behaviour": {}}]}',
    ],
)
def test_a_profile_that_cannot_be_is_refused_whole(mock: MockProcess, change: bytes) -> None:
    """A wrong change is answered with 422 and a sentence, and changes nothing."""
    before = mock.ask("GET", "/profile")
    with pytest.raises(urllib.error.HTTPError) as refused:
        mock.ask("PUT", "/profile", change)
    with refused.value as answer:
        assert (answer.code, list(json.load(answer))) == (422, ["error"])
    assert mock.ask("GET", "/profile") == before


async def test_a_reset_forgets_calls_that_began_before_it(mock: MockProcess) -> None:
    """A call over the reset leaves `in_flight` when it ends and is counted nowhere."""
    mock.behave(latency_min_seconds=0.5, latency_max_seconds=0.5)
    connection = await RawConnection.open(mock.port)
    await connection.send(score_of("early") + score_of("early"))
    assert (await connection.answer()).status == 200  # the second was read with it, and is due in the same moment
    await connection.answer()
    await connection.send(score_of("over"))
    await eventually(lambda: _is(mock.stats()["in_flight"], 1), timeout_seconds=5)
    reset = mock.ask("POST", "/reset")
    assert (reset["calls"], reset["in_flight"], reset["max_in_flight"]) == (0, 1, 1)
    await connection.answer()
    await connection.close()
    assert (
        mock.stats() | {"calls": 0, "answered": 0, "disconnected": 0, "in_flight": 0, "distinct_tokens": 0} == mock.stats()
    )
    assert mock.stats()["statuses"] == {}
