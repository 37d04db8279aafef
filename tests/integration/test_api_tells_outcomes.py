"""GET of outcomes from a real Postgres: what is stored, how long it takes to be told, and odd characters in tokens."""

import asyncio
import time
from collections.abc import AsyncIterator
from urllib.parse import quote

import httpx
import pytest

from producer_api.settings import ApiSettings
from tests.support.api import api_settings, metric, serving, store_outcome, until_ready
from tests.support.services import free_ports
from tests.support.waiting import eventually
from topics.identity import new_record_id
from topics.provision import create_topics

ODD_TOKENS = [
    "a/b?c#d%2Fe",
    "%",
    "%2F",
    "/",
    "//",
    "a b",
    "?x=1",
    "#",
    "a+b",
    "&=;",
    "Z\u00fcrich",
    "\u65e5\u672c",
    "\U0001f642",
    "..a",
    "../b",
    "~",
    '"',
    "\\",
]
PROMPT_SECONDS = 0.5


@pytest.fixture
def settings(database: str) -> ApiSettings:
    """Settings of an API that reads the test's database and has no Kafka: reading needs none."""
    (port,) = free_ports(1)
    return api_settings(kafka_bootstrap_servers=f"127.0.0.1:{port}", database_url=database)


@pytest.fixture
async def api(settings: ApiSettings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a running API."""
    async with serving(settings) as client:
        yield client


async def test_a_succeeded_record_is_told_whole(api: httpx.AsyncClient, database: str) -> None:
    """Every field of the answer, the result as stored."""
    record_id = new_record_id()
    await store_outcome(database, record_id, "1234", "succeeded", result='{"score": 12345678901234567890123, "b": 1.10}')
    answer = await api.get("/tokens/1234")
    assert answer.status_code == 200
    document = answer.json()
    assert {name: document[name] for name in ("token", "record_id", "outcome", "attempt", "redrive_count", "error")} == {
        "token": "1234",
        "record_id": record_id,
        "outcome": "succeeded",
        "attempt": 1,
        "redrive_count": 0,
        "error": None,
    }
    assert '"score": 12345678901234567890123' in answer.text
    assert '"b": 1.10' in answer.text
    assert (document["source"]["topic"], document["source"]["partition"], document["source"]["offset"]) == ("tokens", 0, 0)
    assert document["settled_at"] >= document["source"]["timestamp"]
    assert (await api.get(f"/records/{record_id}")).json() == document


async def test_a_dead_letter_says_why(api: httpx.AsyncClient, database: str) -> None:
    """Kind and message are there, and no result."""
    record_id = new_record_id()
    await store_outcome(database, record_id, "1", "dead_lettered", error_kind="rejected", error_message="answered 404")
    document = (await api.get(f"/records/{record_id}")).json()
    assert (document["outcome"], document["result"]) == ("dead_lettered", None)
    assert document["error"] == {"kind": "rejected", "message": "answered 404"}


@pytest.mark.parametrize("token", ODD_TOKENS)
async def test_odd_characters_in_a_token_come_back(api: httpx.AsyncClient, database: str, token: str) -> None:
    """Percent-encoded as any client does it, a token in a path is the token that is stored."""
    await store_outcome(database, new_record_id(), token, "succeeded", result="1")
    await store_outcome(database, new_record_id(), f"{token}x", "succeeded", result="2")
    answer = await api.get(f"/tokens/{quote(token, safe='')}")
    assert answer.status_code == 200
    assert (answer.json()["token"], answer.json()["result"]) == (token, 1)


async def test_location_leads_to_the_token(kafka: str, topic_base: str, database: str) -> None:
    """Following the header of a 202 asks for that token, whatever characters it has."""
    settings = api_settings(kafka_bootstrap_servers=kafka, tokens_topic=topic_base, database_url=database)
    await create_topics(settings)
    async with serving(settings) as api:
        await until_ready(api)
        for token in ODD_TOKENS:
            accepted = await api.post("/tokens", json={"token": token})
            await store_outcome(database, accepted.json()["record_id"], token, "succeeded", result="1")
            assert (await api.get(accepted.headers["location"])).json()["token"] == token


async def test_the_latest_outcome_of_a_token_is_told(api: httpx.AsyncClient, database: str) -> None:
    """Of two records of a token it is the one that was settled last."""
    first, second = new_record_id(), new_record_id()
    await store_outcome(database, second, "1", "succeeded", result="2")
    await store_outcome(database, first, "1", "succeeded", result="1")
    assert (await api.get("/tokens/1")).json()["record_id"] == first


async def test_nothing_stored_is_a_404_that_says_how_to_wait(api: httpx.AsyncClient) -> None:
    """At once without a wait, and after it with one."""
    for path in ("/tokens/none", f"/records/{new_record_id()}"):
        answer = await api.get(path)
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:tokenflow:problem:no-outcome")
        assert f"GET {path}?wait_seconds=15" in answer.json()["detail"]
    started = time.monotonic()
    assert (await api.get("/tokens/none", params={"wait_seconds": 0.3})).status_code == 404
    assert 0.3 <= time.monotonic() - started < 5


@pytest.mark.parametrize(
    "path", ["/records/xyz", "/tokens/%ff", "/tokens/%00", "/tokens/" + "a" * 257, "/tokens/1?wait_seconds=-1"]
)
async def test_what_cannot_be_asked_for_is_a_422(api: httpx.AsyncClient, path: str) -> None:
    """A bad id, a path that is no token, a wait that is no time."""
    answer = await api.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


@pytest.mark.parametrize("by_record", [False, True], ids=["token", "record"])
async def test_a_wait_ends_soon_after_the_commit(api: httpx.AsyncClient, database: str, *, by_record: bool) -> None:
    """A long poll is told within half a second of the row's commit, whichever it asked for."""
    record_id = new_record_id()
    path = f"/records/{record_id}" if by_record else "/tokens/1"
    waiting = asyncio.create_task(api.get(path, params={"wait_seconds": 20}))
    await eventually(lambda: _waiters(api, 1), timeout_seconds=5)
    await store_outcome(database, record_id, "1", "retrying", error_kind="transient")
    await eventually(lambda: _reads_grow(api), timeout_seconds=5)
    assert not waiting.done(), "retrying is not final"
    await store_outcome(database, record_id, "1", "succeeded", result='"done"')
    committed = time.monotonic()
    async with asyncio.timeout(10):
        answer = await waiting
    assert time.monotonic() - committed < PROMPT_SECONDS
    assert (answer.json()["outcome"], answer.json()["result"]) == ("succeeded", "done")


async def test_a_wait_that_ends_with_retrying_tells_it(api: httpx.AsyncClient, database: str) -> None:
    """When the time is over the latest outcome is the answer."""
    await store_outcome(database, new_record_id(), "1", "retrying", error_kind="transient")
    answer = await api.get("/tokens/1", params={"wait_seconds": 0.3})
    assert (answer.status_code, answer.json()["outcome"]) == (200, "retrying")


async def test_waiters_share_the_questions(api: httpx.AsyncClient, database: str) -> None:
    """Eighty GETs hold no connection each and ask no query each, and all are told."""
    ids = {f"t{n}": new_record_id() for n in range(80)}
    waiting = [asyncio.create_task(api.get(f"/tokens/{token}", params={"wait_seconds": 20})) for token in ids]
    await eventually(lambda: _waiters(api, 80), timeout_seconds=10)
    before = await metric(api, 'tokens_outcome_reads_total{result="answered"}')
    started = time.monotonic()
    for token, record_id in ids.items():
        await store_outcome(database, record_id, token, "succeeded", result="1")
    async with asyncio.timeout(20):
        answers = await asyncio.gather(*waiting)
    elapsed = time.monotonic() - started
    assert all(answer.json()["outcome"] == "succeeded" for answer in answers)
    reads = await metric(api, 'tokens_outcome_reads_total{result="answered"}') - before
    assert reads <= elapsed / ApiSettings.model_fields["api_outcome_poll_seconds"].default + 2


async def test_without_a_database_reading_is_a_503_and_posting_works(kafka: str, topic_base: str) -> None:
    """Postgres away: GET says so with Retry-After, readiness says degraded, and POST gets its 202."""
    (port,) = free_ports(1)
    settings = api_settings(
        kafka_bootstrap_servers=kafka, tokens_topic=topic_base, database_url=f"postgresql://nobody@127.0.0.1:{port}/none"
    )
    await create_topics(settings)
    async with serving(settings) as api:
        await until_ready(api)
        answer = await api.get("/tokens/1", params={"wait_seconds": 5})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json()["type"] == "urn:tokenflow:problem:database-unavailable"
        assert (await api.post("/tokens", json={"token": "1"})).status_code == 202
        ready = await api.get("/health/ready")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        assert ready.json()["dependencies"]["postgres"]["status"] == "unavailable"


async def _waiters(api: httpx.AsyncClient, count: int) -> None:
    assert await metric(api, "tokens_outcome_waiters") == count


async def _reads_grow(api: httpx.AsyncClient) -> None:
    """Hold once the database was asked at least twice more, so that what was stored before has been seen."""
    before = await metric(api, 'tokens_outcome_reads_total{result="answered"}')

    async def grown() -> None:
        assert await metric(api, 'tokens_outcome_reads_total{result="answered"}') >= before + 2

    await eventually(grown, timeout_seconds=5)
