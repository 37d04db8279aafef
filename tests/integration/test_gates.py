"""Operators stop and resume real workers: by the command line and by HTTP; what waits meanwhile spends nothing."""

import asyncio
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from infra.postgres.gates import GatesError, gate_tables
from producer_api.gate_orders import Order, carry_out, list_closed_gates
from tests.support.api import api_settings, serving
from tests.support.processes import ROOT
from tests.support.services import drop_database, execute, free_ports, with_database
from tests.support.system import System, WorkerProcess
from tests.support.waiting import eventually


async def gates(database: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `tokenflow gates` as a user does, in a folder where no stack runs."""
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "infra.cli", "gates", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "DATABASE_URL": database},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
async def api(system: System) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API on this system's database; gates need no Kafka."""
    async with serving(api_settings(kafka_bootstrap_servers=system.kafka, database_url=system.database)) as client:
        yield client


async def test_an_operator_stops_every_worker_and_resumes_them(system: System, tmp_path: Path) -> None:
    """Closed before a worker is there, it holds from the first call; the lag is seen; opened, everything is called once."""
    early = await gates(system.database, "close", "--why", "maintenance", "--who", "olga", folder=tmp_path)
    assert (early.returncode, "no worker is live" in early.stdout) == (0, True)
    tokens = [f"t{number}" for number in range(600)]
    await system.produce(token.encode() for token in tokens)
    workers = [system.start_worker(), system.start_worker()]
    await asyncio.gather(*(worker.ready() for worker in workers))

    async def both_hold() -> None:
        (gate,) = json.loads(f"[{(await gates(system.database, 'list', '--json', folder=tmp_path)).stdout}]")
        assert len(gate["workers"]) == 2, gate
        assert (gate["gate"], gate["who"], gate["why"], gate["until"]) == ("operator", "olga", "maintenance", None)

    await eventually(both_hold, timeout_seconds=10)
    assert (system.mock.stats()["calls"], await system.lag()) == (0, len(tokens))
    status, text = await workers[0].get("/health/ready")
    assert (status, json.loads(text)) == (200, {"status": "ready", "closed_gates": ["operator"]})
    listed = (await gates(system.database, "list", folder=tmp_path)).stdout
    assert max(len(line) for line in listed.splitlines()) <= 80
    assert "closed by olga" in listed

    opened = await gates(system.database, "open", folder=tmp_path)
    assert (opened.returncode, opened.stdout) == (0, "gate operator of default: open in 2 live workers\n")
    await system.wait_for(len(tokens))
    await system.assert_promise(tokens)
    assert (await gates(system.database, "list", folder=tmp_path)).stdout == "all gates are open\n"
    again = await gates(system.database, "open", "operator", folder=tmp_path)
    assert (again.returncode, again.stdout) == (0, "gate operator of default is open already\n")
    for worker in workers:
        await worker.terminate()
    assert await system.rows("SELECT worker FROM provider_workers") == []


async def test_refused_credentials_hold_every_record_until_somebody_opens(system: System, api: httpx.AsyncClient) -> None:
    """401 for all: the gate is told with its reason; mended and opened over HTTP, each record succeeds on attempt 1."""
    system.mock.change(statuses={"401": 1})
    tokens = [f"t{number}" for number in range(300)]
    await system.produce(token.encode() for token in tokens)
    worker = system.start_worker()
    await worker.ready()

    async def is_told() -> None:
        told = (await api.get("/gates")).json()["data"]
        assert [(gate["gate"], gate["who"], len(gate["workers"])) for gate in told] == [("misconfigured", None, 1)]
        assert "401" in told[0]["why"]

    await eventually(is_told, timeout_seconds=10)
    assert await system.rows("SELECT outcome FROM outcomes") == []
    system.mock.change(statuses={})
    begin = time.monotonic()
    answer = await api.post("/gates", json={"gate": "misconfigured", "action": "open", "why": "new key"})
    assert (answer.status_code, answer.json()["gates"], answer.json()["waiting"]) == (200, ["misconfigured"], [])
    assert len(answer.json()["applied"]) == 1
    assert time.monotonic() - begin < 2.5, "two seconds, and what a busy machine adds"
    await system.wait_for(len(tokens))
    assert [tuple(row) for row in await system.rows("SELECT DISTINCT outcome::text, attempt FROM outcomes")] == [
        ("succeeded", 1)
    ]
    assert [tuple(row) for row in await system.rows("SELECT gate, action, why, who FROM gate_orders")] == [
        ("misconfigured", "open", "new key", "api")
    ]
    assert (await api.get("/gates")).json()["data"] == []
    await worker.terminate()


async def test_a_provider_that_is_away_costs_no_dead_letter_and_is_seen_again_at_once(system: System) -> None:
    """Nobody listens: calls stop after the first failures, nothing is dead; back, the first answer comes within 2 s."""
    system.mock.go_down("refuse")
    tokens = [f"t{number}" for number in range(300)]
    await system.produce(token.encode() for token in tokens)
    worker = system.start_worker()
    await worker.ready()

    async def is_closed() -> None:
        assert 'tokens_gate_closed{gate="breaker",provider="default"} 1.0' in (await worker.get("/metrics"))[1]

    await eventually(is_closed, timeout_seconds=10)
    parked = 19
    await system.wait_for(parked, "retrying")
    await _probed(worker)
    assert (await system.count("retrying"), await system.count("dead_lettered")) == (parked, 0), "a probe spends nothing"
    system.mock.come_up()
    begin = time.monotonic()
    await system.wait_for(1, timeout_seconds=10)
    assert time.monotonic() - begin < 2.5, "a probe each second, its call, its row"
    await system.wait_for(len(tokens) - parked)
    assert (await system.count(), await system.count("dead_lettered")) == (len(tokens) - parked, 0)
    await worker.terminate()


async def _probed(worker: WorkerProcess) -> None:
    """Wait until another call was refused."""
    calls = await _refused(worker)

    async def was_probed() -> None:
        assert await _refused(worker) > calls

    await eventually(was_probed, timeout_seconds=10)


async def _refused(worker: WorkerProcess) -> float:
    name = 'tokens_provider_requests_total{provider="default",result="unavailable"}'
    (line,) = [line for line in (await worker.get("/metrics"))[1].splitlines() if line.startswith(name)]
    return float(line.removeprefix(name))


async def test_a_database_that_cannot_be_used_is_one_sentence(database_url: str, tmp_path: Path) -> None:
    """One that is away, one that was never migrated: no traceback, no password."""
    away = await gates(f"postgresql://nobody:secret@127.0.0.1:{free_ports(1)[0]}/none", "list", folder=tmp_path)
    assert away.returncode == 2
    assert away.stderr.startswith("DATABASE_URL: the database cannot be reached")
    assert "secret" not in away.stderr
    name = f"test_{uuid.uuid4().hex}"
    await execute(database_url, f'CREATE DATABASE "{name}"')
    try:
        async with gate_tables(with_database(database_url, name)) as fetch:
            with pytest.raises(GatesError, match="run `tokenflow migrate` first"):
                await list_closed_gates(fetch)
            for order in (Order("open", None, "x", "x"), Order("close", "operator", "x", "x")):
                with pytest.raises(GatesError, match="run `tokenflow migrate` first"):
                    await carry_out(fetch, order)
    finally:
        await drop_database(database_url, name)


async def test_what_cannot_be_ordered_over_http_is_a_problem(system: System, api: httpx.AsyncClient) -> None:
    """And so is a database that does not answer; an order without workers is told as such."""
    for body in (b"[", b'{"action": "shut"}', b'{"gate": "breaker", "action": "close", "why": "x"}',
                 b'{"gate": "operator", "action": "close", "why": " "}', b'{"action": "open", "gate": "door"}'):  # fmt: skip
        answer = await api.post("/gates", content=body)
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:tokenflow:problem:invalid-request"), body
        assert answer.json()["detail"].startswith("body")
    done = await api.post("/gates", json={"gate": "operator", "action": "close", "why": "a\x00\x1b[2J"})
    assert (done.status_code, done.json()["applied"], done.json()["waiting"]) == (200, [], [])
    (gate,) = (await api.get("/gates")).json()["data"]
    assert (gate["why"], gate["who"], gate["workers"]) == ("a\\x00\\x1b[2J", "api", [])
    (port,) = free_ports(1)
    settings = api_settings(kafka_bootstrap_servers=system.kafka, database_url=f"postgresql://nobody@127.0.0.1:{port}/none")
    async with serving(settings) as without:
        assert (await without.get("/gates")).json()["type"] == "urn:tokenflow:problem:database-unavailable"
        assert (await without.post("/gates", json={"action": "open"})).status_code == 503
