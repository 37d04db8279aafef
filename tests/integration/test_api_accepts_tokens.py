"""POST /tokens on a real broker: 202 means that the record is there, and what cannot be a record is refused."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import httpx
import pytest

from producer_api.bodies import DISCARDED_BYTES, MAX_BODY_BYTES
from producer_api.settings import ApiSettings
from tests.support.api import api_settings, metric, read_topic, serving, text_headers, until_ready
from topics.identity import parse_record_id
from topics.provision import create_topics
from topics.record import decode_value

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
async def settings(kafka: str, topic_base: str, database: str) -> ApiSettings:
    """Settings of an API whose topics exist."""
    made = api_settings(kafka_bootstrap_servers=kafka, tokens_topic=topic_base, database_url=database)
    await create_topics(made)
    return made


@pytest.fixture
async def api(settings: ApiSettings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a running API that accepts tokens."""
    async with serving(settings) as client:
        await until_ready(client)
        yield client


async def test_202_means_that_the_record_is_in_the_topic(api: httpx.AsyncClient, settings: ApiSettings, kafka: str) -> None:
    """Key, value, record-id and traceparent are those of the contract."""
    answer = await api.post("/tokens", json={"token": "1234"}, headers={"traceparent": TRACEPARENT})
    assert answer.status_code == 202
    assert answer.headers["location"] == "/tokens/1234"
    assert answer.json()["token"] == "1234"
    assert parse_record_id(answer.json()["record_id"])
    (record,) = await read_topic(kafka, settings.tokens_topic)
    assert (record.key, record.value) == (b"1234", b"1234")
    headers = text_headers(record)
    assert headers["record-id"] == answer.json()["record_id"]
    assert headers["traceparent"] == TRACEPARENT


async def test_other_fields_and_digits_are_kept(api: httpx.AsyncClient, settings: ApiSettings, kafka: str) -> None:
    """No number passes through a float, and unknown fields travel with the token."""
    body = b' {"token": 12345678901234567890123, "limit": 1.10}\n'
    answer = await api.post("/tokens", content=body)
    assert answer.json()["token"] == "12345678901234567890123"
    (record,) = await read_topic(kafka, settings.tokens_topic)
    assert record.value == b'{"token":"12345678901234567890123","limit":1.10}'
    assert text_headers(record)["content-type"] == "application/json"


async def test_a_token_that_reads_like_json_keeps_its_text(
    api: httpx.AsyncClient, settings: ApiSettings, kafka: str
) -> None:
    """Whatever was posted is what a worker reads."""
    tokens = ['{"token":"x"}', "[1]", '"', "a/b?c#d%2Fe", "null", "Z\u00fcrich"]
    for token in tokens:
        assert (await api.post("/tokens", json={"token": token})).status_code == 202
    records = await read_topic(kafka, settings.tokens_topic)
    assert sorted(decode_value(record.value).token for record in records) == sorted(tokens)


async def test_many_at_once_arrive_once_each(api: httpx.AsyncClient, settings: ApiSettings, kafka: str) -> None:
    """Every 202 is exactly one record with an id of its own."""
    answers = await asyncio.gather(*(api.post("/tokens", json={"token": f"t{n}"}) for n in range(500)))
    assert Counter(answer.status_code for answer in answers) == {202: 500}
    records = await read_topic(kafka, settings.tokens_topic)
    sent = sorted((answer.json()["token"], answer.json()["record_id"]) for answer in answers)
    assert sorted((record.value.decode(), text_headers(record)["record-id"]) for record in records) == sent
    assert await metric(api, 'tokens_ingested_total{source="http"}') == 500


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "the body must be a JSON object"),
        (b'["1"]', "the body must be a JSON object"),
        (b'{"token": 1.5}', "neither a string nor an integer"),
        (b'{"token": "1"', "not valid JSON"),
        (b'{"token": ""}', "the token is empty"),
        (b'{"token": "a\\u0000b"}', "U+0000, does not print"),
        (b'{"token": "\xff"}', "not UTF-8"),
    ],
)
async def test_what_is_no_token_is_a_422_with_the_reason(api: httpx.AsyncClient, body: bytes, reason: str) -> None:
    """The grammar's own sentence is the problem's detail."""
    answer = await api.post("/tokens", content=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:tokenflow:problem:malformed"
    assert reason in answer.json()["detail"]


async def test_a_body_over_the_limit_is_refused_and_its_sender_reads_why(api: httpx.AsyncClient) -> None:
    """Announced or streamed, the answer arrives although the sender was not done."""

    async def streamed() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 65_536

    for body in (b" " * (MAX_BODY_BYTES + 1), streamed()):
        answer = await api.post("/tokens", content=body)
        assert (answer.status_code, answer.json()["type"]) == (413, "urn:tokenflow:problem:body-too-large")


async def test_an_endless_body_is_not_read_for_ever(api: httpx.AsyncClient) -> None:
    """Past the bound the connection is closed, whether or not the sender is still to read the answer."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 65_536
            yield b" " * 65_536

    try:
        answer = await api.post("/tokens", content=endless())
    except httpx.TransportError:  # closed while the client was still writing
        assert sent > MAX_BODY_BYTES
    else:
        assert answer.status_code == 413
    assert sent < 4 * DISCARDED_BYTES


async def test_a_record_over_the_topics_limit_is_a_413_and_harms_nobody(api: httpx.AsyncClient) -> None:
    """A body within the limit whose record does not fit is refused before it reaches the producer."""
    frame = b'{"token": "1", "note": ""}'
    large = frame[:-2] + b"a" * (MAX_BODY_BYTES - len(frame)) + frame[-2:]
    answer = await api.post("/tokens", content=large)
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:tokenflow:problem:record-too-large")
    half = frame[:-2] + b"a" * (MAX_BODY_BYTES // 2) + frame[-2:]
    assert (await api.post("/tokens", content=half)).status_code == 202
    assert await metric(api, "tokens_producer_replacements_total") == 0


async def test_what_does_not_exist_is_a_problem_document_too(api: httpx.AsyncClient) -> None:
    """404 and 405 come from the router and look the same."""
    for answer, status in ((await api.get("/nothing"), 404), (await api.delete("/tokens"), 405)):
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status
    assert answer.headers["allow"] == "POST"
