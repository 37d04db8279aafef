"""One run of a whole system under a real Prometheus, with failures and a changing load, and what other witnesses saw of it.

Empty, filled while no worker runs, at work, joined by a second worker, at rest, in trouble, and with a worker killed: so
that each metric moves and each panel has something to show. Witnesses are asked at rest, before the trouble.
"""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.structs import TopicPartition

from infra.prometheus.local import LocalPrometheus
from tests.support import services
from tests.support.api import api_settings, metric, serving, until_ready
from tests.support.mock_processes import MockProcess
from tests.support.system import System
from tests.support.waiting import eventually
from tests.support.watched import Watched, planned_seconds, watched

SCRAPE_SECONDS: Final = 0.25
SLOTS: Final = 200
"""Of each worker."""
WAITING: Final = 300
PROFILE: Final = {"latency_min_seconds": 0.2, "latency_max_seconds": 0.8, "error_ratio": 0.1, "statuses": {"404": 0.05}}
ROWS: Final = """
SELECT count(*) FILTER (WHERE outcome = 'succeeded') AS succeeded,
       count(*) FILTER (WHERE outcome = 'dead_lettered') AS dead_lettered,
       count(*) FILTER (WHERE settled_at > to_timestamp($1::float8 - 60)) AS of_the_last_minute,
       avg(extract(epoch FROM settled_at - source_timestamp))::float8 AS end_to_end_seconds
FROM outcomes
"""
QUEUE: Final = "tokenflow:queue_size_records"
SEEN_SECONDS: Final = 20.0


@dataclass
class Run:
    """Moments (epoch seconds) at which Prometheus can be asked, and what others said at rest."""

    group: str
    started_at: float
    idle_at: float = 0.0
    waiting_at: float = 0.0
    rest_at: float = 0.0
    ended_at: float = 0.0
    joined: tuple[float, float] = (0.0, 0.0)
    rows: Any = None
    stats: Any = None
    lag: int = -1
    planned_seconds: float = 0.0

    @property
    def slot_seconds(self) -> float:
        """Time of all slots until rest, from the moments at which the workers had joined."""
        return sum(SLOTS * (self.rest_at - moment) for moment in self.joined)


async def play(server: LocalPrometheus, mock: MockProcess, folder: Path, *, kafka: str, database: str, base: str) -> Run:
    """Play the run to its end."""
    run = Run(base, time.time())
    system = System(kafka=kafka, database=database, topic_base=base, mock=mock, folder=folder)
    system.environment["MAX_RETRIES"] = "0"  # the witnesses count each failed call as a dead letter
    settings = {"kafka_bootstrap_servers": kafka, "tokens_topic": base, "database_url": database}
    hasty = api_settings(**settings, api_produce_timeout_seconds=0.0001)
    try:
        with watched(system, server, folder) as eyes:
            async with serving(api_settings(**settings)) as api, serving(hasty) as hasty_api:
                eyes.scrape_api(str(api.base_url), str(hasty_api.base_url))
                await _wait(run, eyes, api, hasty_api)
                await _work(run, eyes, api)
                await _rest(run, eyes)
                await _make_trouble(eyes, api, hasty_api)
                run.ended_at = time.time() + SCRAPE_SECONDS
    finally:
        system.end()
    return run


async def _wait(run: Run, eyes: Watched, *apis: httpx.AsyncClient) -> None:
    """No topic, then an empty one, then one in which records wait for a worker."""
    system = eyes.system
    system.mock.behave(**PROFILE)
    await _until(eyes, "count(tokens_producer_connected == 0)", len(apis))
    await _create_topics(system)
    await asyncio.gather(*map(until_ready, apis))
    run.idle_at = await _until(eyes, QUEUE, 0)
    await system.produce([b"w%d" % number for number in range(WAITING)])
    run.waiting_at = await _until(eyes, QUEUE, await system.lag())


