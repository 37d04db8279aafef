"""The API as a process and as a site: how it starts, refuses to start, stops, and shows itself without a CDN."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from tests.support.api import api_settings, metric, serving
from tests.support.services import free_ports
from tests.support.waiting import eventually
from topics.identity import new_record_id

COMMAND = "import typer; from producer_api.cli import serve; typer.run(serve)"
END_SECONDS = 20.0


@asynccontextmanager
async def process(**environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `serve` as its own process; it is killed if it is still there when the block ends."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", COMMAND, env={**os.environ, **environment}, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        async with asyncio.timeout(END_SECONDS):
            await child.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_sends_the_waiting_home_and_ends_with_0(database: str, number: signal.Signals) -> None:
    """SIGTERM and Ctrl-C: a GET that would wait a minute is answered, and the process ends cleanly and soon."""
    port, nobody = free_ports(2)
    environment = {"API_PORT": str(port), "DATABASE_URL": database, "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{nobody}"}
    async with (
        process(**environment) as child,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as api,
    ):
        await eventually(lambda: _live(api), timeout_seconds=END_SECONDS)
        waiting = asyncio.create_task(api.get(f"/records/{new_record_id()}", params={"wait_seconds": 60}))
        await eventually(lambda: _waiting(api), timeout_seconds=END_SECONDS)
        child.send_signal(number)
        async with asyncio.timeout(END_SECONDS):
            assert (await waiting).status_code == 404
            assert await child.wait() == 0


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"BIND_ADDRESS": "0.0.0.0"}, "API_ALLOW_ANONYMOUS=true"),  # noqa: S104 - refused
        ({"API_PORT": "http"}, "API_PORT=http"),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CAFILE": "/missing.pem"}, "KAFKA_SSL_CAFILE=/missing.pem"),
        ({"BIND_ADDRESS": "203.0.113.7", "API_ALLOW_ANONYMOUS": "true"}, "BIND_ADDRESS=203.0.113.7 with API_PORT="),
    ],
)
async def test_what_cannot_start_says_so_in_a_sentence(environment: dict[str, str], sentence: str) -> None:
    """Exit code 2, one line, no traceback."""
    async with process(**environment) as child, asyncio.timeout(END_SECONDS):
        _, stderr = await child.communicate()
        assert child.returncode == 2
        assert sentence in stderr.decode()
        assert stderr.decode().count("\n") == 1


async def test_a_port_in_use_is_named() -> None:
    """The sentence says which setting to change."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, process(API_PORT=str(port)) as child, asyncio.timeout(END_SECONDS):
        _, stderr = await child.communicate()
        assert child.returncode == 2
        assert f"API_PORT={port} cannot be listened on (Address already in use)" in stderr.decode()


@pytest.fixture
async def api(database: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a running API without Kafka."""
    (nobody,) = free_ports(1)
    async with serving(api_settings(kafka_bootstrap_servers=f"127.0.0.1:{nobody}", database_url=database)) as client:
        yield client


async def test_the_documentation_needs_nothing_from_outside(api: httpx.AsyncClient) -> None:
    """Every file that /docs asks for is served here, and `/` leads there."""
    page = await api.get("/", follow_redirects=True)
    assert (page.status_code, page.url.path) == (200, "/docs")
    asked_for = re.findall(r'(?:src|href)="([^"]+)"', page.text) + re.findall(r"url: '([^']+)'", page.text)
    assert len(asked_for) == 4
    for path in asked_for:
        assert path.startswith("/")
        assert (await api.get(path)).status_code == 200, path


async def test_the_schema_tells_every_call(api: httpx.AsyncClient) -> None:
    """Paths, the body of POST and the problems are documented."""
    schema = (await api.get("/openapi.json")).json()
    assert set(schema["paths"]) == {
        "/tokens", "/tokens/{token}", "/records/{record_id}", "/status", "/gates", "/health/live", "/health/ready",
        "/metrics", "/dlq", "/dlq/stats", "/dlq/redrive", "/dlq/drop", "/dlq/{record_id}", "/dlq/operations",
        "/dlq/operations/{operation_id}", "/dlq/operations/{operation_id}/stop", "/dlq/operations/{operation_id}/resume",
    }  # fmt: skip
    post = schema["paths"]["/tokens"]["post"]
    assert post["requestBody"]["required"]
    assert {"202", "413", "422", "503"} <= set(post["responses"])
    assert "application/problem+json" in schema["paths"]["/tokens/{token}"]["get"]["responses"]["404"]["content"]
    order = schema["paths"]["/gates"]["post"]
    assert order["requestBody"]["content"]["application/json"]["schema"]["required"] == ["action"]
    assert {"200", "202", "422", "503"} <= set(order["responses"])
    assert "application/problem+json" in schema["paths"]["/status"]["get"]["responses"]["503"]["content"]


async def test_requests_are_measured_by_route_and_never_by_token(api: httpx.AsyncClient) -> None:
    """Labels are bounded: the route's template, the status, known methods."""
    for token in ("secret1", "secret2"):
        await api.get(f"/tokens/{token}")
    await api.request("BREW", "/tokens/secret3")
    labels = 'method="GET",route="/tokens/{token:path}",status="404"'
    assert await metric(api, f"tokens_http_request_duration_seconds_count{{{labels}}}") == 2
    text = (await api.get("/metrics")).text
    assert "secret" not in text
    assert "BREW" not in text


async def _live(api: httpx.AsyncClient) -> None:
    try:
        answer = await api.get("/health/live")
    except httpx.TransportError:
        answer = None
    assert answer is not None
    assert answer.status_code == 200


async def _waiting(api: httpx.AsyncClient) -> None:
    assert await metric(api, "tokens_outcome_waiters") == 1
