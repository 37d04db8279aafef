"""The HTTP provider against the real mock API: what a polite server sees, and what comes of its answers."""

import asyncio
import json
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumers.engine.record import DeadLettered, ErrorKind
from consumers.errors import TransientError, UnavailableError, decide
from tests.support.clients import BOTH, Clients
from tests.support.mock_processes import MockProcess, running_mock_api
from tests.support.records import make_record
from tests.support.services import free_ports
from topics.record import MalformedValueError, validate_token

ODD_TOKENS = [
    *("1234", "007", "a/b", "../x", ".", "..", "%2F", "%", "?q=1", "#f", "a b", "a+b", "{token}", ";&=", "\"'\\"),
    *("\u00e9", "\U0001f600", "a" * 256, "\u20ac" * 256),
]


clients = Clients()


@BOTH
def met(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test meets both clients."""
    yield from clients.meet(request.param)


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MockProcess]:
    """The mock API as a process of its own."""
    with running_mock_api(tmp_path_factory.mktemp("mock")) as running:
        yield running


def _template(mock: MockProcess) -> str:
    return f"http://127.0.0.1:{mock.port}/score/{{token}}"


async def test_an_answer_comes_back_as_its_text(mock: MockProcess) -> None:
    """2xx with JSON is the answer, not a byte changed."""
    mock.behave()
    async with clients.provider(_template(mock), timeout_seconds=5) as provider:
        text = await provider.call(make_record(1, token="1234"))
    assert json.loads(text)["token"] == "1234"


async def test_every_odd_token_arrives_as_it_was_sent(mock: MockProcess) -> None:
    """Slashes, dots, percent signs, question marks, all of Unicode: the server counts a call of exactly that token."""
    mock.behave()
    async with clients.provider(_template(mock), timeout_seconds=5) as provider:
        for token in ODD_TOKENS:
            assert json.loads(await provider.call(make_record(1, token=token)))["token"] == token
    assert mock.stats("?" + urlencode([("token", token) for token in ODD_TOKENS]))["calls_by_token"] == dict.fromkeys(
        ODD_TOKENS, 1
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(min_size=1, max_size=256))
def test_any_token_arrives_as_it_was_sent(mock: MockProcess, token: str) -> None:
    """Whatever a record may carry (the rest never comes to a call)."""
    try:
        validate_token(token)
    except MalformedValueError:
        return

    async def call() -> str:
        async with clients.provider(_template(mock), timeout_seconds=5) as provider:
            return await provider.call(make_record(1, token=token))

    mock.behave()
    assert json.loads(asyncio.run(call()))["token"] == token


async def test_a_token_in_the_query_arrives_as_it_was_sent(mock: MockProcess) -> None:
    """The template decides where it goes; what follows it stays."""
    token = "a&b=c#d?e/f g+h"
    async with clients.provider(f"http://127.0.0.1:{mock.port}/stats?token={{token}}&x=1", timeout_seconds=5) as provider:
        assert json.loads(await provider.call(make_record(1, token=token)))["calls_by_token"] == {token: 0}


async def test_a_500_is_transient_with_its_status_in_the_text(mock: MockProcess) -> None:
    """What the provider said is quoted."""
    mock.behave(error_ratio=1)
    async with clients.provider(_template(mock), timeout_seconds=5) as provider:
        with pytest.raises(TransientError, match=r"^HTTP 500: \S"):
            await provider.call(make_record(1))


async def test_a_slow_answer_ends_at_the_timeout(mock: MockProcess) -> None:
    """Connecting included; and the connection is not used again for the next call."""
    mock.behave(latency_min_seconds=30, latency_max_seconds=30)
    async with clients.provider(_template(mock), timeout_seconds=0.2) as provider, asyncio.timeout(5):
        with pytest.raises(TimeoutError) as slow:
            await provider.call(make_record(1))
        assert _kind(slow.value) is ErrorKind.TRANSIENT
        mock.behave()
        assert await provider.call(make_record(1))


async def test_a_thousand_calls_at_once(mock: MockProcess) -> None:
    """Nothing of the client's own limits them: all are in flight at the same time."""
    mock.behave(latency_min_seconds=1, latency_max_seconds=1)
    async with clients.provider(_template(mock), timeout_seconds=15) as provider, asyncio.timeout(20):
        answers = await asyncio.gather(*(provider.call(make_record(n, token=f"t{n}")) for n in range(1000)))
    assert [json.loads(text)["token"] for text in answers] == [f"t{n}" for n in range(1000)]
    assert mock.stats()["max_in_flight"] == 1000


async def test_a_port_that_nobody_listens_on_is_unavailable() -> None:
    """Refused: the provider is down, the record is fine."""
    async with clients.provider(f"http://127.0.0.1:{free_ports(1)[0]}/{{token}}", timeout_seconds=5) as provider:
        with pytest.raises(Exception, match="Cannot connect") as refused:
            await provider.call(make_record(1))
    assert _kind(refused.value) is UnavailableError.kind


async def test_a_name_that_nobody_knows_is_unavailable() -> None:
    """DNS (RFC 6761 keeps the name unknown)."""
    async with clients.provider("http://tokenflow.invalid/{token}", timeout_seconds=5) as provider:
        with pytest.raises(Exception, match="Cannot connect") as unknown:
            await provider.call(make_record(1))
    assert _kind(unknown.value) is UnavailableError.kind


async def test_tls_spoken_to_a_server_without_it_is_unavailable(mock: MockProcess) -> None:
    """A wrong scheme in PROVIDER_URL fails for every token alike."""
    async with clients.provider(f"https://127.0.0.1:{mock.port}/{{token}}", timeout_seconds=5) as provider:
        with pytest.raises(Exception, match="Cannot connect") as refused:
            await provider.call(make_record(1))
    assert _kind(refused.value) is UnavailableError.kind


def _kind(error: BaseException) -> ErrorKind:
    """Kind of the dead letter that the engine would make of it."""
    assert isinstance(error, Exception)
    outcome = decide(error, attempt=1, max_retries=0)
    assert isinstance(outcome, DeadLettered)
    return outcome.kind
