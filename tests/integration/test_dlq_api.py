"""The dead letters over HTTP: the same core as `tokenflow dlq`, and operations that go on when their process is gone."""

import base64
from uuid import uuid4

import httpx

from infra.postgres.dead_letters import dead_letter_tables
from producer_api.redrive.filters import Filter
from producer_api.redrive.operations import Order, begin, dry_run, new_holder
from producer_api.settings import ApiSettings
from tests.support.api import api_settings, metric, serving
from tests.support.dead_letters import Bytes, read_topic, store_dead_letters, times_sent
from tests.support.system import System
from tests.support.waiting import eventually


def _settings(system: System) -> ApiSettings:
    return api_settings(kafka_bootstrap_servers=system.kafka, tokens_topic=system.topic, database_url=system.database)


async def _done(api: httpx.AsyncClient, location: str) -> dict[str, object]:
    ended: list[dict[str, object]] = []

    async def is_done() -> None:
        operation = (await api.get(location)).json()
        assert operation["status"] == "done", operation
        ended.append(operation)

    await eventually(is_done, timeout_seconds=20)
    return ended[-1]


async def test_dead_letters_are_browsed_and_redriven_over_http(system: System) -> None:
    """Pages, one with its bytes, groups, a dry run, a redrive; what was asked for is in the audit row."""
    ids = await store_dead_letters(system, [Bytes(b"\xff", b"%d" % n) for n in range(5)])
    await store_dead_letters(system, [Bytes(None, None)], why="HTTP 410")
    async with serving(_settings(system)) as api:
        first = (await api.get("/dlq", params={"limit": 4, "text": "http 404"})).json()
        rest = (await api.get("/dlq", params={"limit": 4, "text": "http 404", "cursor": first["next_cursor"]})).json()
        assert (first["has_more"], rest["has_more"], len(first["data"]), len(rest["data"])) == (True, False, 4, 1)
        assert {each["record_id"] for each in [*first["data"], *rest["data"]]} == {str(each) for each in ids}
        one = (await api.get(f"/dlq/{ids[0]}")).json()
        assert (base64.b64decode(one["key_base64"]), one["payload_text"]) == (b"\xff", "0")
        stats = (await api.get("/dlq/stats")).json()
        assert (stats["states"], [group["letters"] for group in stats["errors"]]) == ({"open": 6}, [5, 1])

        wanted = {"filter": {"text": "404"}, "dry_run": True}
        assert (await api.post("/dlq/redrive", json=wanted)).json()["selected"] == 5
        ordered = await api.post("/dlq/redrive", json={"filter": {"text": "404"}, "rate": 1000})
        assert ordered.status_code == 202, ordered.text
        operation = await _done(api, ordered.headers["location"])
        assert (operation["produced"], operation["filter"], operation["who"]) == (5, {"text": "404"}, "api")
        assert set(times_sent(await read_topic(system)).values()) == {1}
        assert await metric(api, 'tokens_dead_letters_taken_total{action="redrive"}') == 5
        assert await metric(api, "tokens_operations_running") == 0
        listed = (await api.get("/dlq/operations")).json()["data"]
        assert [each["id"] for each in listed] == [operation["id"]]
        assert (await api.get("/dlq", params={"state": "redriven"})).json()["data"][0]["state"] == "redriven"


async def test_what_cannot_be_done_says_why(system: System) -> None:
    """Unknown ids, rubbish in a filter, a drop that would take another number: problem documents, and nothing changes."""
    await store_dead_letters(system, [Bytes(None, b"1"), Bytes(None, b"2")])
    async with serving(_settings(system)) as api:
        for path in (f"/dlq/{uuid4()}", f"/dlq/operations/{uuid4()}"):
            assert (await api.get(path)).status_code == 404
        for params in ({"since": "yesterday"}, {"token": "a\0"}, {"limit": 0}, {"cursor": "!"}, {"nonsense": "1"}):
            answer = await api.get("/dlq", params=params)
            assert (answer.status_code, answer.json()["type"]) == (422, "urn:tokenflow:problem:invalid-request"), params
        assert (await api.post("/dlq/drop", json={"filter": {}})).status_code == 422
        assert (await api.post("/dlq/drop", json={"filter": {}, "expected": 3})).status_code == 409
        assert (await api.get("/dlq/operations")).json()["data"] == []
        dropped = await api.post("/dlq/drop", json={"filter": {}, "expected": 2})
        assert (await _done(api, dropped.headers["location"]))["produced"] == 2
        again = await api.post(dropped.headers["location"] + "/resume")
        assert again.status_code == 409
        assert (await api.get("/dlq/stats")).json()["states"] == {}


async def test_an_api_process_goes_on_with_what_another_left(system: System) -> None:
    """A holder was killed after it had begun: its lease runs out, and the API redrives what it was asked for."""
    await store_dead_letters(system, [Bytes(None, b"%d" % n) for n in range(20)])
    order = Order("redrive", Filter(), "somebody", None, 3)
    async with dead_letter_tables(system.database) as fetch:
        operation = await begin(fetch, order, groups=await dry_run(fetch, order), holder=new_holder())
    await system.rows("UPDATE operations SET lease_until = now()")
    async with serving(_settings(system)) as api:
        assert (await _done(api, f"/dlq/operations/{operation.id}"))["produced"] == 20
    assert set(times_sent(await read_topic(system)).values()) == {1}
