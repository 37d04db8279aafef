"""The world of one failure scenario: real servers, a real mock API, workers as real processes, one seed, one account.

A scenario is an async function that takes a world, so the same function is a test (500 calls in flight) and a round of the
soak (2,000). It lets the world produce, starts workers, does its harm at a moment that the seed chooses, and ends with
`await world.finish()`, which checks the same promise everywhere (tests/support/account.py).
"""

import asyncio
import random
import signal
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import asyncpg

from infra.local.kafka import LocalKafka
from infra.local.postgres import LocalPostgres
from tests.support import services
from tests.support.account import Account, Repeat, Result, Row
from tests.support.feed import Feed
from tests.support.fleet import Fleet
from tests.support.mock_processes import running_mock_api
from tests.support.offset_watch import OffsetWatch
from tests.support.servers import Place, Servers
from tests.support.system import System, WorkerProcess, running_system
from tests.support.waiting import eventually

LATENCY: Final = {"latency_min_seconds": 0.5, "latency_max_seconds": 2.0}
"""Many calls are in flight at any moment, and end out of order."""
BUSY_RATIO: Final = 0.5
"""A fault comes when at least this part of the calls that may be in flight are."""
BUSY_SECONDS: Final = 60.0
PATIENCE_SECONDS: Final = 75.0
"""Without a new row for so long, what is missing is lost. A group waits up to 35 s for a member that is away."""
DRAINED_SECONDS: Final = 30.0
"""A broker that came back needs some of it, the commit half a second."""
TAIL_LINES: Final = 40

Test = TypeVar("Test", bound=Callable[..., object])


def breaks_servers(test: Test) -> Test:
    """Mark a scenario that breaks its Kafka or PostgreSQL: `world.kafka` and `world.postgres` are its own."""
    test.breaks_servers = True  # type: ignore[attr-defined]  # read again by whoever runs the scenario
    return test


@dataclass(frozen=True, slots=True)
class Size:
    """How much: calls in flight, all workers together, and tokens in all."""

    in_flight: int
    tokens: int


SMOKE: Final = Size(in_flight=500, tokens=4_000)
SOAK: Final = Size(in_flight=2_000, tokens=16_000)


