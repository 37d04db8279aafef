"""A database is restored from a back-up, and `tokenflow replay` brings back what its rows lost: pg_dump, pg_restore."""

import asyncio
import subprocess
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from infra.local.artifacts import postgres_home
from tests.support import services
from tests.support.dlq import dlq, tokenflow
from tests.support.system import System

POISON = {"pattern": "(gone|late)-.*", "behaviour": {"statuses": {"404": 1}}}
FLAKY = {"pattern": "flaky-.*", "behaviour": {"fail_first_calls": 1, "fail_first_with": 500}}
DELAY_MINUTES = 0.1


@pytest.fixture
async def restored(database_url: str) -> AsyncIterator[str]:
    """URL of an empty database, to restore into."""
    name = f"restored_{uuid.uuid4().hex[:8]}"
    await services.execute(database_url, f"CREATE DATABASE {name}")
    yield services.with_database(database_url, name)
    await services.drop_database(database_url, name)


async def test_nothing_is_missing_after_a_backup_and_a_replay(system: System, restored: str, tmp_path: Path) -> None:
    """Rows that were succeeded, retrying, dead and redriven, before and after the dump: each token ends as it should."""
    await system.create_topics(retry_delay_minutes=DELAY_MINUTES)
    system.mock.behave(rules=[POISON, FLAKY])
    before = await _produce(system, "before", flaky=5)
    worker = system.start_worker()
    await system.wait_for(40)
    await system.wait_for(8, "dead_lettered")
    await system.wait_for(5, "retrying")
    await _postgres("pg_dump", "--format=custom", "--file", str(tmp_path / "backup"), system.database)

    system.mock.change(rules=[FLAKY])
    redriven = await dlq(system, "redrive", "--token", "gone-before-0", folder=tmp_path)
    assert redriven.returncode == 0, redriven.stderr.decode()
    system.mock.change(rules=[POISON, FLAKY])
    after = await _produce(system, "after", flaky=0)
    await system.wait_for(40 + 5 + 1 + 40)
    await system.wait_for(7 + 8, "dead_lettered")
    await system.drained()
    await worker.terminate()
    calls = Counter(system.mock.stats("?tokens=true")["calls_by_token"])

    await _postgres("pg_restore", "--no-owner", "--dbname", restored, str(tmp_path / "backup"))
    system.database = system.environment["DATABASE_URL"] = restored
    worker = system.start_worker()
    await worker.ready()
    system.mock.change(rules=[])
    done = await tokenflow(system, "replay", "--since", "1h", folder=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    await system.wait_for(len(before) + len(after))
    rows = await system.rows("SELECT token, outcome::text FROM outcomes")
    assert Counter(row["token"] for row in rows) == Counter([*before, *after])
    assert {row["outcome"] for row in rows} == {"succeeded"}
    assert await system.rows("SELECT 1 FROM dead_letters") == []
    await system.drained()
    now = Counter(system.mock.stats("?tokens=true")["calls_by_token"])
    stored = {token for token in before if token.startswith("good")}
    assert {token for token in stored if now[token] != calls[token]} == set()
    assert {token for token in [*before, *after] if now[token] > calls[token] + 1} == set()
    await worker.terminate()


async def _produce(system: System, when: str, *, flaky: int) -> list[str]:
    counts = {"good": 40, "gone" if when == "before" else "late": 8, "flaky": flaky}
    tokens = [f"{kind}-{when}-{number}" for kind, count in counts.items() for number in range(count)]
    await system.produce(token.encode() for token in tokens)
    return tokens


async def _postgres(program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's own programs."""
    argv = [str(postgres_home() / "bin" / program), *arguments]
    done = await asyncio.to_thread(subprocess.run, argv, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
