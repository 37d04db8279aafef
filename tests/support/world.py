"""The world of one failure scenario: real servers, a real mock API, workers as real processes, one seed, one account.

A scenario is an async function that takes a world, so the same function is a test (500 calls in flight) and a round of the
soak (2,000). It lets the world produce, starts workers, does its harm at a moment that the seed chooses, and ends with
`await world.finish()`, which checks the same promise everywhere (tests/support/account.py).
"""

import asyncio
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from infra.local.kafka import LocalKafka
from infra.local.postgres import LocalPostgres
from tests.support.account import Account, Repeat, Result, Row
from tests.support.feed import Feed
from tests.support.fleet import Fleet
from tests.support.hop_audit import Origins, attempts_before_redrive, due_errors, hop_complaints
from tests.support.hops import read_hops
from tests.support.offset_watch import OffsetWatch
from tests.support.progress import Progress
from tests.support.servers import Servers
from tests.support.system import System, WorkerProcess
from tests.support.waiting import eventually

BUSY_RATIO: Final = 0.5
"""A fault comes when at least this part of the calls that may be in flight are."""
BUSY_SECONDS: Final = 60.0
DELAY_MINUTES: Final = 0.05
"""Three seconds: long enough to hold, short enough for a scenario."""
TAIL_LINES: Final = 40
FINAL_ROWS: Final = """\
SELECT token, extract(epoch FROM settled_at)::float8, attempt, outcome::text, redrive_count, record_id::text, error_kind,
    error_message
FROM outcomes WHERE outcome <> 'retrying'
"""

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
    """What a scenario has in its hands. Built by `running_world` (tests/support/worlds.py)."""

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
        self.progress = Progress(system, self.account, self.watch)
        self.late: list[float] = []
        """After `finish` of a scenario with retries: seconds from each retry's due time to its call."""
        self.notes: list[str] = []
        """Figures that are shown with the result, and not asserted."""
        self._retries = False
        self._feed = Feed(system, self.account, in_flight=size.in_flight, stored=self.progress.count)

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

    async def retry(self, *, max_retries: int = 2, delay_minutes: float = DELAY_MINUTES) -> None:
        """Let workers that start from now on try again; the account then wants a call for each attempt, and every hop."""
        self._retries = True
        self.fleet.fates["MAX_RETRIES"] = str(max_retries)
        await self.system.create_topics(retry_delay_minutes=delay_minutes)

    async def produce(self, count: int | None = None, *, prefix: str = "t", keyed: bool = True) -> list[str]:
        """Produce tokens PREFIX0, PREFIX1, ...: as many as the size says, or `count`; return them."""
        return await self._feed.produce(self.size.tokens if count is None else count, prefix=prefix, keyed=keyed)

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
        await self.progress.rows_reach(round(part * (self.size.tokens if self._feed.goes_on else len(self.account.placed))))
        busy = BUSY_RATIO * self.size.in_flight

        def many_calls_run() -> None:
            owned = sum(len(self.fleet.partitions(worker)) for worker in self.fleet.running)
            assert owned == self.system.partitions, "a rebalance runs"
            in_flight = self.mock.stats()["in_flight"]
            assert in_flight >= busy, f"{in_flight} calls in flight: too few for this scenario"

        await eventually(many_calls_run, timeout_seconds=BUSY_SECONDS)

    async def stored(self, part: float) -> None:
        """Wait until this part of the tokens has its final row; AssertionError where no row came for PATIENCE_SECONDS."""
        await self.progress.rows_reach(round(part * len(self.account.placed)))

    async def waiting(self, count: int) -> None:
        """Wait until so many records wait for their next try, as their rows say."""

        async def enough() -> None:
            found = await self.system.count("retrying")
            assert found >= count, f"{found} of {count} records wait for their next try"

        await eventually(enough, timeout_seconds=BUSY_SECONDS, interval_seconds=0.1)

    async def kill(self, worker: WorkerProcess) -> None:
        """Kill -9, and note what may be repeated for it: the calls of its partitions whose rows are not stored now."""
        await self.fleet.scrape_now(worker)
        worker.kill()
        await self.note_loss(worker)

    async def freeze(self, worker: WorkerProcess) -> None:
        """SIGSTOP; when others take over, they repeat what it has in flight and unsaved now."""
        await self.fleet.scrape_now(worker)
        worker.process.send_signal(signal.SIGSTOP)
        await self.note_loss(worker)

    async def note_loss(self, worker: WorkerProcess) -> None:
        """Put what this worker, which does nothing any more, had in flight at risk."""
        self.mock.stats()  # what lay in the mock's sockets is read by its answer
        tried = await self.tried() if self._retries else {}
        self.account.put_at_risk(self.fleet.partitions(worker), self.mock.stats("?tokens=true")["calls_by_token"], tried)

    def logged(self, text: str) -> int:
        """Count how often the workers' logs say this."""
        return sum(worker.log.count(text) for worker in self.fleet)

    async def tried(self) -> dict[str, int]:
        """Token -> attempts that its row tells, of those that wait for their next try. Needs the database."""
        rows = await self.system.rows("SELECT token, attempt FROM outcomes WHERE outcome = 'retrying'")
        return {row["token"]: row["attempt"] for row in rows}

    async def finish(
        self,
        *,
        paid_again_at_most: int = 0,
        beyond_at_most: int = 0,
        unscraped_at_most: int = 0,
        uncalled_at_most: int = 0,
    ) -> Result:
        """Wait for the end of the work, stop every worker in good order, and check the promise.

        `paid_again_at_most` stored answers may be paid for again, and `beyond_at_most` tokens called again that were not at
        risk when `kill` or `freeze` or `note_loss` said so: a scenario that allows some says why. With retries,
        `uncalled_at_most` attempts may have been spent on an API that was away; when retries were called is then not judged.

        Raises:
            AssertionError: what is not as promised, a sentence each.

        """
        await self._feed.stop()
        complaints = await self._end()
        stats = self.mock.stats("?tokens=true&repeats=true")
        repeats = [Repeat(each["token"], each["at"]) for each in stats["repeats"]]
        rows, calls = await self.rows(), stats["calls_by_token"]
        hops = await read_hops(self.system.kafka, f"{self.system.topic}.") if self._retries else []
        statement = self.account.close(
            rows,
            calls,
            repeats,
            counted=self.fleet.repeated_calls(),
            beyond_at_most=beyond_at_most,
            before_redrive=attempts_before_redrive(hops, rows),
        )
        self.result = statement.result
        complaints += statement.complaints(
            paid_again_at_most=paid_again_at_most,
            unscraped_at_most=unscraped_at_most,
            uncalled_at_most=uncalled_at_most if self._retries else None,
        )
        if self._retries:
            complaints += hop_complaints(hops, rows, Origins(self.system.topic, self.account.placed))
            if not uncalled_at_most:  # else nobody can tell which attempt a call was that the API saw
                complaints += self._early(due_errors(hops, calls, repeats, rows))
        assert not complaints, f"{self.result}\n" + "\n".join(complaints)
        return self.result

    def _early(self, late: list[float]) -> list[str]:
        """Keep how late retries were; say how many were early by the API's clock, which is the broker's on one machine."""
        self.late = sorted(late)
        if late:
            self.notes.append(f"late at p99 {1000 * self.late[len(late) * 99 // 100]:.0f} ms, of {len(late):,} retries")
        if told := self.fleet.early_retries():
            self.notes.append(f"{told} retries were early by a worker's word, whose idea of the broker's clock had changed")
        early = sum(each < 0 for each in late)
        return [f"{early} retries were called before they were due"] if early else []

    def log_tails(self) -> str:
        """The last lines of every worker's log."""
        tails = ("\n".join(worker.log.splitlines()[-TAIL_LINES:]) for worker in self.fleet)
        return "\n".join(f"--- worker {number} ---\n{tail}" for number, tail in enumerate(tails, start=1))

    async def rows(self) -> list[Row]:
        """Every final row."""
        return [Row(*row) for row in await self.system.rows(FINAL_ROWS)]

    async def _end(self) -> list[str]:
        """Bring the work to its end; return what was wrong on the way."""
        complaints = []
        try:
            await self.stored(1.0)
            await self.progress.drained()
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

    async def leave(self) -> None:
        """Let go of everything; legal at any time. What still runs is killed."""
        await self._feed.cancel()
        for worker in self.fleet.running:
            worker.kill()
        await self.fleet.stop()
        await self.watch.stop()
