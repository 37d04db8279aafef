"""The five numbers by four witnesses: `python -m bench.five_numbers --minutes 5`.

A Kafka, a PostgreSQL, a mock API that is slow and fails, three workers, the HTTP API, the lag exporter and a Prometheus of
its own, all of them real. Steady load by the console producer and the API; in the middle a burst, and a worker that is
stopped while another joins. Then the recording rules are held against the rows in Postgres, the mock's own counts and
Kafka's own tools. Written: bench/FIVE_NUMBERS.md, and what each panel of the dashboard showed (`bench.dashboard_picture`).
"""

import asyncio
import contextlib
import json
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Final

import typer

from bench.five_numbers_inquiry import Inquiry
from bench.five_numbers_load import Load, api_process
from bench.five_numbers_panels import Captured, capture
from bench.five_numbers_report import report
from bench.five_numbers_witnesses import Witnesses
from infra.lint.check import ROOT
from infra.prometheus.local import LocalPrometheus
from tests.support import services
from tests.support.mock_processes import MockProcess, running_mock_api
from tests.support.prometheus import running_prometheus
from tests.support.system import System, WorkerProcess, running_system
from tests.support.waiting import eventually
from tests.support.watched import Watched, watched

SCRAPE_SECONDS: Final = 5.0
"""As docker compose's Prometheus."""
WORKERS: Final = 3
SLOTS: Final = {"WORKER_CONCURRENCY": "14", "QUEUE_BATCH_SIZE": "10", "MAX_RETRIES": "0"}
SLOTS_EACH: Final = 140
PROFILE: Final = {"latency_min_seconds": 0.4, "latency_max_seconds": 1.6, "error_ratio": 0.02, "statuses": {"404": 0.01}}
BURST: Final = 6_000
IDLE_SECONDS: Final = 75.0
DRAIN_SECONDS: Final = 180.0


def five_numbers(
    minutes: Annotated[float, typer.Option(min=1.5, help="Minutes of load.")] = 5.0,
    output: Annotated[Path, typer.Option(help="Where the table goes.")] = ROOT / "bench" / "FIVE_NUMBERS.md",
    note: Annotated[str, typer.Option(help="A sentence for the report, about the machine.")] = "",
    panels: Annotated[Path | None, typer.Option(help="Where the panels' data go, for bench.dashboard_picture.")] = None,
) -> None:
    """Run a whole system, and compare what Prometheus says of it with what others know."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tokenflow-bench-")))
        kafka = stack.enter_context(services.running(lambda: services.make_kafka(folder)))
        postgres = stack.enter_context(services.running(lambda: services.make_postgres(folder)))
        server = stack.enter_context(running_prometheus(folder, scrape_seconds=SCRAPE_SECONDS))
        mock = stack.enter_context(running_mock_api(folder))
        run = Run(server, mock, folder, minutes=minutes)
        text = asyncio.run(run.play(kafka.bootstrap_servers, postgres.database_url, note))
    output.write_text(text, "utf-8")
    if panels is not None:
        panels.write_text(json.dumps(run.captured), "utf-8")
    sys.stdout.write(text)


class Run:
    """One run, in the order in which it happens."""

    def __init__(self, server: LocalPrometheus, mock: MockProcess, folder: Path, *, minutes: float) -> None:
        self._server = server
        self._mock = mock
        self._folder = folder
        self._seconds = minutes * 60
        self._load = Load(console_per_second=240, api_per_second=60)
        self._witnesses = Witnesses()
        self._lives: dict[WorkerProcess, tuple[float, float]] = {}
        """Worker -> from when to when it had its slots."""
        self.captured: list[Captured] = []
        """What the panels of the dashboard showed, once it is over."""

    async def play(self, kafka: str, database_server: str, note: str) -> str:
        """Play it; return the report."""
        database = services.with_database(database_server, await services.create_template(database_server))
        self._mock.behave(**PROFILE)
        async with running_system(
            kafka=kafka, database=database, topic_base="tokens", mock=self._mock, folder=self._folder
        ) as system:
            with watched(system, self._server, self._folder) as eyes:
                async with api_process(self._folder, system.environment) as url:
                    eyes.scrape_api(url)
                    begin = await self._start_workers(eyes)
                    await self._work(eyes, url)
                    end = time.time()
                    await self._rest(eyes)
                    self.captured = await capture(eyes.ask, start=begin, end=time.time(), group="tokens", topic="tokens")
                    inquiry = Inquiry(eyes, self._witnesses, begin=begin, end=end)
                    totals = await inquiry.totals(self._load, self._slot_seconds())
                    return await report(await inquiry.evidence(), totals, await inquiry.at_rest(), system, note=note)

    async def _start_workers(self, eyes: Watched) -> float:
        """Start the workers, and wait until all of them are watched; return when that was."""
        workers = [eyes.start_worker(**SLOTS) for _ in range(WORKERS)]
        await asyncio.gather(*(worker.ready() for worker in workers))
        self._lives = {worker: (time.time(), float("inf")) for worker in workers}
        await eyes.fresh()
        self._note_slots()
        return time.time()

    async def _work(self, eyes: Watched, url: str) -> None:
        """Load, with a burst and a rebalance in the middle, watched by the witnesses; until all of it has settled."""
        system, middle = eyes.system, self._seconds / 2
        async with _watching(self._witnesses, self._mock, self._load, system):
            change = asyncio.create_task(self._change_workers(eyes, after_seconds=middle))
            await self._load.run(
                seconds=self._seconds, url=url, environment=system.environment, burst_at=middle, burst=BURST
            )
            await change
            await eventually(lambda: _is_drained(system), timeout_seconds=DRAIN_SECONDS, interval_seconds=1)

    async def _change_workers(self, eyes: Watched, *, after_seconds: float) -> None:
        """Stop a worker as an operator would, and let another one join."""
        await asyncio.sleep(after_seconds)
        leaving = eyes.workers[0]
        leaving.process.send_signal(signal.SIGTERM)
        await leaving.ended()
        self._lives[leaving] = (self._lives[leaving][0], time.time())
        self._note_slots()
        eyes.forget(leaving)
        joining = eyes.start_worker(**SLOTS)
        await joining.ready()
        self._lives[joining] = (time.time(), float("inf"))
        self._note_slots()

    def _note_slots(self) -> None:
        now = time.time()
        slots = SLOTS_EACH * sum(begin <= now < end for begin, end in self._lives.values())
        if self._witnesses.slots.values:
            self._witnesses.slots.add(now, self._witnesses.slots.values[-1])
        self._witnesses.slots.add(now, slots)

    def _slot_seconds(self) -> float:
        now = time.time()
        return sum(SLOTS_EACH * (min(end, now) - begin) for begin, end in self._lives.values())

    async def _rest(self, eyes: Watched) -> None:
        """Let more than a minute pass in which nothing happens, and see that the numbers say so."""
        await self._witnesses.ask_tool(eyes.system)
        await asyncio.sleep(IDLE_SECONDS)
        await eyes.fresh()


@contextlib.asynccontextmanager
async def _watching(witnesses: Witnesses, mock: MockProcess, load: Load, system: System) -> AsyncIterator[None]:
    """Let the witnesses look until the block ends."""
    tasks = [asyncio.create_task(witnesses.watch(mock, load)), asyncio.create_task(witnesses.watch_tool(system))]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result


async def _is_drained(system: System) -> None:
    assert await system.lag() == 0  # noqa: S101 - an assertion to wait for


if __name__ == "__main__":
    typer.run(five_numbers)