async def _work(run: Run, eyes: Watched, api: httpx.AsyncClient) -> None:
    """One worker, then two, records by Kafka and by the API, good ones and bad ones."""
    system = eyes.system
    first = eyes.start_worker()
    await first.ready()
    first_at = time.time()
    await _until(eyes, "count(tokens_calling)", 1)
    awaited = asyncio.create_task(api.get("/tokens/a0", params={"wait_seconds": 20}))
    await system.produce([b"t%d" % number for number in range(900)] + [b"[malformed]", b"{broken"])
    await eventually(lambda: _flood(eyes, api), timeout_seconds=SEEN_SECONDS)
    assert (await awaited).status_code == 200
    second = eyes.start_worker()
    await second.ready()
    run.joined = (first_at, time.time())
    await system.produce([b"u%d" % number for number in range(600)])


async def _rest(run: Run, eyes: Watched) -> None:
    """Let everything settle, and ask the witnesses."""
    system = eyes.system
    await system.drained()
    await _until(eyes, QUEUE, 0)
    run.rest_at = await eyes.fresh()
    (run.rows,) = await system.rows(ROWS, run.rest_at)
    run.stats = system.mock.stats("?tokens=true")
    run.planned_seconds = planned_seconds(system.mock, run.stats["calls_by_token"])
    run.lag = await system.lag()


async def _make_trouble(eyes: Watched, api: httpx.AsyncClient, hasty_api: httpx.AsyncClient) -> None:
    """What does not happen to a system that is well; at last a worker is killed with calls in flight."""
    system = eyes.system
    noise = "".join(f"{n * 2654435761 % 2**32:08x}" for n in range(10_000))
    assert (await api.post("/tokens", json={"token": "large", "note": noise})).status_code == 413
    assert (await hasty_api.post("/tokens", json={"token": "late"})).status_code == 503
    same = ("record-id", b"0199c0de-7a3b-7c1d-9e55-2f1a6b3c4d5e")
    await system.produce([b"one"], headers=[same])
    await system.drained()
    await system.produce([b"two", b"one"], headers=[same])
    await system.produce([b"twin", b"twin"])
    await system.drained()
    await _delete_records(system)
    await eyes.fresh()
    await system.produce([b"v%d" % number for number in range(200)])
    await _until(eyes, "count(tokens_calling > 10)", 2)
    eyes.workers[-1].kill()
    await _until(eyes, "count(up == 0)", 1)


async def _flood(eyes: Watched, api: httpx.AsyncClient) -> None:
    """POST until Prometheus has seen records on their way to Kafka and answers on their way to Postgres."""
    done = await metric(api, 'tokens_ingested_total{source="http"}')
    answers = await asyncio.gather(*(api.post("/tokens", json={"token": f"a{done + n:.0f}"}) for n in range(60)))
    assert {answer.status_code for answer in answers} == {202}
    for gauge in ("tokens_produce_unacknowledged", "tokens_persisting"):
        assert await eyes.number(f"max(max_over_time({gauge}[1m])) > bool 0") == 1, gauge


async def _until(eyes: Watched, expression: str, value: float) -> float:
    """Wait until an expression has this value by Prometheus; return a moment at which it has."""

    async def is_seen() -> None:
        assert await eyes.number(expression) == value, expression

    await eventually(is_seen, timeout_seconds=SEEN_SECONDS)
    return time.time()


async def _create_topics(system: System) -> None:
    """Make the topics, `tokens` with records smaller than the API takes, so that Kafka refuses one."""
    admin = AIOKafkaAdminClient(bootstrap_servers=system.kafka)
    await admin.start()
    try:
        small = {"max.message.bytes": "10000"}
        await admin.create_topics([NewTopic(system.topic, system.partitions, 1, topic_configs=small)])
    finally:
        await admin.close()
    await system.create_topics()


async def _delete_records(system: System) -> None:
    """Let the log begin later, as retention does."""
    admin = AIOKafkaAdminClient(bootstrap_servers=system.kafka)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(system.topic, 0): RecordsToDelete(before_offset=10)})
    finally:
        await admin.close()


def database_of(url: str, template: str) -> str:
    """Make a fresh database; return its URL."""
    return services.with_database(url, services.run_apart(lambda: services.clone_database(url, template)))
