import asyncio

import httpx

from producer_api.app import _owned, create_app
from producer_api.cli import ApiServer
from producer_api.tokens import location
from tests.support.api import api_settings
from tests.support.waiting import eventually


async def test_an_unexpected_error_is_a_problem_document_that_shows_nothing() -> None:
    """A bug in a handler answers 500 like everything else, and its text stays in the log."""
    app = create_app(api_settings(), give_up=lambda: None)
    app.state.services = "not the services"
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.post("/tokens", json={"token": "1"})
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.json()["type"] == "urn:tokenflow:problem:unexpected"
    assert "attribute" not in answer.text


async def test_a_task_that_fails_ends_the_process() -> None:
    """Restart is the recovery path: the server is told to give up."""
    given_up = []

    async def fail() -> None:
        raise RuntimeError("a bug")

    task = _owned(fail(), "a task", lambda: given_up.append(True))
    await asyncio.wait([task], timeout=5)
    await eventually(lambda: _given_up(given_up), timeout_seconds=5)


async def test_a_task_that_is_cancelled_does_not() -> None:
    """That is how a stop ends it."""
    given_up: list[bool] = []
    task = _owned(asyncio.Event().wait(), "a task", lambda: given_up.append(True))  # type: ignore[arg-type]  # returns a bool
    task.cancel()
    await asyncio.wait([task], timeout=5)
    assert task.cancelled()
    assert given_up == []


def test_giving_up_stops_the_server_and_is_remembered() -> None:
    """The process then ends with 1, so that whoever supervises it starts it again."""
    server = ApiServer(api_settings())
    assert not server.failed
    server.give_up()
    assert (server.failed, server.should_exit) == (True, True)


def test_a_token_that_no_path_can_carry_leads_to_its_record() -> None:
    """Clients remove dot segments from a path before they send it."""
    assert location("..", "id") == location(".", "id") == "/records/id"
    assert location("../x", "id") == "/tokens/..%2Fx"


def _given_up(given_up: list[bool]) -> None:
    assert given_up == [True]
