"""A system with a lag exporter and a real Prometheus, which scrapes all of it and every worker that comes and goes."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from infra.lag.exporter import FRESH_SECONDS as FRESH_READING_SECONDS
from infra.prometheus.local import LocalPrometheus
from mock_api.plan import Planner
from mock_api.profile import Profile
from tests.support.lag_exporter import ExporterProcess, running_exporter
from tests.support.mock_processes import MockProcess
from tests.support.prometheus import Prometheus
from tests.support.system import System, WorkerProcess
from tests.support.waiting import eventually

PATIENCE_SECONDS = 30.0


class Watched:
    """Knows who is scraped. `ask` is the Prometheus that was told."""

    def __init__(self, system: System, exporter: ExporterProcess, server: LocalPrometheus) -> None:
        self.system = system
        self.exporter = exporter
        self.ask = Prometheus(server.url)
        self._server = server
        self.workers: list[WorkerProcess] = []
        server.scrape("lag-exporter", [_address(exporter.url)])

    def start_worker(self, **settings: str) -> WorkerProcess:
        """Start a worker and scrape it from now on."""
        worker = self.system.start_worker(**settings)
        self.workers.append(worker)
        self._scrape_workers()
        return worker

    def forget(self, worker: WorkerProcess) -> None:
        """Scrape it no more, as when its name no longer resolves."""
        self.workers.remove(worker)
        self._scrape_workers()

    def scrape_api(self, *urls: str) -> None:
        """Scrape these APIs from now on."""
        self._server.scrape("api", map(_address, urls))

    async def fresh(self) -> float:
        """Wait until every target was scraped and every rule evaluated after this moment; return a moment that sees that."""
        moment = time.time() + FRESH_READING_SECONDS
        await self._later_than(moment, "min(timestamp(up == 1))")
        scraped = time.time()
        await self._later_than(scraped, "min(timestamp(tokenflow:in_flight_records))")
        return time.time()

    async def number(self, rule: str, *, at: float | None = None) -> float | None:
        """Return one of the numbers, None where there is none."""
        return await self.ask.value(rule, at=at)

    async def _later_than(self, moment: float, expression: str) -> None:
        async def is_later() -> None:
            found = await self.ask.value(expression)
            assert found is not None, f"no value of {expression}"
            assert found > moment

        await eventually(is_later, timeout_seconds=PATIENCE_SECONDS, interval_seconds=0.1)

    def _scrape_workers(self) -> None:
        self._server.scrape("workers", [f"127.0.0.1:{worker.port}" for worker in self.workers])


@contextmanager
def watched(system: System, server: LocalPrometheus, folder: Path) -> Iterator[Watched]:
    """Run the system's lag exporter until the block ends, and let the Prometheus scrape it."""
    with running_exporter(folder, **system.environment) as exporter:
        yield Watched(system, exporter, server)


def planned_seconds(mock: MockProcess, calls_by_token: Mapping[str, int]) -> float:
    """Sum up how long the mock, by its own plan, let these calls wait: a function of its profile, of token and number."""
    planner = Planner(Profile().changed(json.dumps(mock.ask("GET", "/profile")).encode()))
    return sum(
        planner.plan(token, number).delay_seconds
        for token, calls in calls_by_token.items()
        for number in range(1, calls + 1)
    )


def _address(url: str) -> str:
    return url.rpartition("/")[2]
