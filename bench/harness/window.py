"""One window of a run: warm up, then what was settled and what it cost. Counted by the rows' own times, after the run.

So nobody asks the database or the worker anything while it is measured, and ours and a peer are counted the same way.
"""

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.harness.stack import Stage
from bench.harness.subject import Subject, SubjectError

POLL_SECONDS = 0.25
FIRST_ROW_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Times:
    """How long to warm up after the first row, and how long to measure."""

    warm_up_seconds: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Window:
    """What a window saw. CPU is that of the subjects together; `lags` are sorted."""

    start: float
    end: float
    settled: int
    cpu_seconds: float
    lags: Sequence[float]
    memory_mib: float
    server_seconds: Mapping[str, float]
    statements: int

    @property
    def around(self) -> str:
        """Say what the servers used for a token, and how many rows a statement wrote."""
        used = ", ".join(
            f"{name} {seconds / max(1, self.settled) * 1e6:.0f}" for name, seconds in self.server_seconds.items()
        )
        return f"servers, us a token: {used}; {self.settled / max(1, self.statements):.0f} rows a transaction"

    @property
    def rate(self) -> float:
        """Tokens a second."""
        return self.settled / (self.end - self.start)

    @property
    def us(self) -> float:
        """CPU microseconds a token."""
        return self.cpu_seconds / self.settled * 1e6 if self.settled else math.inf

    @property
    def core(self) -> float:
        """How much of a core was used."""
        return self.cpu_seconds / (self.end - self.start)

    def lag_ms(self, part: float = 0.99) -> float:
        """Quantile of the event loop's lateness."""
        return self.lags[min(len(self.lags) - 1, int(len(self.lags) * part))] * 1000 if self.lags else math.nan


@dataclass(frozen=True, slots=True)
class Rows:
    """Where a subject stores its answers, and in which column the time of it stands."""

    table: str = "outcomes"
    time: str = "settled_at"

    async def count(self, stage: Stage, *, start: float = 0.0, end: float = math.inf) -> int:
        """Count the rows stored between two moments (epoch seconds)."""
        query = (
            f"SELECT count(*) FROM {self.table} "  # noqa: S608 - names of the benchmark's own
            f"WHERE extract(epoch FROM {self.time}) >= $1 AND extract(epoch FROM {self.time}) < $2"
        )
        (row,) = await stage.rows(query, start, end)
        return int(row[0])

    async def statements(self, stage: Stage, *, start: float, end: float) -> int:
        """Count the transactions that wrote these rows, by the mark that each leaves on its rows."""
        query = (
            f"SELECT count(DISTINCT xmin::text) FROM {self.table} "  # noqa: S608 - as above
            f"WHERE extract(epoch FROM {self.time}) >= $1 AND extract(epoch FROM {self.time}) < $2"
        )
        (row,) = await stage.rows(query, start, end)
        return int(row[0])

    async def any(self, stage: Stage) -> bool:
        """Whether there is a row."""
        (row,) = await stage.rows(f"SELECT EXISTS (SELECT FROM {self.table})")  # noqa: S608 - see count
        return bool(row[0])


OURS = Rows()


async def measure(stage: Stage, subjects: Sequence[Subject], times: Times, rows: Rows = OURS) -> Window:
    """Wait for the first row, warm up, and measure; the topic must hold enough for both."""
    await first_row(stage, subjects, rows)
    await asyncio.sleep(times.warm_up_seconds)
    start, cpu, servers = time.time(), _cpu(subjects), stage.server_cpu()
    await asyncio.sleep(times.seconds)
    end, used, after = time.time(), _cpu(subjects) - cpu, stage.server_cpu()
    memory = sum(subject.memory_mib for subject in subjects)
    for subject in subjects:
        subject.check()
    await asyncio.sleep(1.0)  # what was written in the window is committed by now
    lags = sorted(late for subject in subjects for late in subject.lags(start=start, end=end))
    return Window(
        start=start,
        end=end,
        settled=await rows.count(stage, start=start, end=end),
        cpu_seconds=used,
        lags=lags,
        memory_mib=memory,
        server_seconds={name: after[name] - servers[name] for name in servers},
        statements=await rows.statements(stage, start=start, end=end),
    )


async def first_row(stage: Stage, subjects: Sequence[Subject], rows: Rows = OURS) -> None:
    """Wait until something is stored.

    Raises:
        SubjectError: a subject ended, or nothing came in time.

    """
    deadline = time.monotonic() + FIRST_ROW_SECONDS
    while not await rows.any(stage):
        for subject in subjects:
            subject.check()
        if time.monotonic() > deadline:
            raise SubjectError(f"nothing was stored in {FIRST_ROW_SECONDS:.0f} s:\n{subjects[0].log_end}")
        await asyncio.sleep(POLL_SECONDS)


def _cpu(subjects: Sequence[Subject]) -> float:
    return sum(subject.cpu_seconds for subject in subjects)
