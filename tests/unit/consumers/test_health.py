"""Health, metrics and a look inside, over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from consumers import metrics
from consumers.health import HealthServer, ListenError
from tests.support.services import free_ports

TIMEOUT = aiohttp.ClientTimeout(total=5)


@asynccontextmanager
async def _serving(reason: str | None) -> AsyncIterator[str]:
    """Serve on a free port; yields the base URL."""
    (port,) = free_ports(1)
    async with HealthServer(address="127.0.0.1", port=port, ready=lambda: reason, status=lambda: {"calling": 3}):
        yield f"http://127.0.0.1:{port}"


async def _get(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession(timeout=TIMEOUT) as session, session.get(url) as response:
        return response.status, await response.text()


async def test_a_worker_that_works_is_live_and_ready() -> None:
    """200 for both; the look inside is JSON."""
    async with _serving(None) as url:
        assert await _get(f"{url}/health/live") == (200, '{"status": "live"}')
        assert await _get(f"{url}/health/ready") == (200, '{"status": "ready"}')
        assert await _get(f"{url}/status") == (200, '{"calling": 3}')


async def test_a_worker_that_joins_is_live_and_not_ready_and_says_why() -> None:
    """A joiner waits for everybody's drain: it must not be killed meanwhile, and gets no trust yet."""
    async with _serving("joining the group") as url:
        assert (await _get(f"{url}/health/live"))[0] == 200
        status, text = await _get(f"{url}/health/ready")
    assert (status, "joining the group" in text) == (503, True)


async def test_metrics_are_in_the_format_of_prometheus() -> None:
    """Every metric of the catalogue that has no labels is there before anything happened."""
    async with _serving(None) as url:
        status, text = await _get(f"{url}/metrics")
    assert status == 200
    for name in (metrics.IN_FLIGHT._name, metrics.CALLING._name, metrics.PERSISTING._name, "tokens_records_skipped_total"):
        assert f"\n{name} " in text


async def test_a_port_in_use_is_one_sentence_with_the_settings_to_change() -> None:
    """A second worker with the same index."""
    async with _serving(None) as url:
        port = int(url.rpartition(":")[2])
        second = HealthServer(address="127.0.0.1", port=port, ready=lambda: None, status=dict)
        with pytest.raises(ListenError, match=rf"127\.0\.0\.1:{port}.*in use.*WORKER_INDEX"):
            await second.__aenter__()


async def test_an_address_of_another_machine_is_one_sentence_too() -> None:
    """TEST-NET-1 (RFC 5737)."""
    with pytest.raises(ListenError, match="BIND_ADDRESS"):
        await HealthServer(address="192.0.2.1", port=free_ports(1)[0], ready=lambda: None, status=dict).__aenter__()


async def test_an_address_that_is_none_is_one_sentence_with_the_reason() -> None:
    """A name that nobody has (RFC 6761)."""
    with pytest.raises(ListenError, match=r"nowhere\.invalid:\d+ \((?!Unknown)[A-Z].*BIND_ADDRESS"):
        await HealthServer(address="nowhere.invalid", port=free_ports(1)[0], ready=lambda: None, status=dict).__aenter__()
