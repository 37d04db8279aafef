"""The memory of workers, sampled while a scenario runs."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import psutil

from tests.support.fleet import pause
from tests.support.system import WorkerProcess

SAMPLE_SECONDS: Final = 0.05
MIB: Final = 1_048_576


@dataclass(slots=True)
class Memory:
    """Resident memory in MiB: before, and the most that any of the workers had."""

    before: float = 0.0
    peak: float = 0.0


@asynccontextmanager
async def watched_memory(workers: Sequence[WorkerProcess]) -> AsyncIterator[Memory]:
    """Sample the workers' memory until the block ends."""
    memory, stopping = Memory(), asyncio.Event()
    memory.before = memory.peak = _largest(workers)

    async def sample() -> None:
        while not stopping.is_set():
            memory.peak = max(memory.peak, _largest(workers))
            await pause(stopping, SAMPLE_SECONDS)

    task = asyncio.get_running_loop().create_task(sample())
    try:
        yield memory
    finally:
        stopping.set()
        await task
        print(f"memory of a worker: {memory.before:.0f} MiB before, {memory.peak:.0f} MiB at most")


def _largest(workers: Sequence[WorkerProcess]) -> float:
    sizes = [psutil.Process(each.process.pid).memory_info().rss for each in workers if each.process.poll() is None]
    return max(sizes, default=0) / MIB
