"""The batch endpoint of the mock API, on the wire, against the real process."""

import json
from collections.abc import Iterator

import pytest

from tests.support.mock_processes import MockProcess, running_mock_api
from tests.support.raw_http import RawAnswer, RawConnection, get, post, score_of, scores_of
from tests.support.waiting import eventually

THOUSAND = [f"id-{number}" for number in range(1000)]
AWKWARD = ["a/b", '"', "\\", "}", "caf\u00e9", "\U0001f600", "\u6771" * 256, "\0"]


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


async def test_a_batch_has_the_answers_of_single_calls(mock: MockProcess) -> None:
    """The same score objects, keyed by id, whatever the characters of the ids."""
    (batch,) = await _ask(mock, scores_of(AWKWARD))
    singles = await _ask(mock, *map(score_of, AWKWARD))
    assert batch.json == {token: single.json for token, single in zip(AWKWARD, singles, strict=True)}
    assert mock.stats("?tokens=true")["calls_by_token"] == dict.fromkeys(AWKWARD, 2)


async def test_each_id_of_a_batch_is_a_call_of_its_token(mock: MockProcess) -> None:
    """1,000 ids are 1,000 calls and one request; an id that stands twice was bought twice."""
    answers = await _ask(mock, scores_of(THOUSAND), scores_of(["a", "b", "a"]))
    assert [len(answer.json) for answer in answers] == [1000, 2]
    expected = {"calls": 1003, "distinct_tokens": 1002, "repeated_calls": 1, "max_calls_of_one_token": 2, "answered": 1003}
    expected |= {"batches": 2, "calls_in_batches": 1003, "requests": 2, "in_flight": 0}
    assert mock.stats() | expected == mock.stats()


async def test_a_batch_takes_the_time_of_one_call(mock: MockProcess) -> None:
    """Its ids are in flight together, and leave together when the caller does."""
    mock.behave(latency_min_seconds=60, latency_max_seconds=60)
    connection = await RawConnection.open(mock.port)
    await connection.send(scores_of(THOUSAND))
    await eventually(lambda: _has(mock, in_flight=1000, max_in_flight=1000), timeout_seconds=5)
    await connection.close()
    await eventually(lambda: _has(mock, in_flight=0, disconnected=1000), timeout_seconds=5)


async def test_ids_can_be_missing_from_the_answer(mock: MockProcess) -> None:
    """The same ones under the same seed; they were counted, and are counted as left out."""
    kept = []
    for seed in (1, 1, 2):
        mock.behave(left_out_ratio=0.1, seed=seed)
        (answer,) = await _ask(mock, scores_of(THOUSAND))
        kept.append(set(answer.json))
        assert mock.stats() | {"calls": 1000, "left_out": 1000 - len(answer.json)} == mock.stats()
    assert 850 <= len(kept[0]) <= 950
    assert kept[0] == kept[1] != kept[2]


async def test_a_batch_fails_as_a_whole(mock: MockProcess) -> None:
    """Status and Retry-After are those of the call."""
    mock.behave(statuses={"503": 1}, retry_after_seconds=3)
    (answer,) = await _ask(mock, scores_of(["a", "b"]))
    assert (answer.status, answer.headers["retry-after"], list(answer.json)) == (503, "3", ["error"])
    assert mock.stats() | {"failed": 2, "statuses": {"503": 1}} == mock.stats()


@pytest.mark.parametrize("kind", ["cut_before", "cut_half"])
async def test_a_batch_can_be_cut(mock: MockProcess, kind: str) -> None:
    """All of its ids go wrong with it."""
    mock.behave(misbehaviours={kind: 1})
    connection = await RawConnection.open(mock.port)
    await connection.send(scores_of(THOUSAND))
    await connection.rest()
    await connection.close()
    assert mock.stats() | {"misbehaved": 1000, "misbehaviours": {kind: 1}} == mock.stats()


async def test_a_spoilt_value_lies_in_the_first_id(mock: MockProcess) -> None:
    """The others are good: one bad value must not cost a caller the batch."""
    mock.behave(misbehaviours={"nul": 1})
    (answer,) = await _ask(mock, scores_of(["a", "b"]))
    assert (answer.json["a"]["note"], "note" in answer.json["b"]) == ("a\0b", False)
    assert mock.stats() | {"misbehaved": 1, "answered": 1, "misbehaviours": {"nul": 1}} == mock.stats()


async def test_a_rule_spoils_its_ids_and_no_others(mock: MockProcess) -> None:
    """A bad value stays in its id, any other fault leaves the id out."""
    rules = [
        {"pattern": "bad-.*", "behaviour": {"statuses": {"404": 1}}},
        {"tokens": ["odd"], "behaviour": {"misbehaviours": {"huge_number": 1}}},
        {"tokens": ["both"], "behaviour": {"misbehaviours": {"nul": 1}, "left_out_ratio": 1}},
    ]
    mock.behave(rules=rules)
    (answer,) = await _ask(mock, scores_of(["bad-1", "good", "odd", "bad-2", "both"]))
    assert list(answer.json) == ["good", "odd"]
    assert answer.json["odd"]["note"] == float("inf")
    expected = {"answered": 1, "left_out": 3, "misbehaved": 1, "statuses": {"200": 1}, "misbehaviours": {"huge_number": 1}}
    assert mock.stats() | expected == mock.stats()


async def test_calls_and_batches_share_the_number_of_a_token(mock: MockProcess) -> None:
    """A token that fails twice has failed twice, however it was asked for."""
    mock.behave(rules=[{"tokens": ["t"], "behaviour": {"fail_first_calls": 2}}])
    answers = await _ask(mock, scores_of(["t", "x"]), score_of("t"), scores_of(["t", "x"]))
    assert (list(answers[0].json), answers[1].status, list(answers[2].json)) == (["x"], 500, ["t", "x"])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"[1]",
        b'["a"',
        b'["\xff"]',
        b'["\\ud800"]',
        json.dumps([str(number) for number in range(1001)]).encode(),
        b"[" * 100_000,
    ],
)
async def test_what_is_no_list_of_ids_is_refused_and_not_counted(mock: MockProcess, body: bytes) -> None:
    """422 with a sentence; the connection is good for the next request."""
    refused, good = await _ask(mock, post("/scores", body), scores_of(["a"]))
    assert (refused.status, list(refused.json), list(good.json)) == (422, ["error"], ["a"])
    assert mock.stats()["calls"] == 1


async def test_a_batch_larger_than_any_is_refused(mock: MockProcess) -> None:
    """4 MiB hold 1,000 ids of 256 characters however they are escaped."""
    long = ["\U0001f600" * 250 + f"{number:06}" for number in range(1000)]
    (answer,) = await _ask(mock, scores_of(long))
    assert len(answer.json) == 1000
    connection = await RawConnection.open(mock.port)
    await connection.send(post("/scores", b"x" * 4_200_000))
    assert (await connection.answer()).status == 413
    await connection.close()


async def test_a_batch_is_a_post(mock: MockProcess) -> None:
    """Other methods are told so."""
    (answer,) = await _ask(mock, get("/scores", method="PUT"))
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


def _has(mock: MockProcess, **expected: int) -> None:
    stats = mock.stats()
    assert stats | expected == stats
