"""The workers of a scenario as a monitoring system sees them: scraped all the time, and just before they are killed."""

import asyncio
import time
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.support.system import START_SECONDS, System, WorkerProcess
from tests.support.waiting import eventually

SCRAPE_SECONDS = 0.2
ANSWER_SECONDS = 1.0
RECENT_SECONDS = 1.5
WINDOWS = "tokens_window_records"
FATES = {"MAX_RETRIES": "0", "DLQ_FLOOD_RATIO": "0"}
"""A scenario is over when every token is final: a failed call is, unless the scenario is about retries."""
REPEATED = "tokens_repeated_calls_total"
DUE_ERRORS = "tokens_retry_due_error_seconds_bucket"
NONE_OR_LESS = "0.0"
"""The bucket of retries that were called before they were due."""


@dataclass(frozen=True, slots=True)
class Scrape:
    """What a worker's /metrics said. `partitions`: its assignment, of the tokens topic.

    `repeated_calls`: its bound, None without one; `early`: retries that it called before they were due.
    """

    at: float
    partitions: frozenset[int]
    repeated_calls: int | None
    early: int


class Fleet:
    """Starts workers and scrapes each until it ends. Its tasks end with `stop`."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._stopping = asyncio.Event()
        self._scrapes: dict[WorkerProcess, deque[Scrape]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self.fates = dict(FATES)

    def __iter__(self) -> Iterator[WorkerProcess]:
        """Every worker that was ever started, oldest first."""
        return iter(self._scrapes)

    @property
    def running(self) -> list[WorkerProcess]:
        """Those that have not ended."""
        return [worker for worker in self._scrapes if worker.process.poll() is None]

    def start(self, *, slots: int, **settings: str) -> WorkerProcess:
        """Start a worker with so many slots (rounded down to tens); `ready` tells when it works."""
        shape = {"WORKER_CONCURRENCY": str(max(1, slots // 10)), "QUEUE_BATCH_SIZE": "10"}
        worker = self._system.start_worker(**(self.fates | shape | settings))
        self._scrapes[worker] = deque(maxlen=16)
        self._tasks.append(asyncio.get_running_loop().create_task(self._watch(worker)))
        return worker

    async def scrape(self, worker: WorkerProcess) -> bool:
        """Ask a worker now; False when it does not answer, as before its start and after its end."""
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        url = f"http://127.0.0.1:{worker.port}/metrics"
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
                text = await response.text()
        except (aiohttp.ClientError, TimeoutError):
            return False
        self._scrapes[worker].append(_read(text, self._system.topic))
        return True

    async def scrape_now(self, worker: WorkerProcess) -> None:
        """Ask a worker that runs until it answers, which takes a while on a busy machine."""

        async def answers() -> None:
            assert await self.scrape(worker), worker.log[-2000:]

        await eventually(answers, timeout_seconds=START_SECONDS)

    def partitions(self, worker: WorkerProcess) -> Collection[int]:
        """Partitions that the worker had a moment ago; while a rebalance runs, those before and those after it.

        Of one that never told any, all: nobody knows better.
        """
        recent = time.monotonic() - RECENT_SECONDS
        scrapes = self._scrapes[worker]
        if not any(scrape.partitions for scrape in scrapes):
            return range(self._system.partitions)
        return {number for scrape in scrapes if scrape.at > recent or scrape is scrapes[-1] for number in scrape.partitions}

    def last_partitions(self, worker: WorkerProcess) -> Collection[int]:
        """Partitions that the worker had when it answered last."""
        scrapes = self._scrapes[worker]
        return scrapes[-1].partitions if scrapes else frozenset()

    def seen(self, worker: WorkerProcess) -> bool:
        """Whether the worker runs and has answered: from then on it takes signals as it should."""
        return bool(self._scrapes[worker]) and worker.process.poll() is None

    def repeated_calls(self) -> int | None:
        """Sum of every worker's own bound, as last scraped; None where no worker ever told one."""
        last = [scrapes[-1].repeated_calls for scrapes in self._scrapes.values() if scrapes]
        told = [count for count in last if count is not None]
        return sum(told) if told else None

    def early_retries(self) -> int:
        """Count the retries that a worker says it called before they were due, as last scraped."""
        return sum(scrapes[-1].early for scrapes in self._scrapes.values() if scrapes)

    async def stop(self) -> None:
        """End the scraping; raises what went wrong in it. Idempotent."""
        self._stopping.set()
        await asyncio.gather(*self._tasks)

    async def _watch(self, worker: WorkerProcess) -> None:
        while worker.process.poll() is None and not self._stopping.is_set():
            await self.scrape(worker)
            await pause(self._stopping, SCRAPE_SECONDS)


async def pause(stopping: asyncio.Event, seconds: float) -> None:
    """Let time pass between two samples; ends at once when told to stop."""
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return


def _read(text: str, topic: str) -> Scrape:
    names = (WINDOWS, REPEATED, DUE_ERRORS)
    wanted = "\n".join(line for line in text.splitlines() if line.startswith(names))
    samples = [sample for family in text_string_to_metric_families(wanted + "\n") for sample in family.samples]
    windows = (sample.labels for sample in samples if sample.name == WINDOWS)
    partitions = frozenset(int(labels["partition"]) for labels in windows if labels["topic"] == topic)
    counts = [int(sample.value) for sample in samples if sample.name == REPEATED]
    early = sum(int(sample.value) for sample in samples if sample.labels.get("le") == NONE_OR_LESS)
    return Scrape(time.monotonic(), partitions, sum(counts) if counts else None, early)
