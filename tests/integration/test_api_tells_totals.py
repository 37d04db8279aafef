"""GET /status from a real Postgres: exact, with its age, and a problem while the database is away."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

import asyncpg
import httpx
import pytest

from tests.support.api import api_settings, serving, store_outcome
from tests.support.services import free_ports
from tests.support.waiting import eventually
from topics.identity import new_record_id


@pytest.fixture
async def api(database: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API that reads the test's database and has no Kafka: counting needs none."""
    (port,) = free_ports(1)
    async with serving(api_settings(kafka_bootstrap_servers=f"127.0.0.1:{port}", database_url=database)) as client:
        yield client


async def test_totals_are_those_of_the_table(api: httpx.AsyncClient, database: str) -> None:
    """Each outcome is counted, of all tokens or of those with a prefix; what changed is seen within about a second."""
    assert (await api.get("/status")).json()["outcomes"] == _totals()
    ids = [new_record_id() for _ in range(5)]
    await store_outcome(database, ids[0], "a-1", "succeeded", result="1")
    await store_outcome(database, ids[1], "a-2", "succeeded", result="1")
    await store_outcome(database, ids[2], "b-1", "dead_lettered", error_kind="rejected")
    await store_outcome(database, ids[3], "a-\U0010fffd", "retrying", error_kind="transient")
    await store_outcome(database, ids[4], "b", "cancelled")
    await eventually(
        lambda: _told(api, {}, _totals(succeeded=2, dead_lettered=1, retrying=1, cancelled=1)), timeout_seconds=5
    )
    await _told(api, {"token_prefix": "a-"}, _totals(succeeded=2, retrying=1))
    await _told(api, {"token_prefix": "b"}, _totals(dead_lettered=1, cancelled=1))
    await _told(api, {"token_prefix": "%_"}, _totals())
    await store_outcome(database, ids[3], "a-\U0010fffd", "succeeded", result="1")
    await eventually(lambda: _told(api, {"token_prefix": "a-"}, _totals(succeeded=3)), timeout_seconds=5)


async def test_the_age_is_told_and_many_who_ask_share_a_count(api: httpx.AsyncClient, database: str) -> None:
    """A hundred questions at once are one count: all tell the same moment."""
    answers = await asyncio.gather(*(api.get("/status") for _ in range(100)))
    documents = [answer.json() for answer in answers]
    moments = [datetime.fromisoformat(each["time"]).timestamp() - each["age_seconds"] for each in documents]
    assert max(moments) - min(moments) < 0.1
    assert {document["accepted"]["records"] for document in documents} == {0}
    assert {document["lag"] for document in documents} == {None}, "there is no Kafka"
    assert all("KAFKA_BOOTSTRAP_SERVERS" in document["lag_unknown_because"] for document in documents)
    await store_outcome(database, new_record_id(), "t", "succeeded", result="1")
    again = (await api.get("/status")).json()
    assert again["outcomes"] == _totals(succeeded=1 if again["age_seconds"] < 0.05 else 0), "younger than it says"


async def test_a_count_that_takes_long_is_not_waited_for(api: httpx.AsyncClient, database: str) -> None:
    """Nothing is known yet: null. Something is: that, with its age. Once it is counted, the new number."""
    connection = await asyncpg.connect(database, timeout=5)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE outcomes")
            document = (await api.get("/status")).json()
            assert (document["outcomes"], document["age_seconds"]) == (None, None)
    finally:
        await connection.close()
    await eventually(lambda: _told(api, {}, _totals()), timeout_seconds=5)


async def test_a_prefix_that_is_none_is_refused(api: httpx.AsyncClient) -> None:
    """What no token can begin with is told, not counted."""
    answer = await api.get("/status", params={"token_prefix": "a\x00"})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:tokenflow:problem:malformed")


async def test_without_a_database_the_totals_are_a_problem() -> None:
    """Not zeros, not the last ones known."""
    (kafka, postgres) = free_ports(2)
    settings = api_settings(
        kafka_bootstrap_servers=f"127.0.0.1:{kafka}", database_url=f"postgresql://nobody@127.0.0.1:{postgres}/none"
    )
    async with serving(settings) as api:
        answer = await api.get("/status")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["type"] == "urn:tokenflow:problem:database-unavailable"


def _totals(**records: int) -> dict[str, int]:
    return {"succeeded": 0, "retrying": 0, "dead_lettered": 0, "cancelled": 0} | records


async def _told(api: httpx.AsyncClient, parameters: dict[str, str], totals: dict[str, int]) -> None:
    assert (await api.get("/status", params=parameters)).json()["outcomes"] == totals
