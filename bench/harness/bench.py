"""What a row of the table is given, and what it gives back."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from bench.harness import subject
from bench.harness.feed import feed
from bench.harness.stack import Stack, Stage
from bench.harness.subject import Subject
from bench.harness.window import Rows, Times, Window, measure
from bench.peers import surroundings

SPARE_SECONDS = 5.0
"""Work that lies in the topic beyond the window: the start, and the time until the worker is ended."""


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the table. `met`: whether the goal is reached; None where there is none."""

    what: str
    measured: str
    goal: str = ""
    limit: str = ""
    met: bool | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """Points of a plot: a name -> x, y."""

    title: str
    x: str
    y: str
    lines: Mapping[str, Sequence[tuple[float, float]]]


@dataclass(frozen=True, slots=True)
class Bench:
    """The stack, how long to measure, and the plots drawn so far."""

    stack: Stack
    quick: bool
    pictures: dict[str, Picture] = field(default_factory=dict)

    def times(self, latency_seconds: float) -> Times:
        """Warm up until every slot has had two calls; then measure for some of them."""
        return Times(2 * latency_seconds + 3.0, 6.0 if self.quick else 12.0)

    async def worker_window(
        self,
        *,
        calls: int,
        latency: tuple[float, float],
        most_a_second: float,
        provider: Sequence[str] = (),
        size: int = 100,
    ) -> Window:
        """Measure one worker on a backlog: so many calls in flight of this latency, at most so many tokens a second."""
        async with AsyncExitStack() as stack:
            times = self.times(latency[1])
            stage = await self.staged(stack, latency, times, most_a_second)
            worker = stack.enter_context(subject.worker(stage, *provider, environment=subject.slots(calls, size=size)))
            return await measure(stage, [worker], times)

    async def staged(self, stack: AsyncExitStack, latency: tuple[float, float], times: Times, most: float) -> Stage:
        """Make a stage with a backlog that lasts."""
        low, high = latency
        stage = await stack.enter_async_context(self.stack.stage(latency_min_seconds=low, latency_max_seconds=high))
        await feed(stage, int(most * (times.warm_up_seconds + times.seconds + SPARE_SECONDS)))
        return stage

    async def peer_window(self, module: str, *, calls: int, latency: tuple[float, float], most_a_second: float) -> Window:
        """Measure a peer in the same way."""
        async with AsyncExitStack() as stack:
            times = self.times(latency[1])
            stage = await self.staged(stack, latency, times, most_a_second)
            await stage.rows(surroundings.CREATE)
            peer = stack.enter_context(subject.running(stage, module, str(calls)))
            return await measure(stage, [peer], times, Rows("results", "stored_at"))

    async def client_us(self, client: str, *, calls: int, latency: tuple[float, float]) -> tuple[float, float]:
        """Measure a bare client: CPU microseconds a call, calls a second."""
        async with AsyncExitStack() as stack:
            low, high = latency
            stage = await stack.enter_async_context(self.stack.stage(latency_min_seconds=low, latency_max_seconds=high))
            arguments = (client, stage.environment["PROVIDER_URL"], str(calls))
            bare = stack.enter_context(subject.running(stage, "bench.subjects.bare_client", *arguments))
            return await _calls_window(stage, bare, self.times(high))


async def _calls_window(stage: Stage, bare: Subject, times: Times) -> tuple[float, float]:
    await asyncio.sleep(times.warm_up_seconds)
    answered, cpu, start = stage.mock.stats()["answered"], bare.cpu_seconds, time.monotonic()
    await asyncio.sleep(times.seconds)
    done, used, end = stage.mock.stats()["answered"] - answered, bare.cpu_seconds - cpu, time.monotonic()
    bare.check()
    return used / done * 1e6, done / (end - start)