class World:
    """What a scenario has in its hands. Built by `running_world`."""

    def __init__(self, system: System, servers: Servers | None, *, scenario: str, seed: int, size: Size) -> None:
        self.system = system
        self.mock = system.mock
        self.size = size
        self.random = random.Random(seed)
        self.fleet = Fleet(system)
        self.watch = OffsetWatch(system)
        self.account = Account(scenario, seed)
        self.result: Result | None = None
        self._servers = servers
        self._feed = Feed(system, self.account, in_flight=size.in_flight, stored=self._count)

    @property
    def kafka(self) -> LocalKafka:
        """The broker, of a scenario that is marked `breaks_servers`."""
        assert self._servers is not None, "mark the scenario with @breaks_servers"
        return self._servers.kafka

    @property
    def postgres(self) -> LocalPostgres:
        """The database server, of a scenario that is marked `breaks_servers`."""
        assert self._servers is not None, "mark the scenario with @breaks_servers"
        return self._servers.postgres

    async def produce(self, count: int | None = None, *, prefix: str = "t") -> list[str]:
        """Produce tokens PREFIX0, PREFIX1, ...: as many as the size says, or `count`; return them."""
        return await self._feed.produce(self.size.tokens if count is None else count, prefix=prefix)

    async def feed(self) -> None:
        """Produce, and go on until `finish`, so that no worker runs dry however long a scenario takes. Needs the broker."""
        await self._feed.start()

    def start_worker(self, *, share: float = 0.5, **settings: str) -> WorkerProcess:
        """Start a worker with this share of the calls in flight; it joins meanwhile."""
        return self.fleet.start(slots=round(self.size.in_flight * share), **settings)

    async def start_workers(self, count: int, **settings: str) -> list[WorkerProcess]:
        """Start workers that share the calls in flight evenly, and wait until all have joined."""
        workers = [self.start_worker(share=1 / count, **settings) for _ in range(count)]
        await asyncio.gather(*(worker.ready() for worker in workers))
        return workers

    async def moment(self, low: float = 0.05, high: float = 0.5) -> None:
        """Wait for a random moment: a part of the tokens, between `low` and `high`, is stored, and many calls run.

        No rebalance was seen for a second or two, so it is known who has which partitions.
        """
        part = self.random.uniform(low, high)
        await self._rows_reach(round(part * (self.size.tokens if self._feed.goes_on else len(self.account.placed))))
        busy = BUSY_RATIO * self.size.in_flight

        def many_calls_run() -> None:
            owned = sum(len(self.fleet.partitions(worker)) for worker in self.fleet.running)
            assert owned == self.system.partitions, "a rebalance runs"
            in_flight = self.mock.stats()["in_flight"]
            assert in_flight >= busy, f"{in_flight} calls in flight: too few for this scenario"

        await eventually(many_calls_run, timeout_seconds=BUSY_SECONDS)

    async def stored(self, part: float) -> None:
        """Wait until this part of the tokens has its final row; AssertionError where no row came for PATIENCE_SECONDS."""
        await self._rows_reach(round(part * len(self.account.placed)))

    async def _rows_reach(self, wanted: int) -> None:
        rows = -1

        async def more() -> None:
            now = await self._count()
            assert now is not None, f"the database is away; {rows} of {wanted} rows before"
            assert now > rows, f"{now} of {wanted} rows, and no new one"
            counted.append(now)

        while rows < wanted:
            counted: list[int] = []
            await eventually(more, timeout_seconds=PATIENCE_SECONDS, interval_seconds=0.1)
            rows = counted[-1]

    async def drained(self) -> None:
        """Wait until every offset is committed, as the watch sees it."""
        ends: dict[int, int] = {}
        for partition, offset in self.account.placed.values():
            ends[partition] = max(ends.get(partition, 0), offset + 1)

        def all_committed() -> None:
            assert self.watch.committed == ends

        await eventually(all_committed, timeout_seconds=DRAINED_SECONDS, interval_seconds=0.1)

    async def kill(self, worker: WorkerProcess) -> None:
        """Kill -9, and note what may be repeated for it: the calls of its partitions whose rows are not stored now."""
        await self.fleet.scrape_now(worker)
        worker.kill()
        self.note_loss(worker)

    async def freeze(self, worker: WorkerProcess) -> None:
        """SIGSTOP; when others take over, they repeat what it has in flight and unsaved now."""
        await self.fleet.scrape_now(worker)
        worker.process.send_signal(signal.SIGSTOP)
        self.note_loss(worker)

    def note_loss(self, worker: WorkerProcess) -> None:
        """Put what this worker, which does nothing any more, had in flight at risk."""
        self.mock.stats()  # what lay in the mock's sockets is read by its answer
        self.account.put_at_risk(self.fleet.partitions(worker), self.mock.stats("?tokens=true")["calls_by_token"])

    async def finish(self, *, paid_again_at_most: int = 0, beyond_at_most: int = 0, unscraped_at_most: int = 0) -> Result:
        """Wait for the end of the work, stop every worker in good order, and check the promise.

        `paid_again_at_most` stored answers may be paid for again, and `beyond_at_most` tokens called again that were not at
        risk when `kill` or `freeze` or `note_loss` said so: a scenario that allows some says why.

        Raises:
            AssertionError: what is not as promised, a sentence each.

        """
        await self._feed.stop()
        complaints = await self._end()
        stats = self.mock.stats("?tokens=true&repeats=true")
        repeats = [Repeat(each["token"], each["at"]) for each in stats["repeats"]]
        statement = self.account.close(
            await self.rows(),
            stats["calls_by_token"],
            repeats,
            counted=self.fleet.repeated_calls(),
            beyond_at_most=beyond_at_most,
        )
        self.result = statement.result
        complaints += statement.complaints(paid_again_at_most=paid_again_at_most, unscraped_at_most=unscraped_at_most)
        assert not complaints, f"{self.result}\n" + "\n".join(complaints)
        return self.result

    def log_tails(self) -> str:
        """The last lines of every worker's log."""
        tails = ("\n".join(worker.log.splitlines()[-TAIL_LINES:]) for worker in self.fleet)
        return "\n".join(f"--- worker {number} ---\n{tail}" for number, tail in enumerate(tails, start=1))

    async def rows(self) -> list[Row]:
        """Every final row."""
        query = "SELECT token, extract(epoch FROM settled_at)::float8 FROM outcomes WHERE outcome <> 'retrying'"
        return [Row(*row) for row in await self.system.rows(query)]

    async def _end(self) -> list[str]:
        """Bring the work to its end; return what was wrong on the way."""
        complaints = []
        try:
            await self.stored(1.0)
            await self.drained()
        except AssertionError as error:
            complaints.append(f"the work did not come to its end: {error}")
        complaints += [
            f"a worker ended by itself with {worker.process.returncode}: {worker.log[-2000:]}"
            for worker in self.fleet
            if worker.process.poll() is not None and not worker.end_expected
        ]
        running = self.fleet.running
        await asyncio.gather(*(self.fleet.scrape(worker) for worker in running))
        ends = await asyncio.gather(*(worker.terminate() for worker in running), return_exceptions=True)
        complaints += [f"a worker did not stop in good order: {str(end)[-2000:]}" for end in ends if end is not None]
        await self.fleet.stop()
        await self.watch.stop()
        if not self.watch.samples:
            complaints.append("the committed offsets were never seen")
        return complaints + self.watch.complaints[:5]

    async def _count(self) -> int | None:
        """Count the final rows; None where the database is away."""
        try:
            ((count,),) = await self.system.rows("SELECT count(*) FROM outcomes WHERE outcome <> 'retrying'")
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            return None
        return int(count)

    async def leave(self) -> None:
        """Let go of everything; legal at any time. What still runs is killed."""
        await self._feed.cancel()
        for worker in self.fleet.running:
            worker.kill()
        await self.fleet.stop()
        await self.watch.stop()


@asynccontextmanager
async def running_world(place: Place, *, scenario: str, seed: int, size: Size, folder: Path) -> AsyncIterator[World]:
    """Make topics, group, database and mock API for one scenario; when the block ends, nothing of it runs any more."""
    if place.servers is not None:
        await asyncio.to_thread(place.servers.heal)
    name = await services.clone_database(place.database_server, place.template)
    database = services.with_database(place.database_server, name)
    topic = f"failure-{uuid.uuid4().hex[:12]}"
    with running_mock_api(folder) as mock:
        mock.behave(**LATENCY, seed=seed)
        async with running_system(
            kafka=place.kafka, database=database, topic_base=topic, mock=mock, folder=folder
        ) as system:
            world = World(system, place.servers, scenario=scenario, seed=seed, size=size)
            try:
                yield world
            finally:
                await world.leave()
                await asyncio.to_thread(_clean_up, place, name)


def _clean_up(place: Place, database: str) -> None:
    if place.servers is not None:
        place.servers.heal()
    services.run_apart(lambda: services.drop_database(place.database_server, database))
